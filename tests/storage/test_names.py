import pytest

from databot.storage.names import clean_label, is_name, require_name
from databot.types.errors import RequestError


@pytest.mark.parametrize("name", ["", "x", "a b:c/d'\"\\%_", "ä🙂", "x" * 512, "\n"])
def test_any_text_a_database_can_hold_is_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["a\0", "\ud800", "x" * 513, "ä" * 257])
def test_what_no_index_can_hold_is_refused_with_what_to_do(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(RequestError) as caught:
        require_name("session id", name)
    assert "session id" in caught.value.message
    assert "512 bytes" in caught.value.hint
    assert name not in caught.value.message


def test_a_label_is_one_short_printable_line() -> None:
    assert clean_label("  a\n\tb\0\x1b[31m \ud800 ", 20) == "a b[31m ?"
    assert clean_label("x" * 100, 10) == "x" * 9 + "…"
    assert clean_label("\0", 10) == ""
