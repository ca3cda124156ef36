"""Reading the URL of a server: `scheme://USER:PASSWORD@HOST:PORT/PATH?OPTIONS`.

A password may hold any character: the login ends at the last `@` in front of the host, so a raw `@`, `/`, `:` or `?` in
it is taken as it is; `%XX` is always decoded. What the path and the options mean is for whoever asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from databot.types.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUrl:
    """The parts of such a URL; `path` as written and without its first `/`. The password is never shown."""

    scheme: str
    host: str
    port: int
    path: str
    user: str | None
    password: str | None = field(repr=False)
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRules:
    """What a setting's URLs are like: `spelling` shows people one, `spellings` are other names of some `options`."""

    setting: str
    spelling: str
    port: int
    options: Sequence[str]
    spellings: Mapping[str, str] = field(default_factory=dict[str, str])


def read_server_url(url: str, rules: UrlRules) -> ServerUrl:
    """Take the URL apart; opens nothing.

    Raises:
        ConfigError: the port is none, an option is unknown or stands there twice; the message never repeats the URL.
    """
    scheme, _, rest = url.partition("://")
    login, _, place = rest.rpartition("@")
    user, _, password = login.partition(":")
    place, _, query = place.partition("?")
    server, _, path = place.partition("/")
    host, port = host_and_port(server, rules)
    return ServerUrl(
        scheme=scheme,
        host=host,
        port=port,
        path=path,
        user=unquote(user) or None,
        password=unquote(password) or None,
        options=options_of(query, rules),
    )


def options_of(query: str, rules: UrlRules) -> dict[str, str]:
    options: dict[str, str] = {}
    for written, value in parse_qsl(query):
        name = rules.spellings.get(written, written)
        if (
            name not in rules.options
        ):  # not named: what was meant as a password may have landed there
            raise ConfigError(
                f"{rules.setting} has an unknown option",
                hint=f"the options are: {', '.join(rules.options)}; a ? in a password is written %3F",
            )
        if name in options:
            raise ConfigError(f"{rules.setting} says {name} twice", hint="keep one")
        options[name] = value
    return options


def host_and_port(server: str, rules: UrlRules) -> tuple[str, int]:
    host, bracket, port = server.rpartition("]")
    if bracket:
        host, port = host.lstrip("["), port.lstrip(":")
    else:
        host, _, port = server.partition(":")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        problem = f"{rules.setting} has a port that is not a number"
        raise ConfigError(problem, hint=f"write {rules.spelling}")
    return unquote(host), int(port or rules.port)
