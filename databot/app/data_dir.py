"""The folder that holds everything databot keeps: made at the start, for its owner only."""

import os
from errno import EACCES, ENOENT, ENOTDIR, EROFS
from pathlib import Path

from databot.types.errors import ConfigError


def make_data_dir(path: Path) -> None:
    """Make it. Raises `ConfigError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a path no file system takes
        raise unusable(path, error) from error


def check_data_dir(path: Path) -> None:
    """Refuse a place where it could not be made, without making it. Raises `ConfigError`."""
    try:
        place = nearest(path)
        if not place.is_dir():
            raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR))
        if not os.access(place, os.W_OK | os.X_OK):
            read_only = os.statvfs(place).f_flag & os.ST_RDONLY
            reason = EROFS if read_only else EACCES
            raise PermissionError(reason, os.strerror(reason))
    except (OSError, ValueError) as error:
        raise unusable(path, error) from error


def nearest(path: Path) -> Path:
    """The path, or the closest of the folders it would lie in that exists. Raises `OSError` and `ValueError`."""
    for place in (path, *path.absolute().parents):
        try:
            place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return place
    raise FileNotFoundError(ENOENT, os.strerror(ENOENT))


def unusable(path: Path, error: Exception) -> ConfigError:
    why = getattr(error, "strerror", None) or error
    return ConfigError(
        f"the data directory {str(path)!r} cannot be made: {why}",
        hint="set data_dir to a place databot may write to",
    )
