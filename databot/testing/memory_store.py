"""Artifacts and key-value memory kept in a dictionary, for tests of tools and plugins.

They honour the same contracts as the real stores and forget everything when they go.
"""

from collections.abc import Mapping

from databot.storage.base import Artifact
from databot.testing.clock import SequentialIds
from databot.types.clock import Ids
from databot.types.evidence import ArtifactRef
from databot.types.messages import ConversationKey


class MemoryArtifactStore:
    """An `ArtifactStore`; `saved` has everything kept, in order."""

    def __init__(self, ids: Ids | None = None) -> None:
        self.saved: list[Artifact] = []
        self._ids = ids or SequentialIds()

    async def save(
        self, conversation: ConversationKey, name: str, media_type: str, data: bytes
    ) -> ArtifactRef:
        ref = ArtifactRef(id=self._ids.new("art"), name=name, media_type=media_type, size=len(data))
        self.saved.append(Artifact(ref=ref, conversation=conversation, data=data))
        return ref

    async def load(self, tenant_id: str, artifact_id: str) -> Artifact | None:
        for artifact in self.saved:
            if artifact.ref.id == artifact_id and artifact.conversation.tenant_id == tenant_id:
                return artifact
        return None

    async def delete_all(self, conversation: ConversationKey) -> int:
        before = len(self.saved)
        self.saved = [item for item in self.saved if item.conversation != conversation]
        return before - len(self.saved)


class MemoryKeyValue:
    """A `KeyValueMemory`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], dict[str, str]] = {}

    async def put(self, tenant_id: str, principal_id: str, key: str, value: str) -> None:
        self._kept.setdefault((tenant_id, principal_id), {})[key] = value

    async def get(self, tenant_id: str, principal_id: str, key: str) -> str | None:
        return self._kept.get((tenant_id, principal_id), {}).get(key)

    async def items(self, tenant_id: str, principal_id: str) -> Mapping[str, str]:
        return dict(sorted(self._kept.get((tenant_id, principal_id), {}).items()))

    async def delete(self, tenant_id: str, principal_id: str, key: str) -> bool:
        return self._kept.get((tenant_id, principal_id), {}).pop(key, None) is not None
