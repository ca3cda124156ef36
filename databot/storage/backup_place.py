"""Where a backup goes: one new folder or one `.tar.gz`, there as a whole or not at all.

It is made in a hidden folder beside its place and takes its name when every byte is on the disk. A backup that is
killed leaves only that hidden folder, and the next one to the same place clears it away.
"""

import fcntl
import os
import shutil
import tarfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from errno import EOPNOTSUPP, EPERM
from pathlib import Path
from typing import Protocol

from databot.types.errors import ConfigError, StorageUnavailable

ARCHIVE_ENDINGS = (".tar.gz", ".tgz")
ARCHIVE = "archive"
LEVEL = 6


class Place(Protocol):
    """Takes files in. `work` is a private folder on the same disk, to make files in that are then taken with `keep`."""

    work: Path

    def add(self, source: Path, name: str) -> bool:
        """Take a copy of a file in under a relative name; says whether it was still there."""
        ...

    def keep(self, name: str) -> None:
        """Take in a file made in `work` under that name."""
        ...


class FolderPlace:
    """A backup as a folder."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def add(self, source: Path, name: str) -> bool:
        target = self.work / name
        make_private_folders(self.work, target.parent)
        try:
            original = source.open("rb")
        except FileNotFoundError:
            return False
        with original, private_file(target) as copy:
            shutil.copyfileobj(original, copy, 1_048_576)
            copy.flush()
            os.fsync(copy.fileno())
        return True

    def keep(self, name: str) -> None:
        sync(self.work / name)

    def finish(self, path: Path) -> None:
        for folder, _, _ in os.walk(self.work):
            sync(Path(folder))
        try:
            self.work.rename(path)  # an empty folder of that name is replaced, anything else is not
        except OSError as error:
            if os.path.lexists(path):
                raise exists(path) from error
            raise


class ArchivePlace:
    """A backup as one compressed file."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._file = private_file(work / ARCHIVE)
        self._tar = tarfile.open(fileobj=self._file, mode="w:gz", compresslevel=LEVEL)  # noqa: SIM115 - closed by `finish` or `close`
        self._folders: set[str] = set()

    def add(self, source: Path, name: str) -> bool:
        try:
            original = source.open("rb")
        except FileNotFoundError:
            return False
        with original:
            self._make_folders(name)
            entry = self._tar.gettarinfo(fileobj=original, arcname=name)
            self._tar.addfile(private(entry), original)
        return True

    def _make_folders(self, name: str) -> None:
        for parent in reversed(Path(name).parents[:-1]):
            if parent.as_posix() not in self._folders:
                self._folders.add(parent.as_posix())
                entry = tarfile.TarInfo(parent.as_posix())
                entry.type = tarfile.DIRTYPE
                self._tar.addfile(private(entry))

    def keep(self, name: str) -> None:
        self.add(self.work / name, name)
        (self.work / name).unlink()

    def finish(self, path: Path) -> None:
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        put_new(self.work / ARCHIVE, path)

    def close(self) -> None:
        with suppress(OSError):  # what went wrong first is what is told
            self._file.close()


@contextmanager
def new_place(path: Path) -> Generator[Place]:
    """A place for a backup that appears at `path` when the block ends well, and leaves nothing when it does not.

    Raises:
        ConfigError: something is there already, its folder does not exist, or another backup to it is under way.
        StorageUnavailable: the disk is full or refuses to be written.
    """
    path = path.expanduser().absolute()
    if os.path.lexists(path):
        raise exists(path)
    try:
        with working_folder(path) as work:
            place = ArchivePlace(work) if is_archive(path) else FolderPlace(work)
            try:
                yield place
                place.finish(path)
            finally:
                if isinstance(place, ArchivePlace):
                    place.close()
        sync(path.parent)
    except OSError as error:
        reason = (error.strerror or "input/output error").lower()
        message = f"the backup {path} cannot be written: {reason}"
        raise StorageUnavailable(
            message, hint="nothing was left behind; see to it, and try again"
        ) from error


def is_archive(path: Path) -> bool:
    return path.name.endswith(ARCHIVE_ENDINGS)


@contextmanager
def working_folder(path: Path) -> Generator[Path]:
    """A private folder beside `path`, ours alone while inside and gone afterwards unless it took another name."""
    work = path.with_name(f".{path.name}.part")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} does not exist", hint="make it first")
    with suppress(FileExistsError):
        work.mkdir(mode=0o700)
    descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        take(descriptor, work, path)
        os.fchmod(descriptor, 0o700)
        clear(work)  # what one that was killed has left
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(descriptor)


def take(descriptor: int, work: Path, path: Path) -> None:
    """Hold the folder; the system lets go of it when the process ends, however it ends. Raises `ConfigError`."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held, found = os.fstat(descriptor), work.lstat()
        ours = held.st_uid == os.geteuid() and held.st_ino == found.st_ino
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:
        raise ConfigError(
            f"another backup to {path} is under way", hint="wait for it, or give another path"
        )


def clear(work: Path) -> None:
    for entry in work.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def put_new(made: Path, path: Path) -> None:
    """Give a finished file its name, unless something else has taken it meanwhile. Raises `ConfigError`."""
    try:
        path.hardlink_to(made)
    except FileExistsError as error:
        raise exists(path) from error
    except OSError as error:
        if error.errno not in (EPERM, EOPNOTSUPP):
            raise
        if os.path.lexists(path):
            raise exists(path) from error
        made.rename(path)  # a file system without links


def make_private_folders(base: Path, folder: Path) -> None:
    """Make `folder`, somewhere below `base`, and those between; each for its owner only."""
    if folder != base:
        make_private_folders(base, folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def private_file(path: Path):  # noqa: ANN201 - the class `os.fdopen` gives
    """A new file that only its owner can read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")


def private(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whoever unpacks it owns it, and nobody else reads it."""
    entry.mode = 0o700 if entry.isdir() else 0o600
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def sync(path: Path) -> None:
    """On the disk, a file or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exists(path: Path) -> ConfigError:
    return ConfigError(f"{path} exists already", hint="a backup never overwrites: give a new path")
