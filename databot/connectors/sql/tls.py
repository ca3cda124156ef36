"""TLS of database URLs: one spelling for all servers, the clients' own understood, and its failures as `ConnectorError`.

The spelling is PostgreSQL's (`databot.types.tls`). A context is made in a thread, anew for each connection.
"""

import asyncio
import ssl
from typing import Any

from databot.connectors.sql.address import Address
from databot.connectors.sql.driver import Target
from databot.connectors.sql.problems import problem
from databot.types.errors import ConfigError, ConnectorError
from databot.types.tls import OPTIONS, Tls, tls_of
from databot.types.tls_trouble import Trouble

SPELLINGS = {
    "ssl": "sslmode",
    "ssl-mode": "sslmode",
    "ssl_mode": "sslmode",
    "ssl-ca": "sslrootcert",
    "ssl_ca": "sslrootcert",
    "ssl-cert": "sslcert",
    "ssl_cert": "sslcert",
    "ssl-key": "sslkey",
    "ssl_key": "sslkey",
}
"""What other clients write, as URLs are copied from them."""
WORDS = {
    "disabled": "disable",
    "false": "disable",
    "0": "disable",
    "preferred": "prefer",
    "required": "require",
    "true": "require",
    "1": "require",
    "verify_ca": "verify-ca",
    "verify_identity": "verify-full",
}
NOT_OFFERED = Trouble(
    what="the server offers no TLS",
    hint="switch it on there, or set sslmode=disable to send everything in plain text",
)


def tls_of_address(address: Address) -> Tls | None:
    """What the URL asks for; `None` when it says nothing of TLS.

    Raises:
        ConfigError: an unknown value, options that contradict each other, or one option in two spellings.
    """
    chosen: dict[str, str] = {}
    for written, value in address.options.items():
        name = SPELLINGS.get(written, written)
        if name in chosen:
            raise ConfigError(f"the {address.engine} URL says {name} twice", hint="keep one")
        if name in OPTIONS:
            chosen[name] = WORDS.get(value.lower(), value) if name == "sslmode" else value
    return tls_of(chosen)


async def context_of(target: Target, tls: Tls) -> ssl.SSLContext:
    """The context of the next connection.

    Raises:
        ConnectorError: a certificate file cannot be used. Not when building, because files come and go without databot.
    """
    try:
        return await asyncio.to_thread(tls.context)
    except ConfigError as error:
        raise problem(target, error.message, "unavailable", hint=error.hint) from error


def hint_when_lost(target: Target) -> str:
    """A server that refuses a certificate may hang up without a word: TLS 1.3 lets it do so after the handshake."""
    tls = tls_of_address(target.address)
    if tls is None or not tls.certificate:
        return ""
    return "if it never works, the server may not accept our certificate: check the files of sslcert and sslkey"


def told(target: Target, trouble: Trouble) -> ConnectorError:
    """What failed in TLS, as the connector's error."""
    return problem(
        target,
        f"{target.address.place}: {trouble.what}",
        "unavailable",
        hint=trouble.hint,
        retryable=trouble.passing,
    )


def encryption_of(transport: Any, *, local: bool) -> str:  # noqa: ANN401 - an asyncio transport of a client without complete types
    """How an open connection is encrypted, as TLS names it: the wire itself is asked, not what is at its far end.

    Empty for a plain socket of this machine (`local`), where there is no network to hide from.
    """
    cipher: tuple[str, str, int] | None = transport.get_extra_info("cipher")
    if cipher:
        return cipher[1]
    return "" if local else "not encrypted"
