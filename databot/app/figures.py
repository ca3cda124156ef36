"""What a running databot counts, for `/metrics`: its own counters, and what waits in the store.

The store is asked a few small questions within a time limit. When it does not answer, its figures are left out and
`databot_store_up` is 0: an old figure would look like a calm one. What each name means is in `docs/howto/operate.md`.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest
from operator import itemgetter

from databot.core.engine import Machinery
from databot.dispatch.base import Dispatch
from databot.gateway.base import Figure, Sample
from databot.storage.figures import Durations, SqlFigures
from databot.storage.open import Store
from databot.types.errors import StorageError, describe

log = logging.getLogger(__name__)
STORE_S = 2.0
MOST_TENANTS = 50
OTHER = "other"
"""The tenants behind the `MOST_TENANTS` largest, taken together."""


class DaemonFigures:
    """Implements `Figures`."""

    def __init__(self, machinery: Machinery, store: Store) -> None:
        self._machinery = machinery
        self._store = store
        self._failing = False

    async def read(self) -> Sequence[Figure]:
        stored = await self._stored()
        up = gauge("databot_store_up", int(stored is not None))
        return [*self._own(), *dispatched(self._machinery.dispatch), up, *(stored or ())]

    def _own(self) -> Iterator[Figure]:
        worker = self._machinery.worker
        yield gauge("databot_turns_running", worker.turns)
        yield counter("databot_turns_resumed_total", worker.resumed)
        yield counter("databot_claims_lost_total", worker.lost)
        yield counter("databot_sweeper_found_total", self._machinery.sweeper.found)
        if self._store.figures is not None:
            yield histogram("databot_store_write_seconds", self._store.figures.commits())

    async def _stored(self) -> Sequence[Figure] | None:
        """What the store says; `None` when it does not, which is told once."""
        try:
            async with asyncio.timeout(STORE_S):
                found = await stored(self._store)
        except (StorageError, TimeoutError) as error:
            if not self._failing:
                why = describe(error) if isinstance(error, StorageError) else "it takes too long"
                log.warning("the store's figures cannot be read: %s", why)
            self._failing = True
            return None
        self._failing = False
        return found


async def stored(store: Store) -> Sequence[Figure]:
    """Raises `StorageError`."""
    found = [*await turns(store.figures)] if store.figures is not None else []
    replies = await store.outbox.backlog()
    waiting = {channel: each.waiting for channel, each in replies.items()}
    dead = {channel: each.dead for channel, each in replies.items()}
    found.append(labelled("databot_outbox_waiting", "channel", waiting))
    found.append(labelled("databot_outbox_dead", "channel", dead))
    if store.work is not None:
        jobs = await store.work.jobs.counts()
        given_up = jobs.get("dead", 0) + jobs.get("failed", 0)
        found.append(gauge("databot_jobs_waiting", jobs.get("queued", 0)))
        found.append(gauge("databot_jobs_dead", given_up))
    return found


async def turns(figures: SqlFigures) -> Sequence[Figure]:
    found = await figures.read()
    return [
        labelled("databot_turns_waiting", "tenant", largest(found.waiting)),
        gauge("databot_oldest_waiting_seconds", found.oldest_s),
        gauge("databot_dead_turns", found.dead),
        gauge("databot_approvals_waiting", found.asked),
    ]


def dispatched(dispatch: Dispatch) -> Iterator[Figure]:
    """What the engine between replicas counts; none counts within one process, where nothing can be lost."""
    yield counter("databot_dispatch_outages_total", getattr(dispatch, "outages", 0))
    yield counter("databot_dispatch_lost_events_total", getattr(dispatch, "lost", 0))


def largest(counts: Mapping[str, int]) -> Mapping[str, int]:
    """So many tenants as a figure may have series for; the rest is summed."""
    kept = dict(nlargest(MOST_TENANTS, counts.items(), key=itemgetter(1)))
    rest = sum(counts.values()) - sum(kept.values())
    if rest:
        kept[OTHER] = kept.get(OTHER, 0) + rest
    return kept


def gauge(name: str, value: float) -> Figure:
    return Figure(name=name, kind="gauge", samples=(Sample(value=value),))


def counter(name: str, value: float) -> Figure:
    return Figure(name=name, kind="counter", samples=(Sample(value=value),))


def labelled(name: str, label: str, values: Mapping[str, float]) -> Figure:
    samples = [Sample(value=value, labels={label: key}) for key, value in sorted(values.items())]
    return Figure(name=name, kind="gauge", samples=samples)


def histogram(name: str, times: Durations) -> Figure:
    limits = [(f"{limit:g}", count) for limit, count in times.within]
    buckets = [
        Sample(value=count, labels={"le": limit}, suffix="_bucket")
        for limit, count in [*limits, ("+Inf", times.count)]
    ]
    ends = (
        Sample(value=times.seconds, suffix="_sum"),
        Sample(value=times.count, suffix="_count"),
    )
    return Figure(name=name, kind="histogram", samples=[*buckets, *ends])
