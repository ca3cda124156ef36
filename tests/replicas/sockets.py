"""Which process holds the other end of a connection on this machine, as the kernel tells it."""

import re
from collections.abc import Sequence
from pathlib import Path

PEER = re.compile(r"\('127\.0\.0\.1', (\d+)\)")


def pid_behind(connection: str, pids: Sequence[int]) -> int:
    """The one of `pids` that made a connection, by the peer name its server saw."""
    found = PEER.match(connection)
    assert found, connection
    port = f"0100007F:{int(found[1]):04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == port:  # a port may stand in several lines, of other peers or of the past
            for pid in pids:
                if f"socket:[{fields[9]}]" in sockets_of(pid):
                    return pid
    raise AssertionError("the connection is gone")


def sockets_of(pid: int) -> set[str]:
    return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
