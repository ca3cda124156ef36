"""A backup of everything databot keeps: the database, the files beside it and the retrieval index.

The database comes first. The files are those it names at the instant of its copy: they are written before they are named,
so all of them are there, but for those a conversation took along that was deleted meanwhile. The index is copied when
nobody writes to it, and left out otherwise: a start makes it anew from its sources. The configuration is not in it, for
it may hold secrets.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from databot.config.settings import Settings
from databot.rag.base import RetrievalError
from databot.rag.folder import IndexFolder
from databot.storage.backup import DatabaseCopy, copy_database
from databot.storage.backup_place import (
    Place,
    is_archive,
    make_private_folders,
    new_place,
    private_file,
)
from databot.types.clock import Clock
from databot.types.errors import describe
from databot.types.version import version

MANIFEST = "backup.json"
ARTIFACTS, INDEX = "artifacts", "rag"
SQLITE_HEADER = b"SQLite format 3\0"
LEFT_OUT = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What was written. `missing` counts files the database names that were not there; `index` says how the index is."""

    path: Path
    size: int
    database: DatabaseCopy
    files: int
    missing: int
    index: str


def make_backup(settings: Settings, path: Path, clock: Clock) -> Backup:
    """Write a backup to `path`, a new folder or a new `.tar.gz`, while daemons run. Blocks for as long as it takes.

    Raises what `copy_database` and `new_place` raise; then nothing is left at `path`.
    """
    data_dir = settings.data_dir.expanduser().absolute()
    with new_place(path) as place:
        database = copy_database(settings.storage_url(), place.work)
        place.keep(database.file.name)
        files = copy_files(data_dir / ARTIFACTS, database.artifacts, place)
        index = copy_index(data_dir / INDEX, place)
        facts = {
            "databot": version(),
            "made_at": clock.now().isoformat(timespec="seconds"),
            "database": database.where,
            "schema": database.schema,
            "rows": dict(database.rows),
            "unfinished_turns": database.unfinished,
            "files": files,
            "files_missing": len(database.artifacts) - files,
            "index": index,
        }
        (place.work / MANIFEST).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        (place.work / MANIFEST).chmod(0o600)
        place.keep(MANIFEST)
    return Backup(
        path=path.expanduser().absolute(),
        size=size_of(path.expanduser()),
        database=database,
        files=files,
        missing=len(database.artifacts) - files,
        index=index,
    )


def copy_files(folder: Path, named: Mapping[str, int], place: Place) -> int:
    """Copy the kept files the database names; says how many were there, whole."""
    found = 0
    for file in files_in(folder):
        if named.get(file.name) == size_of(file):
            found += place.add(file, f"{ARTIFACTS}/{file.relative_to(folder).as_posix()}")
    return found


def copy_index(folder: Path, place: Place) -> str:
    """Copy the index while nobody writes to it; says what became of it."""
    if not folder.is_dir():
        return "there is none"
    staged = place.work / INDEX
    try:
        with IndexFolder(folder).writing() as alone:
            if not alone:
                return "left out: it is being written just now"
            for file in files_in(folder):
                if not file.name.endswith(LEFT_OUT) and file.name != "lock":
                    target = staged / file.relative_to(folder)
                    make_private_folders(place.work, target.parent)
                    copy_index_file(file, target)
    except (RetrievalError, sqlite3.Error, FileNotFoundError) as error:
        shutil.rmtree(staged, ignore_errors=True)  # all of it or none
        return f"left out: {describe(error) if isinstance(error, RetrievalError) else error}"
    for file in list(files_in(staged)):
        place.keep(file.relative_to(place.work).as_posix())
    return "copied"


def copy_index_file(file: Path, target: Path) -> None:
    """A database of the index with what its WAL holds; any other file as it is."""
    with file.open("rb") as original, private_file(target) as copy:
        is_database = original.read(len(SQLITE_HEADER)) == SQLITE_HEADER
        if not is_database:
            original.seek(0)
            shutil.copyfileobj(original, copy)
            return
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(target)) as made:
        source.backup(made)


def files_in(folder: Path) -> Iterator[Path]:
    """Every plain file below a folder, links not followed."""
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            file = Path(parent, name)
            if not file.is_symlink():
                yield file


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files below a folder; 0 for one that is gone."""
    if path.is_dir():
        return sum(size_of(file) for file in files_in(path))
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def how_to_restore(backup: Backup, settings: Settings) -> list[str]:
    """The commands that bring it back, as a person types them."""
    folder = settings.data_dir.expanduser().absolute()
    source = backup.path
    shown = quote(str(source))
    unpack = f"tar -xzf {shown} -C NEW" if is_archive(source) else f"cp -a {shown}/. NEW/"
    steps = ["stop databot", f"mkdir -m 700 NEW && {unpack}"]
    if backup.database.place:
        dump = backup.database.file.name
        steps.append(
            f"createdb NEWDB && pg_restore --no-owner --single-transaction -d NEWDB NEW/{dump}"
        )
        steps.append("set storage.url to NEWDB and data_dir to NEW, and start databot")
    else:
        steps.append(f"set data_dir to NEW (or move NEW to {folder}), and start databot")
    return steps
