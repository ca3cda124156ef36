"""Finding and importing plugins: installed packages that declare entry points in our groups.

databot's own parts come through the same door. An entry point is imported when somebody first asks for it, each on its
own: one that fails is told and left out, and harms nothing else. The loader knows no room: the caller says what class
the entries of each group must be.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points

from databot.plugins.base import PLUGIN_GROUPS, PluginStatus

log = logging.getLogger(__name__)
BUILT_IN = "databot-daemon"
"""The distribution whose entry points need no allowance and win over namesakes."""
DETAIL_CHARS = 300


@dataclass(slots=True)
class _Entry:
    """One entry point and what became of it; `asked` once it was imported or refused."""

    point: EntryPoint
    status: PluginStatus
    asked: bool
    loaded: type | None = None


@dataclass(frozen=True, slots=True)
class Plugins:
    """The entry points that are installed; made by `load_plugins`."""

    bases: Mapping[str, type]
    _entries: Mapping[tuple[str, str], _Entry]
    _refused: Sequence[PluginStatus] = field(default=())

    def names(self, group: str) -> Sequence[str]:
        """The usable names of a group, without importing anything: some may still turn out broken."""
        return tuple(
            name
            for (owner, name), entry in self._entries.items()
            if owner == group and entry.status.state == "loaded"
        )

    def get(self, group: str, name: str) -> type | None:
        """Import one; `None` when there is none of that name or it is broken (see `statuses`)."""
        entry = self._entries.get((group, name))
        return self._load(entry) if entry else None

    def classes(self, group: str) -> Mapping[str, type]:
        """Import a whole group: the good ones by name."""
        found = {name: self.get(group, name) for name in self.names(group)}
        return {name: loaded for name, loaded in found.items() if loaded is not None}

    def statuses(self, groups: Iterable[str] = PLUGIN_GROUPS) -> Sequence[PluginStatus]:
        """What became of every entry point of these groups; imports those nobody has asked for yet."""
        wanted = set(groups)
        for (group, _), entry in self._entries.items():
            if group in wanted:
                self._load(entry)
        entries = [entry.status for entry in self._entries.values()]
        found = [status for status in (*entries, *self._refused) if status.group in wanted]
        return tuple(sorted(found, key=lambda status: (status.group, status.name)))

    def _load(self, entry: _Entry) -> type | None:
        if not entry.asked:
            entry.asked = True
            entry.loaded, problem = _import(entry.point, self.bases.get(entry.point.group))
            if problem:
                entry.status = replace(entry.status, state="failed", detail=problem)
                log.warning(
                    "the plugin %s of %s (%s) is left out: %s",
                    entry.point.name,
                    entry.point.group,
                    entry.status.distribution,
                    problem,
                )
        return entry.loaded


def load_plugins(
    bases: Mapping[str, type],
    *,
    allow: Collection[str] | None = None,
    disable: Collection[str] = (),
    groups: Sequence[str] = PLUGIN_GROUPS,
) -> Plugins:
    """Find the entry points of `groups`, importing none.

    `bases` gives the class the entries of a group must be subclasses of (a group without one takes any class).
    `allow` names the distributions whose plugins may load, besides databot's own; `None` means every installed one.
    `disable` names entry points, as `name` or `group:name`.
    """
    entries: dict[tuple[str, str], _Entry] = {}
    refused: list[PluginStatus] = []
    allowed = None if allow is None else {_normal(name) for name in allow}
    for point in sorted(_installed(groups), key=_precedence):
        status = _first_status(point, allowed, frozenset(disable))
        first = entries.get((point.group, point.name))
        if first is None:
            entries[point.group, point.name] = _Entry(
                point, status, asked=status.state == "disabled"
            )
        elif status.state == "disabled":
            refused.append(status)
        elif first.status.state == "disabled":
            refused.append(first.status)
            entries[point.group, point.name] = _Entry(point, status, asked=False)
        else:
            refused.append(_duplicate(status, first.status))
    return Plugins(bases, entries, tuple(refused))


def _installed(groups: Sequence[str]) -> list[EntryPoint]:
    everything = entry_points()  # once: each call reads the metadata of every installed package
    return [point for group in groups for point in everything.select(group=group)]


def _precedence(point: EntryPoint) -> tuple[bool, str, str]:
    """Our own first, then by distribution: which of two namesakes wins never depends on the search path."""
    distribution = _distribution(point)
    return _normal(distribution) != BUILT_IN, _normal(distribution), point.name


def _first_status(
    point: EntryPoint, allowed: Collection[str] | None, disable: Collection[str]
) -> PluginStatus:
    status = PluginStatus(
        group=point.group,
        name=point.name,
        distribution=_distribution(point),
        version=point.dist.version if point.dist else "",
        state="loaded",
    )
    if point.name in disable or f"{point.group}:{point.name}" in disable:
        return replace(status, state="disabled", detail="listed in plugins.disable")
    owner = _normal(status.distribution)
    if allowed is not None and owner != BUILT_IN and owner not in allowed:
        return replace(status, state="disabled", detail="not listed in plugins.allow")
    return status


def _duplicate(status: PluginStatus, first: PluginStatus) -> PluginStatus:
    detail = f"the name is taken by {first.distribution}"
    log.warning(
        "the plugin %s of %s (%s) is left out: %s",
        status.name,
        status.group,
        status.distribution,
        detail,
    )
    return replace(status, state="failed", detail=detail)


def _import(point: EntryPoint, base: type | None) -> tuple[type | None, str]:
    """The class, or why there is none, in one line."""
    try:
        loaded = point.load()
    except (Exception, SystemExit) as error:  # boundary: plugin import
        return None, _one_line(f"{point.value} cannot be imported: {type(error).__name__}: {error}")
    if not isinstance(loaded, type):
        return None, _one_line(f"{point.value} is not a class")
    if base is not None and not issubclass(loaded, base):
        return None, _one_line(f"{point.value} is not a subclass of {base.__name__}")
    return loaded, ""


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:DETAIL_CHARS]
