"""Files of artifacts that something else has put its hands on, and folders SQLite must not be put into."""

from dataclasses import replace
from pathlib import Path

import pytest

from databot.storage.sqlite import files
from databot.types.errors import ConfigError, StorageError, StorageUnavailable
from tests.storage.parts import Place, message

CHAT = message().conversation


def the_file(place: Place) -> Path:
    (path,) = [path for path in (place.data_dir / "artifacts").rglob("*") if path.is_file()]
    return path


async def test_a_file_that_is_none_any_more_is_told_by_its_handle_when_read_and_when_deleted(
    place: Place,
) -> None:
    async with place.open() as store:
        ref = await store.artifacts.save(CHAT, "a", "text/csv", b"data")
        path = the_file(place)
        path.unlink()
        path.mkdir()
        with pytest.raises(StorageError, match=f"the artifact {ref.id} cannot be read"):
            await store.artifacts.load("default", ref.id)
        with pytest.raises(StorageUnavailable, match=f"{ref.id} could not be deleted"):
            await store.artifacts.delete_all(CHAT)
        path.rmdir()
        assert await store.artifacts.delete_all(CHAT) == 1


async def test_a_conversation_no_database_can_name_has_no_files(place: Place) -> None:
    async with place.open() as store:
        assert await store.artifacts.delete_all(replace(CHAT, session_id="half \ud800")) == 0


@pytest.mark.parametrize("kind", ["nfs4", "cifs"])
def test_a_folder_of_another_machine_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(files, "file_system_of", lambda _: kind)
    with pytest.raises(ConfigError, match=f"network file system \\({kind}\\)") as caught:
        files.refuse_network_file_system(tmp_path)
    assert "a local disk" in caught.value.hint
