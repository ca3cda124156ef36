"""TLS options of a MySQL URL, in the spellings of the common clients."""

import ssl

from databot.connectors.sql.address import Address
from databot.types.errors import ConfigError

TLS_OPTIONS = (
    "ssl-mode",
    "ssl_mode",
    "sslmode",
    "ssl",
    "ssl_ca",
    "ssl_cert",
    "ssl_key",
)
_PLAIN = {"disabled", "disable", "false", "0", "preferred", "prefer", ""}
_ENCRYPTED = {"required", "require", "true", "1"}
_VERIFIED = {"verify_ca", "verify-ca"}
_FULLY_VERIFIED = {"verify_identity", "verify-full"}


def tls_context(address: Address) -> ssl.SSLContext | None:
    """The context the URL asks for, `None` for a plain connection.

    Raises:
        ConfigError: an unknown mode, or a certificate file that cannot be read.
    """
    mode = mode_of(address)
    if mode in _PLAIN:
        return None
    if mode not in _ENCRYPTED | _VERIFIED | _FULLY_VERIFIED:
        raise ConfigError(
            "the mysql URL has an unknown ssl mode",
            hint="the modes are: disabled, required, verify_ca, verify_identity",
        )
    try:
        return context_of(address, mode)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"a certificate file of the mysql URL cannot be read: {error}") from error


def mode_of(address: Address) -> str:
    named = [address.options[key] for key in TLS_OPTIONS[:4] if key in address.options]
    default = "verify_ca" if "ssl_ca" in address.options else ""
    return (named[0] if named else default).lower()


def context_of(address: Address, mode: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=address.options.get("ssl_ca"))
    context.check_hostname = mode in _FULLY_VERIFIED
    if mode in _ENCRYPTED:
        context.verify_mode = ssl.CERT_NONE
    if "ssl_cert" in address.options:
        context.load_cert_chain(address.options["ssl_cert"], address.options.get("ssl_key"))
    return context
