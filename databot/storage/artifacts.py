"""Kept files: the bytes in one file each under `artifacts/`, what is known about them in the table `artifact`.

A file is found by its handle in the table, for its own tenant; names given by people or models are shown and never
used as a path.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert  # SQLite spells ON CONFLICT alike

from databot.storage.base import Artifact
from databot.storage.codec import key_params, to_micros
from databot.storage.database import Database, Row, single
from databot.storage.names import clean_label, is_key, is_name, require_key
from databot.storage.statements import same
from databot.storage.tables import artifact
from databot.types.clock import Clock, Ids
from databot.types.errors import StorageError, StorageUnavailable
from databot.types.evidence import ArtifactRef
from databot.types.messages import ConversationKey

NAME_LENGTH = 200
KEY = (artifact.c.tenant_id, artifact.c.bot_id, artifact.c.session_id)
KEEP = insert(artifact).on_conflict_do_nothing()
FIND = select(artifact.c.id, artifact.c.name, artifact.c.media_type, artifact.c.size, *KEY).where(
    same(artifact.c.tenant_id, artifact.c.id)
)
FILES = select(artifact.c.id).where(same(*KEY))
FORGET = delete(artifact).where(same(artifact.c.tenant_id, artifact.c.id))


class FileArtifacts:
    """Artifacts as files of this machine."""

    def __init__(self, database: Database, folder: Path, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._ids = ids
        prepare = database.prepare
        self._keep, self._find = prepare(KEEP), prepare(FIND)
        self._files, self._forget = prepare(FILES), prepare(FORGET)

    async def save(
        self, conversation: ConversationKey, name: str, media_type: str, data: bytes
    ) -> ArtifactRef:
        require_key(conversation)
        ref = ArtifactRef(
            id=self._ids.new("art"),
            name=clean_label(name, NAME_LENGTH) or "artifact",
            media_type=clean_label(media_type, NAME_LENGTH) or "application/octet-stream",
            size=len(data),
        )
        path = self._path(ref.id)
        abandoned = Event()
        try:
            await asyncio.to_thread(write_unless, abandoned, path, data)
            await self._record(conversation, ref)
        except BaseException:  # boundary: a file nobody knows of is removed, and the error goes on
            abandoned.set()
            with suppress(StorageUnavailable):  # what went wrong first is what is told
                await asyncio.shield(asyncio.to_thread(remove_files, [path]))
            raise
        return ref

    async def _record(self, conversation: ConversationKey, ref: ArtifactRef) -> None:
        params = {
            "id": ref.id,
            **key_params(conversation),
            "name": ref.name,
            "media_type": ref.media_type,
            "size": ref.size,
            "created_at": to_micros(self._clock.now()),
        }
        await self._database.write(((self._keep, params),))

    async def load(self, tenant_id: str, artifact_id: str) -> Artifact | None:
        if not (is_name(tenant_id) and is_name(artifact_id)):
            return None
        params = {"tenant_id": tenant_id, "id": artifact_id}
        row = await self._database.read(self._find, params, single)
        if row is None:
            return None
        data = await asyncio.to_thread(read_file, self._path(row[0]))
        return None if data is None else artifact_of(row, data)

    async def delete_all(self, conversation: ConversationKey) -> int:
        if not is_key(conversation):
            return 0
        found = await self._database.read(self._files, key_params(conversation), first_column)
        if found:
            # Files first: a record without a file can be deleted again, a file without a record is never found.
            await asyncio.to_thread(remove_files, [self._path(name) for name in found])
            tenant = conversation.tenant_id
            await self._database.write(
                [(self._forget, {"tenant_id": tenant, "id": name}) for name in found]
            )
        return len(found)

    def _path(self, artifact_id: str) -> Path:
        # Handles begin with the time: their last characters spread over the folders.
        return self._folder / artifact_id[-2:] / artifact_id


def first_column(rows: Sequence[Row]) -> list[str]:
    return [row[0] for row in rows]


def artifact_of(row: Row, data: bytes) -> Artifact:
    ref = ArtifactRef(id=row[0], name=row[1], media_type=row[2], size=row[3])
    key = ConversationKey(tenant_id=row[4], bot_id=row[5], session_id=row[6])
    return Artifact(ref=ref, conversation=key, data=data)


def write_unless(abandoned: Event, path: Path, data: bytes) -> None:
    """Write the file; should its saving have been cancelled meanwhile, which no thread notices, take it away again."""
    write_file(path, data)
    if abandoned.is_set():
        remove_files([path])


def write_file(path: Path, data: bytes) -> None:
    """Write the whole file or none of it; when this returns it is on the disk.

    Raises:
        StorageUnavailable: there is no space, or the folder cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        reason = (error.strerror or "input/output error").lower()
        raise StorageUnavailable(
            f"the artifact could not be kept under {path.parent.parent}: {reason}",
            hint="free some space, or make the folder writable",
        ) from error


def read_file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            f"the artifact {path.name} cannot be read: {(error.strerror or '').lower()}"
        ) from error


def remove_files(paths: Sequence[Path]) -> None:
    """Delete the files; one that is gone already is fine.

    Raises:
        StorageUnavailable: one could not be deleted.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageUnavailable(
                f"the artifact {path.name} could not be deleted: {(error.strerror or '').lower()}",
                hint="make its folder writable",
            ) from error
