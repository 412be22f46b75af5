"""The settings under their names in the environment (``HUB_…``): reads, lists and tells them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hub.settings import PREFIX, Settings, SettingsError

PLANNED = ("HUB_IDLE_TIMEOUT",)
"""Reserved names, for features to come."""
GUARD_VARIABLES = frozenset({"HUB_URL", "HUB_GUARD_MAX_STALENESS", "HUB_GUARD_ON_STALE"})
"""Variables of guards, which the hub ignores, since both may share an environment."""


def load_settings(options: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of the environment; ``options`` take precedence.

    Raises:
        SettingsError: in one line that names the setting and holds no secret.
    """
    for name in sorted(os.environ):
        if name in PLANNED:
            raise SettingsError(f"{name} is planned and does nothing yet: unset it")
        is_known = name in GUARD_VARIABLES or name[len(PREFIX) :].lower() in Settings.model_fields
        if name.startswith(PREFIX) and not is_known:
            raise SettingsError(f"{name} is not a setting of this hub")
    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = str(first["loc"][0]) if first["loc"] else ""
    name = place.upper() if place.upper().startswith((PREFIX, "PORT")) else PREFIX + place.upper()
    text = re.sub(r"^Value error, ", "", first["msg"])
    return f"{name}: {text}" if place else text


def describe_settings() -> list[tuple[str, str, str, bool]]:
    """Return the table: name, default, help, and whether it is a secret."""
    rows = []
    for field, info in Settings.model_fields.items():
        default = "" if info.default_factory or info.default is None else info.default
        secret = "SecretStr" in str(info.annotation)
        rows.append((PREFIX + field.upper(), _show(default), info.description or "", secret))
    return rows


def describe_given(settings: Settings) -> dict[str, str]:
    """Return the settings that were set, by name; for secrets only that they are set."""
    hidden = {name for name, _, _, secret in describe_settings() if secret}
    hidden |= {"HUB_ADMIN_TOKENS", "HUB_CLIENTS", "HUB_JWT_PUBLIC_KEY"}
    names = {PREFIX + field.upper(): field for field in sorted(settings.model_fields_set)}
    return {
        name: "set" if name in hidden else _show(getattr(settings, field))
        for name, field in names.items()
    }


def _show(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
