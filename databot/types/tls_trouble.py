"""What failed in a TLS connection, in words a person can act on.

Pure: it reads the error Python's `ssl` module left in an exception, or its code in the text of one. It knows the options
by the names of `databot.types.tls`, and no server.
"""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What failed, and what to change. `passing` says that trying again may help."""

    what: str
    hint: str
    passing: bool = False


UNTRUSTED = Trouble(
    what="the server's certificate is signed by an authority that is not trusted here",
    hint="name the file with its authority's certificate in sslrootcert",
)
WRONG_NAME = Trouble(
    what="the server's certificate is made for another host name",
    hint="use the name it is made for as the host, or sslmode=verify-ca, which does not look at the name",
)
BY_VERIFY_CODE = {
    3: Trouble(
        what="the list of revoked certificates does not cover the server's authority",
        hint="renew the file of sslcrl",
    ),
    9: Trouble(
        what="the server's certificate is not valid yet",
        hint="compare the clocks of this machine and the server",
    ),
    10: Trouble(what="the server's certificate has expired", hint="renew it on the server"),
    12: Trouble(
        what="the list of revoked certificates has expired", hint="renew the file of sslcrl"
    ),
    **dict.fromkeys((2, 18, 19, 20, 21), UNTRUSTED),
    23: Trouble(what="the server's certificate was revoked", hint="renew it on the server"),
    **dict.fromkeys((62, 64), WRONG_NAME),
}
"""By the codes of OpenSSL's X509_verify_cert_error."""
REFUSED = Trouble(
    what="the server does not accept our certificate", hint="check the files of sslcert and sslkey"
)
NO_COMMON_VERSION = Trouble(
    what="the server and databot have no TLS version in common",
    hint="let the server speak TLS 1.2 or newer, and check ssl_min_ and ssl_max_protocol_version",
)
BY_REASON = (
    (r"ALERT_(UNKNOWN_CA|BAD_CERT|CERT|UNSUPPORTED_CERT)|CERTIFICATE_REQUIRED", REFUSED),
    (r"PROTOCOL|NO_CIPHERS|VERSION_TOO_LOW", NO_COMMON_VERSION),
)
_IN_TEXT = re.compile(r"\[SSL(?:: ([A-Z0-9_]+))?\]")


def trouble_of(error: BaseException) -> Trouble | None:
    """What TLS has to do with an error; `None` when nothing."""
    for cause in chain_of(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BY_VERIFY_CODE.get(cause.verify_code) or Trouble(
                what=f"the server's certificate cannot be verified: {cause.verify_message}",
                hint="look at the server's certificate",
            )
        if isinstance(cause, ssl.SSLError):
            return by_reason(cause.reason or type(cause).__name__)
    found = _IN_TEXT.search(str(error))
    return by_reason(found[1] or "no reason given") if found else None


def by_reason(reason: str) -> Trouble:
    for pattern, trouble in BY_REASON:
        if re.search(pattern, reason):
            return trouble
    told = reason.replace("_", " ").lower()
    hint = "check that the port is right and the server speaks TLS there"
    return Trouble(what=f"the TLS connection failed ({told})", hint=hint, passing=True)


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__
