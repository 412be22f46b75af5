"""Settings: one table, from the environment and from options; unsafe ones stop the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x25519

from hub.app import create_app
from hub.core.rate import Rate
from hub.core.verification_keys import ALGORITHMS
from hub.environment import GUARD_VARIABLES, PLANNED, describe_settings, load_settings
from hub.guard.options import VARIABLES
from hub.issuers_file import load_entries
from hub.pages.demo import suit_demo
from hub.settings import Settings, SettingsError
from tests.keys import RSA
from tests.site import signing_key

SECRET = "sesame-" * 10


def pem(private: Any) -> str:
    """Return the public key of a private one, in PEM."""
    text: bytes = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return text.decode()


PRIVATE_PEM = RSA.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
PEM = pem(RSA)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment, for tests that set it."""
    return monkeypatch


def refusal(env: pytest.MonkeyPatch, **variables: str) -> str:
    """Return the one line that stops the start with these variables."""
    for name, value in variables.items():
        env.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    text = str(caught.value)
    assert text
    assert "\n" not in text
    return text


def test_nothing_needs_to_be_set() -> None:
    """The defaults are a complete set: loopback, memory, no key yet."""
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.redis_url is None
    assert not settings.has_key
    assert settings.trusted_proxies == ()
    assert settings.allowed_origins == ()
    assert settings.admin_token is None


def test_a_replica_has_a_name_of_its_own() -> None:
    """Two replicas that were not named do not share a name."""
    assert load_settings().replica != load_settings().replica


# One good text for each setting, as an operator writes it, and what it means.
SIGNING_KEY = signing_key()

GOOD: dict[str, tuple[str, Any]] = {
    "HUB_REDIS_URL": ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1"),
    "HUB_HOST": ("::1", "::1"),
    "HUB_PORT": ("9000", 9000),
    "HUB_JWT_SECRET": (SECRET, SECRET),
    "HUB_JWT_SECRET_PREVIOUS": (SECRET[1:], SECRET[1:]),
    "HUB_JWT_PUBLIC_KEY": (PEM, PEM),
    "HUB_JWT_JWKS_URL": ("https://id.example/jwks.json", "https://id.example/jwks.json"),
    "HUB_JWT_ALGORITHMS": ("RS256, ES256", ("RS256", "ES256")),
    "HUB_JWT_ISSUER": ("https://id.example", "https://id.example"),
    "HUB_JWT_AUDIENCE": ("hub", "hub"),
    "HUB_ISSUERS": ("/etc/logout-hub/issuers.toml", "/etc/logout-hub/issuers.toml"),
    "HUB_JWT_LEEWAY": ("1.5", 1.5),
    "HUB_TOKEN_MAX_LIFETIME": ("3600", 3600.0),
    "HUB_LOGIN_MAX_LIFETIME": ("604800", 604800.0),
    "HUB_COOKIE_NAME": ("__Host-session", "__Host-session"),
    "HUB_COOKIE_DOMAIN": ("app.example", "app.example"),
    "HUB_ALLOWED_ORIGINS": (
        "https://app.example,http://localhost:3000",
        ("https://app.example", "http://localhost:3000"),
    ),
    "HUB_LOGIN_URL": ("https://app.example/login?to=a", "https://app.example/login?to=a"),
    "HUB_VERIFY_REDIRECTS": (
        "web=https://a.example/?x=y, b.c=http://b",
        ("web=https://a.example/?x=y", "b.c=http://b"),
    ),
    "HUB_VERIFY_CACHE": ("5", 5),
    "HUB_TRANSPORTS": ("websocket", ("websocket",)),
    "HUB_REPLICA": ("eu-1.a_b", "eu-1.a_b"),
    "HUB_ADMIN_TOKEN": ("sesame-sesame-sesame", "sesame-sesame-sesame"),
    "HUB_ADMIN_TOKENS": (
        f"ops:{'a' * 64}:logout+read, bi:{'b' * 64}:feed",
        (f"ops:{'a' * 64}:logout+read", f"bi:{'b' * 64}:feed"),
    ),
    "HUB_CLIENTS": (
        f"https://api.example:{'a' * 64}, bank:{'b' * 64}",
        (f"https://api.example:{'a' * 64}", f"bank:{'b' * 64}"),
    ),
    "HUB_PUBLIC_URL": ("https://hub.example/", "https://hub.example"),
    "HUB_INTROSPECTION_KEY": (SIGNING_KEY, SIGNING_KEY),
    "HUB_BUS_SECRET": ("sesame-sesame-sesame", "sesame-sesame-sesame"),
    "HUB_GUARD_TOKEN": ("sesame-sesame-sesame", "sesame-sesame-sesame"),
    "HUB_ADMIN_HOST": ("10.0.0.1", "10.0.0.1"),
    "HUB_ADMIN_PORT": ("9090", 9090),
    "HUB_NOTICE_GRACE": ("0", 0.0),
    "HUB_CONNECT_TIMEOUT": ("0.5", 0.5),
    "HUB_FENCE_SECONDS": ("5", 5.0),
    "HUB_ON_DATA_LOSS": ("cut_off", "cut_off"),
    "HUB_WAIT_DISK": ("true", True),
    "HUB_WAIT_REPLICAS": ("1", 1),
    "HUB_TRUSTED_PROXIES": ("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1/128")),
    "HUB_RECEIPT_LIFETIME": ("3600", 3600.0),
    "HUB_LOG_FORMAT": ("json", "json"),
    "HUB_AUDIT_FILE": ("audit.log", "audit.log"),
    "HUB_MAX_SESSIONS": ("5", 5),
    "HUB_MAX_BODY": ("2048", 2048),
    "HUB_LIMIT_REFUSED": ("0.5/10", Rate(0.5, 10)),
    "HUB_LIMIT_PENDING": ("10", 10),
    "HUB_LIMIT_PENDING_TOTAL": ("100", 100),
    "HUB_LIMIT_SOCKETS_SESSION": ("3", 3),
    "HUB_LIMIT_SOCKETS_USER": ("30", 30),
    "HUB_LIMIT_EVENTS": ("1/5", Rate(1, 5)),
    "HUB_LIMIT_LOGOUTS": ("2/5", Rate(2, 5)),
    "HUB_LIMIT_ADMIN": ("off", None),
    "HUB_LIMIT_CALLS": ("5/5", Rate(5, 5)),
    "HUB_LIMIT_CLIENTS": ("off", None),
    "HUB_LIMIT_GUARDS": ("10", 10),
    "HUB_LIMIT_READ_SECONDS": ("2", 2.0),
    "HUB_LIMIT_WRITE_SECONDS": ("2.5", 2.5),
}


def plain(value: Any) -> Any:
    """Return what is in a secret, or the value itself."""
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def test_every_setting_has_an_example_here() -> None:
    """A new setting comes with a line in the table above, and with a help text."""
    assert {name for name, *_ in describe_settings()} == set(GOOD)
    assert all(text for _, _, text, _ in describe_settings())


@pytest.mark.parametrize("name", GOOD)
def test_a_setting_is_read_from_the_environment(env: pytest.MonkeyPatch, name: str) -> None:
    """Each variable sets its field, and the same text as an option does too."""
    text, value = GOOD[name]
    field = name.removeprefix("HUB_").lower()
    env.setenv("HUB_PUBLIC_URL", "https://hub.example")  # which the introspection key needs
    env.setenv(name, text)
    assert plain(getattr(load_settings(), field)) == value
    env.delenv(name)
    assert plain(getattr(load_settings({field: text}), field)) == value


@pytest.mark.parametrize("name", [name for name in GOOD if name != "HUB_REPLICA"])
def test_an_empty_variable_is_as_good_as_none(env: pytest.MonkeyPatch, name: str) -> None:
    """Compose files and unit files write empty variables for what is not set."""
    unset = load_settings({"replica": "r"})
    env.setenv(name, "")
    assert load_settings({"replica": "r"}) == unset


def test_an_option_goes_before_the_environment(env: pytest.MonkeyPatch) -> None:
    """What is typed counts more than what is lying around; what is not typed does not count."""
    env.setenv("HUB_HOST", "::1")
    env.setenv("HUB_PORT", "9000")
    env.setenv("PORT", "9001")
    settings = load_settings({"host": "127.0.0.2", "port": "9002", "jwt_issuer": None})
    assert (settings.host, settings.port) == ("127.0.0.2", 9002)
    assert load_settings({"host": None, "port": None}).port == 9000


def test_the_platforms_port_is_read(env: pytest.MonkeyPatch) -> None:
    """PORT counts where a platform sets it, and HUB_PORT before it."""
    env.setenv("PORT", "9001")
    assert load_settings().port == 9001
    env.setenv("HUB_PORT", "9000")
    assert load_settings().port == 9000


@pytest.mark.parametrize("name", ["PORT", "HUB_PORT"])
@pytest.mark.parametrize("value", ["-1", "65536", "http", "80.5", "0x50"])
def test_a_port_is_a_port(env: pytest.MonkeyPatch, name: str, value: str) -> None:
    """What is no port is refused, by whichever name it was set."""
    assert "PORT: " in refusal(env, **{name: value})


@pytest.mark.parametrize("name", ["HUB_JWT_SECRT", "HUB_", "HUB_JWT", "HUB_PORTS", "HUB_jwt"])
def test_an_unknown_variable_stops_the_start(env: pytest.MonkeyPatch, name: str) -> None:
    """A typing error does not leave a hub with a setting that its operator thinks is on."""
    assert name in refusal(env, **{name: "sesame"})
    assert "sesame" not in refusal(env)


def test_other_programs_variables_are_no_matter(env: pytest.MonkeyPatch) -> None:
    """Only the hub's prefix is the hub's."""
    for name in ("HUBBLE", "GITHUB_TOKEN", "REDIS_URL", "HOST"):
        env.setenv(name, "x")
    assert load_settings().redis_url is None


def test_a_hub_starts_in_the_environment_of_a_guard(env: pytest.MonkeyPatch) -> None:
    """Whatever a guard reads is known to the hub, as a setting or as a guard's."""
    own = {f"HUB_{field}".upper() for field in Settings.model_fields}
    assert set(VARIABLES) - own == GUARD_VARIABLES
    for name in GUARD_VARIABLES:
        env.setenv(name, "1")
    load_settings()


@pytest.mark.parametrize("name", PLANNED)
@pytest.mark.parametrize("value", ["", "10"])
def test_a_planned_setting_is_not_taken_for_done(
    env: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Nobody relies on what the hub does not do yet."""
    text = refusal(env, **{name: value})
    assert name in text
    assert "planned" in text


def test_an_unknown_option_stops_the_start() -> None:
    """Options have no other names than the settings."""
    with pytest.raises(SettingsError, match="HUB_NOPE"):
        load_settings({"nope": "1"})


MALFORMED = {
    "HUB_JWT_LEEWAY": ["-1", "301", "x", "nan", "inf", "1s"],
    "HUB_TOKEN_MAX_LIFETIME": ["0", "-1", "31536001", "nan", "inf", "1h"],
    "HUB_NOTICE_GRACE": ["-1", "31", "nan"],
    "HUB_RECEIPT_LIFETIME": ["59", "2592001", "nan"],
    "HUB_CONNECT_TIMEOUT": ["0", "61", "nan"],
    "HUB_MAX_SESSIONS": ["0", "-1", "1.5", "x"],
    "HUB_MAX_BODY": ["0", "1023", "16777217"],
    "HUB_LOG_FORMAT": ["xml", "JSON"],
    "HUB_REPLICA": ["a b", "a/b", "a:b", "x" * 65, "é", "a\n"],
    "HUB_COOKIE_NAME": ["a b", "a=b", "a;b", "é", "a\n"],
    "HUB_VERIFY_REDIRECTS": [
        "https://a.example", "web", "web=", "=https://a.example", "web=/login", "web=//a.example",
        "web=javascript:alert(1)", "we b=https://a.example", "web=https://a.example/#a",
        "web=https://a.example,web=https://b.example",
    ],
    "HUB_VERIFY_CACHE": ["-1", "61", "0.5", "off"],
    "HUB_LOGIN_URL": [
        "login", "//evil.example", "/\\evil.example", "/\t/evil.example", "https:login", "http://",
        "https:///login", "javascript:alert(1)", "ftp://app.example/", "/log in", "/a\n", "http://[",
    ],
    "HUB_JWT_ISSUER": ["x" * 257, "a\x1b[31m"],
    "HUB_JWT_JWKS_URL": ["http://id.example/keys", "id.example/keys", "file:///etc/keys", "x"],
    "HUB_JWT_PUBLIC_KEY": [
        "no such file", "/no/such/file", "/", "x" * 5000, __file__, "-----BEGIN PUBLIC KEY-----",
        PEM[:200], PEM.replace("M", "N"), PRIVATE_PEM, pem(x25519.X25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP256K1())),
    ],
    "HUB_REDIS_URL": [
        "127.0.0.1:6379", "127.0.0.1", "http://127.0.0.1", "redis://h:port/0",
        "redis+sentinel://h", "redis+sentinel://h/", "redis+sentinel://h/m/x",
        "redis+sentinel://h/m/0/1", "redis+sentinel:///m", "redis+sentinel://h,/m",
        "redis+sentinel://h:x/m", "redis+sentinel://h:/m", "redis+sentinel://[::1/m",
        "redis+sentinel://h:99999/m", "redis+sentinel://h/m?nonsense=1", "sentinel://h/m",
        "redis+sentinel://h, i/m", "redis+cluster://", "redis+cluster://h/1",
        "redis+cluster://h/0/1", "redis+cluster://h,:1", "redis+cluster://h?nonsense=1",
        "redis+cluster://h?path=x", "redis+clusters://h",
    ],
    "HUB_ALLOWED_ORIGINS": [
        "*", "null", "app.example", "https://app.example/", "https://app.example/path",
        "https://", "https://app.example?x", "https://app.example, app", "https://[x",
        "https://app.example:443", "http://app.example:80", "https://app.example:0443",
        "https://app.example:x", "https://app.example:", "https://app.example.",
        "https://u@app.example", "https://bücher.example", "https://*.example", "https://a b",
        "https://[0:0::1]", "https://.",
    ],
    "HUB_FENCE_SECONDS": ["2.9", "301", "soon"],
    "HUB_ON_DATA_LOSS": ["ignore", "True"],
    "HUB_WAIT_DISK": ["sometimes"],
    "HUB_WAIT_REPLICAS": ["-1", "all", "11"],
    "HUB_TRUSTED_PROXIES": ["x", "10.0.0.0/33", "10.0.0", "10.0.0.1, x", "*", "::1/129"],
    "HUB_TRANSPORTS": [",", "sse", "websocket,sse", "WebSocket"],
    "HUB_JWT_ALGORITHMS": ["none", "HS", "hs256", "RS256,none", "RS256 ES256", "*"],
    "HUB_ADMIN_TOKEN": ["short", "x" * 15],
    "HUB_ADMIN_TOKENS": [
        "sesame-sesame-sesame",
        f"ops:{'a' * 63}:logout",
        f"ops:{'a' * 64}",
        f"ops:{'a' * 64}:",
        f"ops:{'a' * 64}:logout+",
        f"ops:{'a' * 64}:everything",
        f"admin:{'a' * 64}:logout",
        f"o ps:{'a' * 64}:logout",
        f"ops:{'a' * 64}:logout,ops:{'b' * 64}:read",
        f"ops:{'a' * 64}:logout,bi:{'A' * 64}:read",
    ],
    "HUB_BUS_SECRET": ["short", "x" * 15],
    "HUB_GUARD_TOKEN": ["short", "x" * 15],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in MALFORMED.items() for value in values],
    ids=lambda text: text[:24],
)
def test_a_malformed_setting_stops_the_start(
    env: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The line names the variable."""
    assert refusal(env, **{name: value}).startswith(name)


# Combinations

KEYS = {
    "HUB_JWT_SECRET": SECRET,
    "HUB_JWT_PUBLIC_KEY": PEM,
    "HUB_JWT_JWKS_URL": "https://id.example/keys",
}


@pytest.mark.parametrize("left_out", [None, *KEYS])
def test_there_is_one_source_of_keys(env: pytest.MonkeyPatch, left_out: str | None) -> None:
    """Two or three at once are a mistake, and which would win is not guessed."""
    given = {name: value for name, value in KEYS.items() if name != left_out}
    assert "one of HUB_JWT_SECRET" in refusal(env, **given)


HMAC = ("HS256", "HS384", "HS512")
FOR_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
SUITING: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "secret": ("HUB_JWT_SECRET", SECRET, HMAC),
    "key set": ("HUB_JWT_JWKS_URL", KEYS["HUB_JWT_JWKS_URL"], (*FOR_RSA, *ALGORITHMS[9:])),
    "RSA": ("HUB_JWT_PUBLIC_KEY", PEM, FOR_RSA),
    "P-256": ("HUB_JWT_PUBLIC_KEY", pem(ec.generate_private_key(ec.SECP256R1())), ("ES256",)),
    "P-384": ("HUB_JWT_PUBLIC_KEY", pem(ec.generate_private_key(ec.SECP384R1())), ("ES384",)),
    "P-521": ("HUB_JWT_PUBLIC_KEY", pem(ec.generate_private_key(ec.SECP521R1())), ("ES512",)),
    "Ed25519": ("HUB_JWT_PUBLIC_KEY", pem(ed25519.Ed25519PrivateKey.generate()), ("EdDSA",)),
    "Ed448": ("HUB_JWT_PUBLIC_KEY", pem(ed448.Ed448PrivateKey.generate()), ("EdDSA",)),
}


@pytest.mark.parametrize("kind", SUITING)
def test_the_algorithms_suit_the_key(env: pytest.MonkeyPatch, kind: str) -> None:
    """A secret goes with HMAC and nothing else does; a public key with its own kind only."""
    name, value, suiting = SUITING[kind]
    env.setenv(name, value)
    for algorithm in ALGORITHMS:
        env.setenv("HUB_JWT_ALGORITHMS", algorithm)
        if algorithm in suiting:
            assert load_settings().algorithms == (algorithm,)
        else:
            assert "does not suit" in refusal(env)
        env.setenv("HUB_JWT_ALGORITHMS", f"HS256,{algorithm},RS256,ES256")
        assert "does not suit" in refusal(env)


@pytest.mark.parametrize("kind", SUITING)
def test_the_default_algorithm_suits_the_key(env: pytest.MonkeyPatch, kind: str) -> None:
    """The usual one for the kind of key is pinned; of a key set, those of its keys."""
    name, value, suiting = SUITING[kind]
    env.setenv(name, value)
    settings = load_settings()
    assert settings.has_key
    assert settings.algorithms == (suiting if kind == "key set" else suiting[:1])


def test_an_empty_secret_is_none(env: pytest.MonkeyPatch) -> None:
    """An option without a value is too short a secret, not a way to have none."""
    with pytest.raises(SettingsError, match="HUB_JWT_SECRET"):
        load_settings({"jwt_secret": ""})


@pytest.mark.parametrize(
    ("algorithms", "need"), [("", 32), ("HS256", 32), ("HS384", 48), ("HS256,HS512", 64)]
)
def test_a_secret_is_as_long_as_its_hash(
    env: pytest.MonkeyPatch, algorithms: str, need: int
) -> None:
    """A shorter one can be searched for (RFC 7518 section 3.2); bytes count, not letters."""
    env.setenv("HUB_JWT_ALGORITHMS", algorithms)
    env.setenv("HUB_JWT_SECRET", "é" * (need // 2))
    assert load_settings().jwt_secret is not None
    assert str(need) in refusal(env, HUB_JWT_SECRET="x" * (need - 1))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::"])
def test_two_listeners_have_two_ports(env: pytest.MonkeyPatch, host: str) -> None:
    """Whatever their addresses, since what is served is decided by the port; 0 is any free one."""
    given = {"HUB_PORT": "9000", "HUB_ADMIN_PORT": "9000", "HUB_ADMIN_HOST": host}
    assert refusal(env, **given).startswith("HUB_ADMIN_PORT: must not be HUB_PORT")
    assert load_settings({"port": "9001"}).admin_port == 9000
    assert load_settings({"port": "0", "admin_port": "0"}).admin_port == 0


def test_a_host_cookie_has_no_domain(env: pytest.MonkeyPatch) -> None:
    """Browsers refuse it, so that it could never be deleted."""
    given = {"HUB_COOKIE_NAME": "__Host-s", "HUB_COOKIE_DOMAIN": "app.example"}
    assert "HUB_COOKIE_DOMAIN" in refusal(env, **given)
    env.setenv("HUB_COOKIE_NAME", "__Secure-s")
    assert load_settings().cookie_domain == "app.example"


def test_a_public_key_may_stand_in_a_file(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Secrets managers mount files."""
    file = tmp_path / "key.pem"
    file.write_text(PEM)
    env.setenv("HUB_JWT_PUBLIC_KEY", str(file))
    assert load_settings().jwt_public_key == PEM


def test_a_file_of_issuers_is_utf_8(env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Any other encoding is named, in the one line that stops the start."""
    file = tmp_path / "issuers.toml"
    file.write_bytes("# é".encode("utf-16"))
    env.setenv("HUB_ISSUERS", str(file))
    with pytest.raises(SettingsError, match=r"HUB_ISSUERS: .*issuers\.toml: not UTF-8$"):
        load_entries(load_settings())


def test_origins_are_compared_in_lower_case(env: pytest.MonkeyPatch) -> None:
    """Browsers send origins in lower case, whatever an operator wrote."""
    env.setenv("HUB_ALLOWED_ORIGINS", " https://App.Example , ,http://a:1 ")
    assert load_settings().allowed_origins == ("https://app.example", "http://a:1")


@pytest.mark.parametrize(
    "written",
    [
        "https://App.example:443",
        "https://app.example/",
        "https://app.example.",
        "https://app.example:",
    ],
)
def test_an_origin_that_no_browser_sends_is_put_right(
    env: pytest.MonkeyPatch, written: str
) -> None:
    """The line says what to write, which is then accepted; of apps, other schemes are too."""
    text = refusal(env, HUB_ALLOWED_ORIGINS=written)
    right = text.rpartition(" ")[2]
    assert right == "https://app.example"
    env.setenv("HUB_ALLOWED_ORIGINS", f"{right},capacitor://localhost,http://[::1]:3000")
    assert load_settings().allowed_origins == (right, "capacitor://localhost", "http://[::1]:3000")


def test_the_demos_own_origins_are_as_browsers_send_them() -> None:
    """Without the port if it is the usual one."""
    assert "http://localhost" in suit_demo(load_settings({"port": "80"})).allowed_origins
    assert "http://localhost:8080" in suit_demo(load_settings()).allowed_origins


def test_the_secret_before_verifies_and_is_as_good_a_secret(env: pytest.MonkeyPatch) -> None:
    """It stands behind the one that signs, and is as long and as secret."""
    env.setenv("HUB_JWT_SECRET_PREVIOUS", SECRET[1:])
    with pytest.raises(SettingsError, match="HUB_JWT_SECRET_PREVIOUS: needs HUB_JWT_SECRET"):
        load_entries(load_settings({"jwt_public_key": PEM}))
    env.setenv("HUB_JWT_SECRET", SECRET)
    (entry,) = load_entries(load_settings())
    assert entry.keys.values == (SECRET, SECRET[1:])
    assert load_settings().shared_secret == SECRET
    for bad in ("x" * 31, PRIVATE_PEM):
        assert "HUB_JWT_SECRET_PREVIOUS" in refusal(env, HUB_JWT_SECRET_PREVIOUS=bad)
    env.delenv("HUB_JWT_SECRET")
    given = {"HUB_JWT_SECRET_PREVIOUS": SECRET, "HUB_ISSUERS": "/etc/issuers.toml"}
    assert "HUB_ISSUERS" in refusal(env, **given)


def test_a_cookie_needs_an_origin_to_be_used_from(env: pytest.MonkeyPatch) -> None:
    """The start is refused in one line; the demo has origins of its own."""
    given = {"jwt_secret": SECRET, "cookie_name": "__Host-s"}
    with pytest.raises(SettingsError, match="HUB_ALLOWED_ORIGINS: HUB_COOKIE_NAME") as caught:
        create_app(load_settings(given))
    assert "\n" not in str(caught.value)
    create_app(load_settings(given), demo=True)
    create_app(load_settings({**given, "allowed_origins": "https://app.example"}))


# Secrets

SECRETS = {
    "HUB_REDIS_URL": "redis://:sesame-redis@127.0.0.1/0",
    "HUB_JWT_SECRET": SECRET,
    "HUB_JWT_SECRET_PREVIOUS": SECRET,
    "HUB_ADMIN_TOKEN": "sesame-sesame-sesame",
    "HUB_BUS_SECRET": "sesame-sesame-sesame",
    "HUB_GUARD_TOKEN": "sesame-sesame-sesame",
    "HUB_INTROSPECTION_KEY": SIGNING_KEY,
}


def test_the_table_says_which_settings_are_secret() -> None:
    """A program that prints settings asks the table."""
    assert {name for name, *_, secret in describe_settings() if secret} == set(SECRETS)


def test_secrets_do_not_show(env: pytest.MonkeyPatch) -> None:
    """Neither as text nor as JSON, neither the settings nor a part of them."""
    for name, value in {**SECRETS, "HUB_PUBLIC_URL": "https://hub.example"}.items():
        env.setenv(name, value)
    settings = load_settings()
    shown = [
        repr(settings),
        str(settings),
        f"{settings}",
        repr(settings.model_dump()),
        settings.model_dump_json(),
        repr(settings.redis_url),
        str(settings.jwt_secret),
        repr(list(settings)),
    ]
    assert [text for text in shown if "sesame" in text] == []


@pytest.mark.parametrize(
    "broken",
    [
        {"HUB_PORT": "x"},
        {"HUB_JWT_LEEWAY": "-1"},
        {"HUB_JWT_ALGORITHMS": "RS256"},
        {"HUB_JWT_PUBLIC_KEY": PEM},
        {"HUB_JWT_SECRET": "sesame"},
        {"HUB_ADMIN_TOKEN": "sesame"},
        {"HUB_NOPE": "sesame"},
        {"HUB_JWT_PUBLIC_KEY": "sesame-as-a-key"},
        {"HUB_REDIS_URL": "http://:sesame-redis@127.0.0.1/0"},
        {"HUB_REDIS_URL": "redis://:sesame-redis@127.0.0.1:sesame/0"},
        {"HUB_REDIS_URL": "redis+sentinel://:sesame-redis@127.0.0.1:sesame/m"},
        {"HUB_REDIS_URL": "redis+sentinel://:sesame-redis@h?sentinel_password=sesame"},
        {"HUB_REDIS_URL": "redis+cluster://:sesame-redis@127.0.0.1/sesame"},
        {"HUB_COOKIE_NAME": "__Host-s", "HUB_COOKIE_DOMAIN": "x"},
    ],
    ids=lambda broken: ",".join(broken),
)
def test_no_refusal_tells_a_secret(env: pytest.MonkeyPatch, broken: dict[str, str]) -> None:
    """Whatever is wrong, the line and the error behind it are fit for a public log."""
    for name, value in {**SECRETS, **broken}.items():
        env.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    error = caught.value
    assert error.__cause__ is None
    assert "sesame" not in f"{error} {error!r}"


def test_settings_do_not_change() -> None:
    """What was checked once stays as it was checked."""
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
