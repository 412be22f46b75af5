"""Django's own sessions: a login, a page, and a logout that is one everywhere; in one file.

``python app.py`` makes a database with the users ada and grace, password ``secret``, and serves.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path

HERE = Path(__file__).parent
HUB = os.environ.get("HUB_URL", "http://localhost:8080")

settings.configure(
    SECRET_KEY=os.environ["APP_SECRET"],
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("DATABASE", HERE / "app.sqlite3"),
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "hub.guard.django.GuardMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [HERE / "templates"],
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                ]
            },
        }
    ],
    LOGIN_REDIRECT_URL="/",
    LOGOUT_REDIRECT_URL="/accounts/login/",
    USE_TZ=True,
    # The rest is in the environment: HUB_URL, HUB_GUARD_TOKEN, HUB_JWT_SECRET, HUB_ADMIN_TOKEN.
    HUB_GUARD={"user": "username"},
)
django.setup()

from hub.guard.django import send_ticket  # noqa: E402 - needs the settings


@login_required
def show_page(request: HttpRequest) -> HttpResponse:
    """Show something private."""
    return render(request, "page.html", {"hub": HUB})


urlpatterns = [
    path("", show_page),
    path("accounts/", include("django.contrib.auth.urls")),
    path("ticket", send_ticket),
]


def prepare() -> None:
    """Make the database, with two users."""
    from django.contrib.auth import get_user_model

    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    for name in ("ada", "grace"):
        if not users.filter(username=name).exists():
            users.create_user(name, password="secret")  # noqa: S106 - a demonstration


if __name__ == "__main__":
    prepare()
    call_command("runserver", *(sys.argv[1:] or ["3000"]), "--noreload")
else:
    application = get_wsgi_application()
