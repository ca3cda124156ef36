"""What waits to be sent is bounded, and what matters least goes first."""

import asyncio

from databot.dispatch.outgoing import Outgoing, Parcel, Rank


def parcel(name: str, rank: Rank, size: int = 1) -> Parcel:
    return Parcel(command=(name,), rank=rank, size=size)


def fill(outgoing: Outgoing, *ranks: Rank) -> None:
    for number, rank in enumerate(ranks):
        outgoing.put(parcel(f"{rank.name} {number}", rank))


async def names(outgoing: Outgoing) -> list[str]:
    return [str(item.command[0]) for item in await outgoing.take(100)]


async def test_parcels_leave_in_the_order_they_came() -> None:
    outgoing = Outgoing()
    fill(outgoing, Rank.TEXT, Rank.VITAL, Rank.EVENT)
    assert [len(batch) for batch in (await outgoing.take(2), await outgoing.take(2))] == [2, 1]


async def test_a_full_buffer_takes_no_more_text() -> None:
    outgoing = Outgoing(most_parcels=2)
    fill(outgoing, Rank.EVENT, Rank.VITAL, Rank.TEXT)
    assert await names(outgoing) == ["EVENT 0", "VITAL 1"]
    assert outgoing.lost == 1


async def test_the_end_of_a_turn_pushes_text_out_and_then_events() -> None:
    outgoing = Outgoing(most_parcels=3)
    fill(outgoing, Rank.TEXT, Rank.EVENT, Rank.TEXT, Rank.VITAL, Rank.VITAL, Rank.VITAL)
    assert await names(outgoing) == ["VITAL 3", "VITAL 4", "VITAL 5"]
    assert outgoing.lost == 3


async def test_of_what_matters_most_the_oldest_goes() -> None:
    outgoing = Outgoing(most_parcels=2)
    fill(outgoing, Rank.VITAL, Rank.VITAL, Rank.VITAL)
    assert await names(outgoing) == ["VITAL 1", "VITAL 2"]


async def test_the_bytes_are_bounded_too() -> None:
    outgoing = Outgoing(most_bytes=10)
    outgoing.put(parcel("large", Rank.EVENT, 11))
    outgoing.put(parcel("text", Rank.TEXT))
    outgoing.put(parcel("end", Rank.VITAL))
    assert await names(outgoing) == ["end"]
    assert outgoing.lost == 2


async def test_what_was_not_sent_comes_first_again_and_stays_bounded() -> None:
    outgoing = Outgoing(most_parcels=3)
    fill(outgoing, Rank.VITAL, Rank.TEXT)
    batch = await outgoing.take(2)
    outgoing.put(parcel("new", Rank.VITAL))
    outgoing.put_back(batch)
    assert await names(outgoing) == ["VITAL 0", "new"]


async def test_whoever_waits_for_a_parcel_gets_it() -> None:
    outgoing = Outgoing()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(outgoing.take(1))
        await asyncio.sleep(0)
        fill(outgoing, Rank.TEXT)
    assert len(waiting.result()) == 1
    assert len(outgoing) == 0
