"""The open Chroma client of a location: opened at the first use, and anew when it no longer shows what is stored.

Chroma inside a process keeps its vectors in memory, so it sees neither what another process has written to the folder nor
that the folder was deleted. Both are looked for before each use; a server needs no such look.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from databot.rag.folder import IndexFolder

if TYPE_CHECKING:
    import httpx
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

SERVER_TIMEOUT_S = 30.0
KNOCK_TIMEOUT_S = 3.0
"""Within which a server must give a sign of life; every start, `doctor` and `rag status` waits this long for one that hangs."""


@dataclass(slots=True, kw_only=True)
class _Open:
    """A client, what it knows by name, and which file it reads (`None` for a server)."""

    client: "ClientAPI"
    file: int | None
    collections: "dict[str, Collection]" = field(default_factory=dict[str, "Collection"])


class SharedClient:
    """The client as of now, for several threads. Every call blocks, and raises whatever Chroma raises."""

    def __init__(self, location: Path | str, folder: IndexFolder | None = None) -> None:
        self._location = location
        self._folder = folder
        self._opening = threading.Lock()
        self._open: _Open | None = None

    @property
    def is_open(self) -> bool:
        return self._open is not None

    def collection(self, name: str, *, create: bool) -> "Collection | None":
        """The collection, or `None` when it does not exist and is not to be made."""
        from chromadb.errors import NotFoundError

        opened = self._current()
        if name in opened.collections:
            return opened.collections[name]
        try:
            if create:
                found = opened.client.get_or_create_collection(
                    name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
                )
            else:
                found = opened.client.get_collection(name, embedding_function=None)
        except NotFoundError:
            return None
        opened.collections[name] = found
        return found

    def forget_collections(self) -> None:
        """After a failure: what was known by name may be gone."""
        if opened := self._open:
            opened.collections.clear()

    def close(self) -> None:
        """Let the files or connections go; the next use opens them again."""
        with self._opening:
            opened, self._open = self._open, None
            if opened:
                close_client(opened.client)

    def _current(self) -> _Open:
        with self._opening:
            if self._open and self._is_stale(self._open):
                # Closed first: Chroma gives an open client of a folder again instead of opening another.
                stale, self._open = self._open, None
                close_client(stale.client)
            if self._open is None:
                if self._folder:
                    self._folder.catch_up()
                client = open_client(self._location)
                self._open = _Open(client=client, file=_file_of(self._location))
            return self._open

    def _is_stale(self, opened: _Open) -> bool:
        if isinstance(self._location, str):
            return False
        changed = self._folder is not None and self._folder.changed()
        return changed or opened.file != _file_of(self._location)


def _file_of(location: Path | str) -> int | None:
    """Which file holds an embedded Chroma: another number means that the folder was made anew."""
    if isinstance(location, str):
        return None
    try:
        return (location / "chroma.sqlite3").stat().st_ino
    except OSError:
        return None


def open_client(location: Path | str) -> "ClientAPI":
    """Chroma in a folder or at an address, without telemetry. Blocks; raises whatever Chroma raises."""
    import chromadb
    from chromadb.config import Settings

    # `.env` of the current directory is somebody else's: Chroma would read it.
    settings = Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue] - every pydantic-settings class takes it
        anonymized_telemetry=False,
    )
    if isinstance(location, Path):
        location.mkdir(parents=True, exist_ok=True)
        return chromadb.PersistentClient(path=str(location), settings=settings)
    url = urlsplit(location)
    secure = url.scheme == "https"
    _knock(location)
    client = chromadb.HttpClient(
        host=url.hostname or "localhost",
        port=url.port or (443 if secure else 8000),
        ssl=secure,
        settings=settings,
    )
    for session in _http_sessions(client):
        session.timeout = SERVER_TIMEOUT_S
    return client


def _knock(location: str) -> None:
    """Ask for a sign of life within a time limit: Chroma's own first request would wait for ever."""
    import httpx

    httpx.get(
        f"{location.rstrip('/')}/api/v2/heartbeat", timeout=KNOCK_TIMEOUT_S
    ).raise_for_status()


def close_client(client: "ClientAPI") -> None:
    """Let the files or connections go. Blocks."""
    from chromadb.api.client import Client

    sessions = list(_http_sessions(client))
    if isinstance(client, Client):
        client.close()
    for session in sessions:
        session.close()


def _http_sessions(client: "ClientAPI") -> "Iterator[httpx.Client]":
    """The connections to a server: Chroma neither closes them nor bounds a wait on them, and has no door for it."""
    for part in (client, getattr(client, "_admin_client", None)):
        session = getattr(getattr(part, "_server", None), "_session", None)
        if session is not None:
            yield session
