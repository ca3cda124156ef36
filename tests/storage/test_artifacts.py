import asyncio
import threading
from pathlib import Path

import pytest

from databot.storage.artifacts import write_file
from databot.storage.open import Store
from databot.types.errors import RequestError, StorageUnavailable
from tests.storage.parts import Place, message

CHAT = message().conversation


def files(place: Place) -> list[Path]:
    return [path for path in (place.data_dir / "artifacts").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\0b", "", "x" * 5000, "ä🙂.csv"]
)
async def test_a_name_is_shown_and_never_a_path(place: Place, name: str) -> None:
    async with place.open() as store:
        ref = await store.artifacts.save(CHAT, name, "text/csv", b"data")
        artifact = await store.artifacts.load("default", ref.id)
    (path,) = files(place)
    assert artifact is not None
    assert artifact.data == b"data"
    assert path == place.data_dir / "artifacts" / ref.id[-2:] / ref.id
    assert 0 < len(ref.name) <= 200
    assert ref.name.isprintable()


async def test_only_the_owner_may_read_the_files(place: Place) -> None:
    async with place.open() as store:
        await store.artifacts.save(CHAT, "a", "text/csv", b"data")
    (path,) = files(place)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_an_artifact_survives_a_restart(place: Place) -> None:
    async with place.open() as store:
        ref = await store.artifacts.save(CHAT, "a", "text/csv", b"data")
    async with place.open() as store:
        artifact = await store.artifacts.load("default", ref.id)
        assert artifact is not None
        assert artifact.data == b"data"


async def test_an_artifact_whose_file_is_gone_is_not_there(place: Place) -> None:
    async with place.open() as store:
        ref = await store.artifacts.save(CHAT, "a", "text/csv", b"data")
        files(place)[0].unlink()
        assert await store.artifacts.load("default", ref.id) is None
        assert await store.artifacts.delete_all(CHAT) == 1


async def test_a_folder_that_cannot_be_written_is_told_in_one_line(place: Place) -> None:
    (place.data_dir / "artifacts").write_text("a file is in the way")
    async with place.open() as store:
        with pytest.raises(StorageUnavailable) as caught:
            await store.artifacts.save(CHAT, "a", "text/csv", b"data")
    assert "artifact could not be kept" in caught.value.message
    assert caught.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path: Path) -> None:
    target = tmp_path / "xx" / "art_1"
    target.parent.mkdir()
    (target.parent / ".art_1.part").symlink_to("/dev/full")
    with pytest.raises(StorageUnavailable):
        write_file(target, b"x" * 100_000)
    assert not target.exists()


async def test_a_record_that_cannot_be_written_leaves_no_file(place: Place) -> None:
    async with place.open() as store:
        ref = await store.artifacts.save(CHAT, "a", "text/csv", b"first")
        artifacts = store.artifacts
    # The store is closed: the bytes can be written, the record cannot.
    with pytest.raises(StorageUnavailable):
        await artifacts.save(CHAT, "b", "text/csv", b"second")
    assert [path.name for path in files(place)] == [ref.id]


async def test_a_saving_that_is_cancelled_while_the_disk_works_leaves_no_file(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, written = threading.Event(), threading.Event(), threading.Event()

    def slow(path: Path, data: bytes) -> None:
        begun.set()
        assert go.wait(10)
        write_file(path, data)
        written.set()

    monkeypatch.setattr("databot.storage.artifacts.write_file", slow)
    async with place.open() as store:
        saving = asyncio.ensure_future(store.artifacts.save(CHAT, "a", "text/csv", b"data"))
        assert await asyncio.to_thread(begun.wait, 10)
        saving.cancel()
        await asyncio.wait([saving])
        go.set()
        assert await asyncio.to_thread(written.wait, 10)
        async with asyncio.timeout(10):
            while files(place):  # noqa: ASYNC110 - what removes it is a thread that tells nobody
                await asyncio.sleep(0)


async def test_a_conversation_no_database_can_name_is_refused(store: Store) -> None:
    with pytest.raises(RequestError):
        await store.artifacts.save(message(chat_id="a\0").conversation, "a", "x/y", b"")


async def test_many_artifacts_are_saved_at_once(store: Store) -> None:
    async with asyncio.timeout(60):
        refs = await asyncio.gather(
            *(store.artifacts.save(CHAT, f"{n}", "x/y", str(n).encode()) for n in range(40))
        )
        loaded = await asyncio.gather(*(store.artifacts.load("default", ref.id) for ref in refs))
    assert [item.data for item in loaded if item] == [str(n).encode() for n in range(40)]
