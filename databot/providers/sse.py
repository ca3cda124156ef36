"""Reading server-sent events from bytes as they arrive: only their data, which is all model servers use."""

from databot.types.errors import ProviderBadResponse

MAX_EVENT_BYTES = 4 * 1024 * 1024


class EventReader:
    """Cuts a byte stream into the data of its events, wherever the network cut it.

    Keeps at most one unfinished event, bounded by `limit` bytes.
    """

    def __init__(self, source: str, *, limit: int = MAX_EVENT_BYTES) -> None:
        self._source = source
        self._limit = limit
        self._held: list[bytes] = []
        self._held_bytes = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The data of every event that `data` completes.

        Raises:
            ProviderBadResponse: an event is longer than the limit.
        """
        if b"\n" not in data and b"\r" not in data:
            self._hold(data)
            return []
        text = b"".join((*self._held, data)) if self._held else data
        if b"\r" in text:
            text = normalised(text)
        *whole, rest = text.split(b"\n\n")
        self._held, self._held_bytes = [], 0
        if rest:
            self._hold(rest)
        return [data for event in whole if (data := data_of(event))]

    def end(self) -> list[bytes]:
        """The data of an event that the end of the stream completes."""
        last = data_of(b"".join(self._held).replace(b"\r\n", b"\n").strip(b"\r\n"))
        self._held, self._held_bytes = [], 0
        return [last] if last else []

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > self._limit:
            raise ProviderBadResponse(
                f"{self._source} sent a single event of more than {self._limit // 2**20} MB",
                hint="the answer was dropped; ask again or choose another model",
            )


def normalised(text: bytes) -> bytes:
    r"""Every line ending as `\n`, except a last `\r`, which may be half of one."""
    last = b"\r" if text.endswith(b"\r") else b""
    body = text[:-1] if last else text
    return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + last


def data_of(event: bytes) -> bytes:
    """The data lines of one event, joined; empty for comments and other fields."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [
        line[5:].removeprefix(b" ")
        for line in event.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines)
