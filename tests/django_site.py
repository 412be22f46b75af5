"""Django in the tests' own process: configured once, without a database; tests override it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from typing import Any

PEOPLE = {"1": "ada", "2": "grace"}


@cache
def configure() -> None:
    """Set Django up; its apps and settings are of the whole process."""
    import django.conf

    django.conf.settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="a secret of the app",
        AUTHENTICATION_BACKENDS=["tests.django_site.Backend"],
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
    )
    django.setup()
    from django.contrib.auth.signals import user_logged_in

    user_logged_in.disconnect(dispatch_uid="update_last_login")  # it writes to the database


@contextlib.contextmanager
def overridden(**settings: Any) -> Iterator[None]:
    """Use these settings for the length of the context."""
    configure()
    from django.test import override_settings

    with override_settings(**settings):
        yield


class Backend:
    """Finds people without a database."""

    def get_user(self, pk: Any) -> Any:
        """Return a person."""
        return person(str(pk))

    async def aget_user(self, pk: Any) -> Any:
        """Return a person."""
        return person(str(pk))


def person(pk: str) -> Any:
    """Return a user of Django's own model."""
    from django.contrib.auth.models import User

    return User(pk=int(pk), username=PEOPLE[pk])
