"""Makes the entry of the one issuer that is named by variables instead of a file."""

from __future__ import annotations

from hub.core.issuers import Entry, IssuersError, KeySource, Source, make_entry

VARIABLES = {
    "discovery": "HUB_JWT_ISSUER",
    "jwks_url": "HUB_JWT_JWKS_URL",
    "public_key": "HUB_JWT_PUBLIC_KEY",
    "secret": "HUB_JWT_SECRET",
    "audience": "HUB_JWT_AUDIENCE",
    "algorithms": "HUB_JWT_ALGORITHMS",
}
"""The environment variables by the member of an ``[[issuer]]`` that they replace."""


def read_single_entry(
    *,
    secret: str | None,
    previous_secret: str | None,
    public_key: str | None,
    jwks_url: str | None,
    issuer: str | None,
    audience: str | None,
    algorithms: tuple[str, ...],
    max_lifetime: float,
    leeway: float,
) -> Entry:
    """Return the entry that the variables name; times are in seconds.

    Raises:
        IssuersError: in one line that names the variable.
    """
    if previous_secret is not None and secret is None:
        raise IssuersError("HUB_JWT_SECRET_PREVIOUS: needs HUB_JWT_SECRET, which replaces it")
    given = {
        Source.SECRET: tuple(text for text in (secret, previous_secret) if text),
        Source.PUBLIC_KEY: (public_key,) if public_key else (),
        Source.JWKS_URL: (jwks_url,) if jwks_url else (),
        Source.DISCOVERY: (issuer,) if issuer else (),
    }
    sources = [KeySource(kind, values) for kind, values in given.items() if values]
    if not sources:
        raise IssuersError(
            "set HUB_JWT_ISSUER and HUB_JWT_AUDIENCE, or HUB_JWT_SECRET, HUB_JWT_PUBLIC_KEY, "
            "HUB_JWT_JWKS_URL or HUB_ISSUERS: there is nothing to verify tokens with"
        )
    try:
        return make_entry(
            issuer=issuer,
            keys=sources[0],
            algorithms=algorithms,
            audience=() if audience is None else (audience,),
            max_lifetime=max_lifetime,
            leeway=leeway,
        )
    except ValueError as error:
        member, _, text = str(error).partition(": ")
        raise IssuersError(f"{VARIABLES.get(member, member)}: {text}") from None
