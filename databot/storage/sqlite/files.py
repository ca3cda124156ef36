"""The database's file: where it is, who may read it, and that only one daemon owns it."""

import fcntl
import os
import time
from errno import EISDIR
from pathlib import Path

from databot.types.errors import ConfigError, StorageUnavailable

PREFIXES = ("sqlite+aiosqlite:///", "sqlite:///")
LOCK_TRIES = 20
LOCK_PAUSE_S = 0.05
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "fuse.sshfs"})


def path_of(url: str) -> Path:
    """The file an SQLite URL names.

    Raises:
        ConfigError: it names none, or asks for options, or for a database in memory, which would lose what was
            acknowledged.
    """
    prefix = next(prefix for prefix in PREFIXES if url.startswith(prefix))
    name = url[len(prefix) :]
    if not name or name.startswith(":memory:") or "?" in name or "\0" in name:
        raise ConfigError(
            f"storage.url {url!r} does not name a file",
            hint="write sqlite+aiosqlite:///PATH (four slashes for an absolute path)",
        )
    return Path(name).expanduser().absolute()


def make_file(path: Path) -> None:
    """Create the folder (0700) and an empty file (0600) where there is none; leave what exists as it is.

    Raises:
        ConfigError: the folder cannot be made or entered, or is on a network file system; or the file is a folder.
        StorageUnavailable: there is no space.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_network_file_system(path.parent)
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "is a directory")
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise file_error("the database", path, error) from error


def file_error(what: str, path: Path, error: OSError) -> ConfigError | StorageUnavailable:
    """An operating system's refusal, told in one line."""
    reason = (error.strerror or "input/output error").lower()
    message = f"{what} {path} cannot be written: {reason}"
    if isinstance(
        error, PermissionError | NotADirectoryError | FileExistsError | IsADirectoryError
    ):
        return ConfigError(message, hint="set data_dir and storage.url to a place you may write to")
    return StorageUnavailable(message, hint="free some space or look at the disk")


def refuse_network_file_system(folder: Path) -> None:
    """SQLite's locks do not hold across machines: refuse a folder that is mounted from one."""
    kind = file_system_of(folder.resolve())
    if kind in NETWORK_FILE_SYSTEMS:
        raise ConfigError(
            f"the folder {folder} is on a network file system ({kind}), where SQLite loses data",
            hint="put data_dir on a local disk, or use postgresql+asyncpg://…",
        )


def file_system_of(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The type of the file system `folder` is on; empty where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best = ("", "")
    for line in lines:
        fields = line.split()
        point = fields[1].encode().decode("unicode_escape") if len(fields) > 2 else ""
        if point and folder.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, fields[2])
    return best[1]


class OwnerLock:
    """The lock file beside the database, held by the one daemon that answers from it.

    The operating system lets go of it when the process ends, however it ends. Commands that only look take it shared,
    and only while they change the schema.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._database = database
        self._descriptor: int | None = None

    def take(self, *, shared: bool = False) -> None:
        """Take it, waiting a second at most.

        Raises:
            ConfigError: another process has it; the message says which.
        """
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise file_error("the lock file", self._path, error) from error
        if not lock_within(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise ConfigError(
                f"another databot{f' (process {owner})' if owner.isdigit() else ''} is running on "
                f"{self._database}",
                hint="stop it first, or give this one its own data_dir",
            )
        self._descriptor = descriptor
        if not shared:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let go; safe to call more than once."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_within(descriptor: int, mode: int) -> bool:
    """Try for a second: a command that changes the schema holds the lock for a moment only."""
    for attempt in range(LOCK_TRIES):
        if attempt:
            time.sleep(LOCK_PAUSE_S)
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False
