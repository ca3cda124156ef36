"""TLS to a server: what an address asks for, the context made of it, and what went wrong, in words.

PostgreSQL's names (`sslmode`, `sslrootcert`, `sslcert`, `sslkey` …) for every kind of server. It opens no connection, and
reads files only in `Tls.context`, each time anew: a certificate that was renewed counts for the next connection.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, get_args

from databot.types.errors import ConfigError

Mode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
MODES: tuple[Mode, ...] = get_args(Mode)
OPTIONS = (
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)
SYSTEM = "system"
"""As `sslrootcert`: the authorities the machine trusts."""
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What was asked for. `root`, `certificate`, `key` and `revoked` are paths, empty where not given.

    Only `prefer` may end in plain text. `require` encrypts; with a `root` it verifies like `verify-ca`, which trusts
    any server of that authority; `verify-full` wants the host's name in the certificate too.
    """

    mode: Mode
    root: str = ""
    certificate: str = ""
    key: str = ""
    revoked: str = ""
    lowest: str = ""
    highest: str = ""

    def context(self) -> ssl.SSLContext:
        """The context of the next connection, for every mode but `disable`. Reads files: not for the event loop.

        Raises:
            ConfigError: a file is missing, unreadable or not what its option says.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.mode == "verify-full"
        if self.root not in ("", SYSTEM):
            load("sslrootcert", self.root, lambda: context.load_verify_locations(self.root))
        elif self.mode == "verify-full":
            context.load_default_certs()
        else:
            context.verify_mode = ssl.CERT_NONE
        if self.revoked:
            load("sslcrl", self.revoked, lambda: context.load_verify_locations(self.revoked))
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if self.certificate:
            self._show_certificate(context)
        context.minimum_version = VERSIONS[self.lowest or "TLSv1.2"]
        if self.highest:
            context.maximum_version = VERSIONS[self.highest]
        return context

    def _show_certificate(self, context: ssl.SSLContext) -> None:
        key = self.key or self.certificate
        load("sslkey", key, lambda: None)
        load(
            "sslcert",
            self.certificate,
            lambda: context.load_cert_chain(self.certificate, key, password=refuse_passphrase),
        )


def tls_of(options: Mapping[str, str]) -> Tls | None:
    """What the options of an address ask for; `None` when none of them is about TLS.

    Without `sslmode`, `sslrootcert` means `verify-full` and any other option `require`: who names a file wants it used.

    Raises:
        ConfigError: an unknown mode or version, or options that contradict each other. No value is repeated.
    """
    if not any(name in options for name in OPTIONS):
        return None
    tls = Tls(
        mode=mode_of(options),
        root=options.get("sslrootcert", ""),
        certificate=options.get("sslcert", ""),
        key=options.get("sslkey", ""),
        revoked=options.get("sslcrl", ""),
        lowest=version_of(options, "ssl_min_protocol_version"),
        highest=version_of(options, "ssl_max_protocol_version"),
    )
    check(tls, options)
    return tls


def mode_of(options: Mapping[str, str]) -> Mode:
    if "sslmode" not in options:
        return "verify-full" if options.get("sslrootcert") else "require"
    for mode in MODES:
        if options["sslmode"].lower() == mode:
            return mode
    raise ConfigError("sslmode has an unknown value", hint=f"the modes are: {', '.join(MODES)}")


def version_of(options: Mapping[str, str], name: str) -> str:
    version = options.get(name, "")
    if version and version not in VERSIONS:
        raise ConfigError(
            f"{name} has an unknown value", hint=f"the versions are: {', '.join(VERSIONS)}"
        )
    return version


def check(tls: Tls, options: Mapping[str, str]) -> None:
    """Refuse what would not be acted on: an option that is silently dropped is a promise not kept."""
    given = [name for name in OPTIONS[1:] if options.get(name)]
    if tls.mode in ("disable", "prefer") and given:
        raise ConfigError(
            f"{given[0]} means nothing with sslmode={tls.mode}",
            hint="set sslmode=verify-full, verify-ca or require, or leave it out",
        )
    if tls.mode == "verify-ca" and tls.root in ("", SYSTEM):
        raise ConfigError(
            "sslmode=verify-ca needs sslrootcert, the file with the authority's certificate",
            hint="or set sslmode=verify-full, which also trusts the machine's own authorities",
        )
    if tls.mode == "require" and tls.root == SYSTEM:
        raise ConfigError("sslrootcert=system needs sslmode=verify-full")
    if tls.revoked and not tls.root and tls.mode != "verify-full":
        raise ConfigError("sslcrl needs a mode that verifies", hint="set sslmode=verify-full")
    if tls.key and not tls.certificate:
        raise ConfigError("sslkey needs sslcert, the certificate it belongs to")
    if tls.lowest > (tls.highest or tls.lowest):
        raise ConfigError("ssl_min_protocol_version is above ssl_max_protocol_version")


def load(option: str, path: str, read: Callable[[], None]) -> None:
    """Read a file, or say which option names what that cannot be used."""
    try:
        with Path(path).open("rb"):
            pass  # the ssl module's own errors do not name the file
        read()
    except ssl.SSLError as error:
        mixed = "MISMATCH" in (error.reason or "")
        reason = "does not fit the key" if mixed else "is not what it should be: PEM is read here"
        raise ConfigError(f"the file of {option} {reason}: {path}") from error
    except FileNotFoundError as error:
        raise ConfigError(
            f"the file of {option} does not exist: {path}",
            hint="a relative path begins in the folder databot is started in",
        ) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise ConfigError(
            f"the file of {option} cannot be read ({reason}): {path}",
            hint="let the user databot runs as read it",
        ) from error


def refuse_passphrase() -> NoReturn:
    """Called for an encrypted key; without this OpenSSL would ask on the terminal, and wait."""
    raise ConfigError(
        "the key of sslkey is encrypted",
        hint="remove its passphrase: openssl pkey -in OLD -out NEW",
    )
