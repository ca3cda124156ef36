import subprocess
import sys
from pathlib import Path

import pytest

from databot.storage.sqlite.files import OwnerLock, file_system_of, make_file, path_of
from databot.types.errors import ConfigError

HOLD = """
import sys
from pathlib import Path
from databot.storage.sqlite.files import OwnerLock
OwnerLock(Path(sys.argv[1])).take()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_url_names_a_file() -> None:
    assert path_of("sqlite+aiosqlite:////var/lib/x.db") == Path("/var/lib/x.db")
    assert path_of("sqlite:///x y%20.db") == Path.cwd() / "x y%20.db"


@pytest.mark.parametrize("name", ["", ":memory:", "x.db?mode=ro", "a\0b"])
def test_a_url_without_a_file_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="does not name a file"):
        path_of(f"sqlite+aiosqlite:///{name}")


def test_what_is_created_is_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.db"
    make_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_where_the_file_should_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        make_file(tmp_path)


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        make_file(tmp_path / "file" / "a.db")


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError) as caught:
            OwnerLock(path).take()
        assert f"process {owner.pid}" in caught.value.message
        assert "data_dir" in caught.value.hint
        owner.kill()
    lock = OwnerLock(path)
    lock.take()
    lock.release()
    lock.release()


def test_shared_holders_exclude_only_an_owner(tmp_path: Path) -> None:
    first, second, owner = (OwnerLock(tmp_path / "a.db") for _ in range(3))
    first.take(shared=True)
    second.take(shared=True)
    with pytest.raises(ConfigError):
        owner.take()
    first.release()
    second.release()
    owner.take()
    owner.release()


def test_the_innermost_mount_decides_the_file_system(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\nsrv:/x /data nfs4 rw 0 0\n/dev/vdb /data/my\\040disk xfs rw 0 0\n"
    )
    assert file_system_of(Path("/home"), mounts) == "ext4"
    assert file_system_of(Path("/data/dir"), mounts) == "nfs4"
    assert file_system_of(Path("/data/my disk/x"), mounts) == "xfs"
    assert file_system_of(Path("/database"), mounts) == "ext4"
    assert file_system_of(Path("/"), tmp_path / "none") == ""
