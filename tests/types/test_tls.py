"""What an address asks of TLS, the files behind it, and TLS errors in words: without a server."""

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from databot.types.errors import ConfigError
from databot.types.tls import Tls, tls_of
from databot.types.tls_trouble import Trouble, trouble_of

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def openssl(*arguments: str | Path) -> None:
    if shutil.which("openssl") is None and os.environ.get("CI") != "true":
        pytest.skip("openssl is not installed")
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`own.crt` with `own.key`, and `locked.key`, the same key with a passphrase."""
    folder = tmp_path_factory.mktemp("tls")
    own = ("-keyout", folder / "own.key", "-out", folder / "own.crt")
    openssl("req", "-x509", *KEY, "-nodes", *own, "-days", "2", "-subj", "/CN=own")
    locked = ("-out", folder / "locked.key", "-aes128", "-passout", "pass:x")
    openssl("pkey", "-in", folder / "own.key", *locked)
    return folder


def problem(tls: Tls) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        tls.context()
    return caught.value


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"search_path": "x"}, None),
        ({"sslmode": "Require"}, Tls(mode="require")),
        ({"sslrootcert": "/ca"}, Tls(mode="verify-full", root="/ca")),
        ({"sslcert": "/c", "sslkey": "/k"}, Tls(mode="require", certificate="/c", key="/k")),
        ({"sslmode": "verify-full", "sslrootcert": "system"}, Tls(mode="verify-full", root="system")),
        (
            {"sslmode": "verify-ca", "sslrootcert": "/ca", "sslcrl": "/crl", "ssl_min_protocol_version": "TLSv1.3"},
            Tls(mode="verify-ca", root="/ca", revoked="/crl", lowest="TLSv1.3"),
        ),
    ],
)  # fmt: skip
def test_options_say_how_to_encrypt(options: dict[str, str], expected: Tls | None) -> None:
    assert tls_of(options) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sslmode": "s3cret"}, "sslmode has an unknown value"),
        ({"sslmode": "require", "ssl_min_protocol_version": "s3cret"}, "ssl_min_protocol_version has"),
        ({"sslmode": "disable", "sslrootcert": "s3cret"}, "sslrootcert means nothing with sslmode=disable"),
        ({"sslmode": "prefer", "sslcert": "s3cret"}, "sslcert means nothing with sslmode=prefer"),
        ({"sslmode": "verify-ca"}, "verify-ca needs sslrootcert"),
        ({"sslmode": "verify-ca", "sslrootcert": "system"}, "verify-ca needs sslrootcert"),
        ({"sslmode": "require", "sslrootcert": "system"}, "system needs sslmode=verify-full"),
        ({"sslmode": "require", "sslcrl": "s3cret"}, "sslcrl needs a mode that verifies"),
        ({"sslkey": "s3cret"}, "sslkey needs sslcert"),
        (
            {"sslmode": "require", "ssl_min_protocol_version": "TLSv1.3", "ssl_max_protocol_version": "TLSv1.2"},
            "is above",
        ),
    ],
)  # fmt: skip
def test_options_that_mean_nothing_together_are_refused(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        tls_of(options)
    assert "s3cret" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize(
    ("mode", "root", "verified", "named"),
    [
        ("prefer", False, ssl.CERT_NONE, False),
        ("require", False, ssl.CERT_NONE, False),
        ("require", True, ssl.CERT_REQUIRED, False),
        ("verify-ca", True, ssl.CERT_REQUIRED, False),
        ("verify-full", True, ssl.CERT_REQUIRED, True),
        ("verify-full", False, ssl.CERT_REQUIRED, True),
    ],
)
def test_a_context_verifies_what_its_mode_promises(
    files: Path, mode: str, root: bool, verified: ssl.VerifyMode, named: bool
) -> None:
    tls = tls_of({"sslmode": mode, **({"sslrootcert": str(files / "own.crt")} if root else {})})
    assert tls is not None
    context = tls.context()
    assert (context.verify_mode, context.check_hostname) == (verified, named)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_authorities_of_the_machine_are_trusted_only_where_no_other_is_named(
    files: Path,
) -> None:
    machine = Tls(mode="verify-full").context().cert_store_stats()
    assert machine == Tls(mode="verify-full", root="system").context().cert_store_stats()
    named = Tls(mode="verify-full", root=str(files / "own.crt")).context().cert_store_stats()
    assert named["x509"] == 1


def test_a_certificate_and_its_key_are_shown_from_two_files_or_one(files: Path) -> None:
    own = Tls(mode="require", certificate=str(files / "own.crt"), key=str(files / "own.key"))
    own.context()
    both = files / "both.pem"
    both.write_bytes((files / "own.crt").read_bytes() + (files / "own.key").read_bytes())
    Tls(mode="require", certificate=str(both)).context()


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(files: Path) -> None:
    locked = Tls(mode="require", certificate=str(files / "own.crt"), key=str(files / "locked.key"))
    error = problem(locked)
    assert "the key of sslkey is encrypted" in error.message
    assert "openssl pkey" in error.hint


def test_a_file_that_cannot_be_used_is_named_with_its_option(files: Path) -> None:
    gone = str(files / "gone.pem")
    assert (
        f"the file of sslrootcert does not exist: {gone}"
        in problem(Tls(mode="verify-full", root=gone)).message
    )
    assert (
        "the file of sslkey does not exist"
        in problem(Tls(mode="require", certificate=str(files / "own.crt"), key=gone)).message
    )
    assert (
        "the file of sslcrl cannot be read (is a directory)"
        in problem(Tls(mode="verify-full", root=str(files / "own.crt"), revoked=str(files))).message
    )
    assert "the file of sslrootcert is not what it should be" in problem(
        Tls(mode="verify-full", root=str(files / "own.key"))
    ).message  # fmt: skip


def verification(code: int, text: str = "") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code, error.verify_message = code, text
    return error


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (10, "has expired"),
        (9, "not valid yet"),
        (18, "not trusted"),
        (19, "not trusted"),
        (20, "not trusted"),
        (23, "revoked"),
        (62, "another host name"),
        (64, "another host name"),
        (24, "cannot be verified: invalid CA"),
    ],
)
def test_a_certificate_that_does_not_hold_is_told_in_words(code: int, told: str) -> None:
    trouble = trouble_of(verification(code, "invalid CA"))
    assert trouble is not None
    assert told in trouble.what
    assert trouble.hint
    assert not trouble.passing


@pytest.mark.parametrize(
    ("text", "told", "passing"),
    [
        ("(2013, 'Lost ([SSL: TLSV1_ALERT_UNKNOWN_CA] alert (_ssl.c:2580))')", "our certificate", False),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] x", "our certificate", False),
        ("[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol", "no TLS version in common", False),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "wrong version number", True),
        ("[SSL] unknown error", "no reason given", True),
    ],
)  # fmt: skip
def test_a_code_of_openssl_in_a_text_is_found(text: str, told: str, passing: bool) -> None:
    trouble = trouble_of(Exception(text))
    assert isinstance(trouble, Trouble)
    assert (told in trouble.what, trouble.passing) == (True, passing)


def test_the_cause_of_an_error_is_looked_at_and_other_errors_are_left_alone() -> None:
    outer = ConnectionError("lost")
    outer.__cause__ = verification(10)
    trouble = trouble_of(outer)
    assert trouble is not None
    assert "has expired" in trouble.what
    assert trouble_of(ConnectionRefusedError("no")) is None
