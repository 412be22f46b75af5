"""The commands that make tokens: a user's, for development, and an administrator's."""

from __future__ import annotations

import click

from hub.access.minting import make_credential, mint_token
from hub.console import BadSetting, as_json, print_json
from hub.core.rights import Right, check_name
from hub.environment import load_settings


@click.command()
@click.argument("user")
@click.option("--sid", help="The session; a new one by default.")
@click.option("--lifetime", default=900.0, show_default=True, help="Seconds until it expires.")
@click.option("--scope", help='OAuth scopes, such as "hub:admin".')
def token(user: str, sid: str | None, lifetime: float, scope: str | None) -> None:
    """Print a token of USER, signed with HUB_JWT_SECRET. For development only.

    \b
    TOKEN=$(logout-hub token ada)
    curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/session
    """
    settings = load_settings()
    if settings.jwt_secret is None:
        raise BadSetting("HUB_JWT_SECRET is not set: only the issuer can sign your tokens")
    click.echo(
        mint_token(
            settings.jwt_secret.get_secret_value(),
            user,
            lifetime=lifetime,
            algorithm=settings.algorithms[0],
            sid=sid,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            scope=scope,
        )
    )


@click.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([right.value for right in Right]),
    help="What it is for; may be repeated.  [default: all]",
)
@as_json
def admin_token(name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Create a credential called NAME for admin calls, and print it: it is not stored.

    \b
    logout-hub admin-token helpdesk --scope logout --scope read
    """
    try:
        check_name(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    rights = tuple(dict.fromkeys(map(Right, scopes))) or tuple(Right)
    made, entry = make_credential(name, rights)
    if as_json:
        print_json({"token": made, "entry": entry})
    else:
        click.echo("The secret token, for the caller:", err=True)
        click.echo(made)
        click.echo("The entry for HUB_ADMIN_TOKENS of every replica, comma-separated:", err=True)
        click.echo(entry)
