"""The looks `databot doctor` takes, from the interpreter up to each data system.

Each is a function to `Check` values; a look that fails is a finding, never an error.
"""

import asyncio
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Literal

from databot.cli.bot import load_settings, opener
from databot.cli.settings_check import problems
from databot.config.settings import Settings
from databot.types.errors import DatabotError, DispatchUnavailable, describe
from databot.types.messages import DEFAULT_TENANT
from databot.types.version import DISTRIBUTION, version

LOOK_S = 10.0
ASKED_OTHERWISE = frozenset({"model", "dispatch"})
"""Parts of the built bot that are told with a reason of their own, or are not the gateway's in a command."""
State = Literal["ok", "warn", "off", "broken"]
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)[^;]*(?:;(?P<marker>.*))?$")
EXTRA = re.compile(r"extra\s*==\s*['\"](?P<extra>[^'\"]+)['\"]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding: `off` is something optional that is not used."""

    area: str
    name: str
    state: State
    detail: str = ""


async def examine(config: Path | None) -> Sequence[Check]:
    """All findings, in the order a person would mend them."""
    found = [*interpreter(), *dependencies()]
    try:
        settings = load_settings(config)
    except DatabotError as error:
        return [*found, Check(area="config", name="file", state="broken", detail=describe(error))]
    found += [*configuration(settings), *data_folder(settings)]
    return [*found, *await daemon(settings)]


def interpreter() -> Iterator[Check]:
    yield Check(
        area="install",
        name="databot",
        state="ok",
        detail=f"{version()} on Python {sys.version.split()[0]}",
    )


def dependencies() -> Iterator[Check]:
    """The required packages as one finding, and each extra as one."""
    wanted = requirements()
    missing = [name for name in wanted.get("", []) if not is_installed(name)]
    if missing:
        detail = f"not installed: {', '.join(missing)}; install databot again"
        yield Check(area="install", name="packages", state="broken", detail=detail)
    elif wanted:
        detail = f"{len(wanted[''])} of {len(wanted[''])} installed"
        yield Check(area="install", name="packages", state="ok", detail=detail)
    for extra, names in wanted.items():
        if extra and extra != "all":
            yield extra_check(extra, [name for name in names if not is_installed(name)])


def extra_check(extra: str, missing: Sequence[str]) -> Check:
    if not missing:
        return Check(area="extra", name=extra, state="ok", detail="installed")
    advice = f"not installed; add it with: pip install '{DISTRIBUTION}[{extra}]'"
    return Check(area="extra", name=extra, state="off", detail=advice)


def requirements() -> dict[str, list[str]]:
    """The names of the distribution's requirements by extra, the base ones under the empty name."""
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {"": []}
    for line in lines:
        match = REQUIREMENT.match(line)
        if match is None or "sys_platform" in (match["marker"] or ""):
            continue
        extra = EXTRA.search(match["marker"] or "")
        found.setdefault(extra["extra"] if extra else "", []).append(match["name"])
    return found


def is_installed(name: str) -> bool:
    try:
        installed(name)
    except PackageNotFoundError:
        return False
    return True


def configuration(settings: Settings) -> Iterator[Check]:
    where = str(settings.source or "built-in defaults; make a file with `databot init`")
    found = problems(settings)
    if not found:
        yield Check(area="config", name="file", state="ok", detail=where)
    for line in found:
        yield Check(area="config", name="file", state="warn", detail=line)
    if not settings.connectors:
        advice = "none configured; add a database under `connectors:`"
        yield Check(area="config", name="connectors", state="warn", detail=advice)


def data_folder(settings: Settings) -> Iterator[Check]:
    """Whether databot may write where it keeps its data; the folder is not made by looking."""
    folder = settings.data_dir.expanduser()
    place = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    if os.access(place, os.W_OK | os.X_OK):
        state: State = "ok"
        detail = str(folder) if folder.exists() else f"{folder} (will be made)"
    else:
        state, detail = "broken", f"{folder} cannot be written; set data_dir, or its permissions"
    yield Check(area="config", name="data_dir", state=state, detail=detail)


async def daemon(settings: Settings) -> Sequence[Check]:
    return [*await built(settings), await dispatch(settings)]


async def built(settings: Settings) -> Sequence[Check]:
    """Build the bot and ask its parts."""
    try:
        async with opener(settings, background=False)() as bot:
            if bot.rag is not None:
                await bot.rag.warm(DEFAULT_TENANT)
            return [*model(bot), *await components(bot), *plugins(bot)]
    except DatabotError as error:
        return [Check(area="daemon", name="start", state="broken", detail=describe(error))]


def model(bot: Any) -> Iterator[Check]:  # noqa: ANN401 - the whole Databot
    choice = bot.choice
    detail = f"{choice.model} ({choice.reason}); {choice.how_to_change}"
    yield Check(area="daemon", name="model choice", state="ok", detail=detail)


async def components(bot: Any) -> Sequence[Check]:  # noqa: ANN401 - the whole Databot
    return [
        Check(
            area="daemon",
            name=item.name,
            state="ok" if item.ready else ("broken" if item.required else "warn"),
            detail=item.detail,
        )
        for item in await bot.catalog.components()
        if item.name not in ASKED_OTHERWISE
    ]


async def dispatch(settings: Settings) -> Check:
    """The engine between the gateway's replicas, which a command does not join."""
    from databot.dispatch.open import complete, probe
    from databot.types.clock import RandomIds, SystemClock

    state: State = "ok"
    try:
        url = complete(settings.dispatch.url.get_secret_value(), settings.storage_url())
        async with asyncio.timeout(LOOK_S):
            detail = await probe(url, SystemClock(), RandomIds())
    except DispatchUnavailable as error:
        state, detail = "warn", f"{describe(error)} (nothing is lost: turns begin 2 to 3 s later)"
    except TimeoutError:
        state, detail = "warn", f"no answer within {LOOK_S:g} s"
    except DatabotError as error:
        state, detail = "broken", describe(error)
    return Check(area="daemon", name="dispatch", state=state, detail=detail)


def plugins(bot: Any) -> Iterator[Check]:  # noqa: ANN401 - the whole Databot
    for item in bot.catalog.plugins():
        if item.state == "failed":
            name, detail = f"{item.group}:{item.name}", item.detail
            yield Check(area="plugin", name=name, state="warn", detail=detail)
