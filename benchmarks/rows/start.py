"""How soon the commands are there: CPU of the quick ones, and the clock until a person or a client can begin."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pexpect

from benchmarks.figures import Figure, Target, at_most
from benchmarks.measure import Case, Scale, interleaved
from benchmarks.processes import environment, running

BARE = """
import typer
app = typer.Typer(name="bare", add_completion=False)
def make(number):
    def command(name: str = typer.Option("x", help="A name."), loud: bool = False) -> None:
        "Does something."
    return command
for number in range(12):
    app.command(f"command{number}")(make(number))
app()
"""
"""A typer program with about as many commands as ours, which does nothing."""
PROMPT = "\u203a"
LIMIT_S = 30
READY = "is ready at"


def cpu_case(*arguments: str) -> Case:
    """CPU milliseconds of a python program from its start to its end."""

    def measured() -> float:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment()
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{arguments} ended with {process.returncode}")
        return (usage.ru_utime + usage.ru_stime) * 1000

    async def case() -> float:
        return measured()

    return case


def prompt_case(folder: Path, config: Path) -> Case:
    """Seconds until `databot chat` shows its prompt on a terminal."""

    async def case() -> float:
        begun = time.perf_counter()
        child = pexpect.spawn(
            sys.executable,
            ["-m", "databot", "chat", "--config", str(config)],
            env={**environment(), "TERM": "xterm-256color"},  # pyright: ignore[reportArgumentType] - a dict is an environment
            cwd=str(folder),
            timeout=LIMIT_S,
            encoding="utf-8",
        )
        try:
            child.expect(PROMPT)
            return time.perf_counter() - begun
        finally:
            child.close(force=True)

    return case


def ready_case(config: Path) -> Case:
    """Seconds until `databot gateway` takes requests."""

    async def case() -> float:
        begun = time.perf_counter()
        arguments = ["-m", "databot", "gateway", "--config", str(config), "--port", "0"]
        with running(arguments, ready=READY):
            return time.perf_counter() - begun

    return case


async def cli_start(scale: Scale) -> Sequence[Figure]:
    """`--version`, `--help`, the first prompt, and a gateway that is ready."""
    with tempfile.TemporaryDirectory(prefix="databot-bench-") as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(f"data_dir: {folder / 'data'}\nllm: {{model: offline}}\n")
        bare = folder / "bare.py"
        bare.write_text(BARE)
        cases = {
            "version": cpu_case("-m", "databot", "--version"),
            "nothing": cpu_case("-c", "pass"),
            "help": cpu_case("-m", "databot", "--help"),
            "bare help": cpu_case(str(bare), "--help"),
            "prompt": prompt_case(folder, config),
            "gateway": ready_case(config),
        }
        for (
            case
        ) in cases.values():  # once for the page cache, and for what is made at a first start
            await case()
        found = await interleaved(cases, scale.rounds)
    return [
        Figure(
            row="cli_start",
            what="--version",
            value=found.value("version"),
            unit="ms CPU",
            baseline=found.value("nothing"),
            against="python -c pass",
            ratio=found.ratio("version", "nothing"),
            target=Target(of="value", most=60),
        ),
        Figure(
            row="cli_start",
            what="--help",
            value=found.value("help"),
            unit="ms CPU",
            baseline=found.value("bare help"),
            against="a bare typer program",
            ratio=found.ratio("help", "bare help"),
            target=at_most(1.2),
        ),
        clock("first prompt of chat", min(found.rounds["prompt"]), 0.5),
        clock("gateway ready", min(found.rounds["gateway"]), 2.0),
    ]


def clock(what: str, seconds: float, most: float) -> Figure:
    """A wait by the clock: the best round, since the others tell of the machine's other work."""
    target = Target(of="value", most=most)
    return Figure(row="cli_start", what=what, value=seconds, unit="s", target=target, note="best")
