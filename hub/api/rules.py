"""Rules about combinations of members in a body, as JSON Schema: types cannot express them.

`hub.access.requests.own_logout` and `admin_logouts` enforce the same rules, which
``tests/api/test_openapi_rules.py`` compares with these.
"""

from __future__ import annotations

from typing import Any

NOT_GIVEN: dict[str, Any] = {"type": "null"}
WITHOUT_SID: dict[str, Any] = {"sid": False, "scope": {"const": "all"}}
NAMED: dict[str, Any] = {
    "user": NOT_GIVEN,
    "sub_id": NOT_GIVEN,
    "users": NOT_GIVEN,
    "everyone": {"const": False},
}
ONE_USER: dict[str, Any] = {**NAMED, "user": {"type": "string"}}
ONE_SUBJECT: dict[str, Any] = {**NAMED, "sub_id": {"type": "object"}}

RULES: dict[str, dict[str, Any]] = {
    "LogoutRequest": {
        "anyOf": [
            {"properties": {"sid": False}},
            {"required": ["sid"], "properties": {"scope": {"const": "session"}}},
        ]
    },
    "AdminLogoutRequest": {
        "anyOf": [
            {"required": ["user"], "properties": {**ONE_USER, **WITHOUT_SID}},
            {
                "required": ["user", "sid"],
                "properties": {**ONE_USER, "scope": {"enum": ["session", "others"]}},
            },
            {"required": ["sub_id"], "properties": {**ONE_SUBJECT, **WITHOUT_SID}},
            {
                "required": ["sub_id", "sid"],
                "properties": {**ONE_SUBJECT, "scope": {"enum": ["session", "others"]}},
            },
            {
                "required": ["users"],
                "properties": {**NAMED, "users": {"type": "array"}, **WITHOUT_SID},
            },
            {
                "required": ["everyone"],
                "properties": {
                    **NAMED,
                    "everyone": {"const": True},
                    "iss": NOT_GIVEN,
                    **WITHOUT_SID,
                },
            },
        ]
    },
}
"""By the name of a request type; `hub.api.openapi` adds each to the schema of the type."""
