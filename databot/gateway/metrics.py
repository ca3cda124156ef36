"""The gateway's own counters, as cheap as a dict, and Prometheus' text format for them and for any other figure.

Labels are route templates, never paths, so the number of series is bounded by the route table. Not here: what is counted
in other rooms (`Figures`).
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from databot.gateway.base import Figure, Sample

BUCKETS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """Counts requests, durations, accepted turns and open streams."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._turns: Counter[str] = Counter()
        self.open_streams = 0
        self.open_sockets = 0

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request is over; `route` is its template."""
        self._requests[method, route, status] += 1
        buckets = self._buckets.get(route)
        if buckets is None:
            buckets = self._buckets[route] = [0] * (len(BUCKETS_S) + 1)
        buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def turn(self, door: str) -> None:
        """A message was accepted through a door: chat, messages or ws."""
        self._turns[door] += 1

    def text(self) -> str:
        """All of it, in the text format 0.0.4."""
        lines = ["# TYPE databot_http_requests_total counter"]
        lines += [
            f'databot_http_requests_total{{method="{method}",route="{route}",status="{status}"}} {n}'
            for (method, route, status), n in sorted(self._requests.items())
        ]
        lines.append("# TYPE databot_http_request_seconds histogram")
        for route in sorted(self._buckets):
            lines += self._histogram(route)
        lines.append("# TYPE databot_turns_accepted_total counter")
        lines += [
            f'databot_turns_accepted_total{{door="{door}"}} {n}'
            for door, n in sorted(self._turns.items())
        ]
        for name, value in (("streams", self.open_streams), ("sockets", self.open_sockets)):
            lines += [f"# TYPE databot_open_{name} gauge", f"databot_open_{name} {value}"]
        return "\n".join(lines) + "\n"

    def _histogram(self, route: str) -> list[str]:
        lines: list[str] = []
        total = 0
        for limit, count in zip((*BUCKETS_S, "+Inf"), self._buckets[route], strict=True):
            total += count
            lines.append(
                f'databot_http_request_seconds_bucket{{route="{route}",le="{limit}"}} {total}'
            )
        name = "databot_http_request_seconds"
        lines.append(f'{name}_sum{{route="{route}"}} {self._seconds[route]:.6f}')
        lines.append(f'{name}_count{{route="{route}"}} {total}')
        return lines


def exposition(figures: Iterable[Figure]) -> str:
    """Figures in the text format 0.0.4."""
    return "".join(f"{line}\n" for figure in figures for line in lines_of(figure))


def lines_of(figure: Figure) -> Iterator[str]:
    yield f"# TYPE {figure.name} {figure.kind}"
    for sample in figure.samples:
        yield f"{figure.name}{sample.suffix}{labelled(sample.labels)} {sample.value:.15g}"


def labelled(labels: Mapping[str, str]) -> str:
    """The labels between braces; a value may hold any character."""
    told = [f'{name}="{escaped(value)}"' for name, value in labels.items()]
    return f"{{{','.join(told)}}}" if told else ""


def escaped(value: str) -> str:
    value = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value.encode("utf-8", "replace").decode()


def without_tenants(figure: Figure) -> Figure:
    """The figure summed over its tenants."""
    if not any("tenant" in sample.labels for sample in figure.samples):
        return figure
    return replace(figure, samples=(total(figure.samples),))


def total(samples: Sequence[Sample]) -> Sample:
    return Sample(value=sum(sample.value for sample in samples))
