"""Runs the gateway: a whole databot behind HTTP, until a signal says stop."""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable

from databot.app.build import build
from databot.app.daemon import Databot
from databot.app.secrets import known_secrets
from databot.config.sections import ApiKey
from databot.config.settings import Settings
from databot.core.supervisor import Supervisor
from databot.gateway.app import check_options, make_app
from databot.gateway.options import ApiKeyOptions, GatewayOptions, RateLimitOptions
from databot.gateway.server import serve
from databot.observability.logs import configure_logs
from databot.providers.base import LLMProvider
from databot.types.messages import DEFAULT_TENANT
from databot.types.version import version

log = logging.getLogger("databot.gateway")
FILES = 65_536
STOPPING = (signal.SIGINT, signal.SIGTERM)
NEW_OBJECTS = 10_000
"""After so many the collector looks at the new ones; a full pass comes after a hundred times as many."""


def to_stderr(line: str) -> None:
    """Say a line at once, however stderr is buffered."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def run_gateway(settings: Settings) -> None:
    """Serve on an event loop of its own, uvloop's where there is one: it costs a fifth less for each request.

    Raises what `serve_gateway` raises.
    """
    try:
        from uvloop import run
    except ImportError:  # there is none for Windows
        from asyncio import run
    run(serve_gateway(settings))


def to_log(line: str) -> None:
    """Say a line as a record of the log."""
    log.info("%s", " ".join(line.split()))


async def serve_gateway(settings: Settings, say: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; `say` is told where and what, line by line.

    By default that is said on stderr, and where the log there is JSON, in the log: nothing else may stand between.

    Raises `ConfigError` for a configuration, an address or a store that cannot be used.
    """
    options = gateway_options(settings)
    check_options(options)
    open_more_files()
    section = settings.observability
    configure_logs(section.log_level, section.log_format, known_secrets(settings))
    tell = say or (to_log if section.log_format == "json" else to_stderr)
    async with build(settings, exclusive=True) as bot:
        app = make_app(bot.services, options)
        stop = stop_on_signals()
        calm_collector()
        async with Supervisor() as beside:
            beside.spawn(freeze_when_warm(bot.provider), name="heap of the model's library")
            await serve(
                app,
                options.host,
                options.port,
                lambda url: announce(bot, url, tell),
                stop=stop,
                drain=bot.stop,
            )


def gateway_options(settings: Settings) -> GatewayOptions:
    """The gateway's part of the configuration, as plain values."""
    gateway, limit = settings.gateway, settings.auth.rate_limit
    return GatewayOptions(
        host=gateway.host,
        port=gateway.port,
        public_url=gateway.public_url,
        cors_origins=tuple(gateway.cors_origins),
        trusted_proxies=tuple(gateway.trusted_proxies),
        api_keys=api_keys(settings),
        rate_limit=RateLimitOptions(requests=limit.requests, per_s=limit.per_s),
        metrics=settings.observability.metrics,
        version=version(),
        max_body_bytes=int(gateway.max_body_mb * 1_000_000),
    )


def api_keys(settings: Settings) -> tuple[ApiKeyOptions, ...]:
    """The configured keys; one given as a bare secret speaks for the default tenant."""
    keys = [
        key if isinstance(key, ApiKey) else ApiKey(key=key, name=f"key{n}")
        for n, key in enumerate(settings.auth.api_keys, start=1)
    ]
    return tuple(
        ApiKeyOptions(
            name=key.name,
            secret=key.key.get_secret_value(),
            tenant_id=key.tenant,
            roles=frozenset(key.roles),
        )
        for key in keys
    )


def stop_on_signals() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin_to_stop() -> None:
        for number in STOPPING:
            loop.remove_signal_handler(number)
        stop.set()

    for number in STOPPING:
        loop.add_signal_handler(number, begin_to_stop)
    return stop


def open_more_files() -> None:
    """Take as many open files as the system lets us have: it gives few at first, and a streamed turn holds two."""
    try:
        import resource
    except ModuleNotFoundError:  # there is none on Windows, nor such a limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if resource.RLIM_INFINITY != soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def calm_collector() -> None:
    """Have the garbage collector stop the loop rarely, and for a short time.

    What start-up made is taken out of its sight: a full pass over it would stop everything. And it comes by after ten
    thousand new objects instead of 700: a turn that is streamed lives through dozens of the default's passes, each over
    all the turns beside it, which made one first word in twenty 50 to 110 ms late among a thousand streams.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


async def freeze_when_warm(provider: LLMProvider) -> None:
    """The same once the model's library is imported: it is most of the heap, and it comes after the start."""
    await asyncio.to_thread(provider.warm)
    gc.freeze()  # without a collection first, which would stop the loop for as long as it is meant to save


def announce(bot: Databot, url: str, say: Callable[[str], None]) -> None:
    """Tell the operator where it is and what is wired."""
    choice = bot.choice
    say(f"databot {version()} is ready at {url} (chat page: {url}/chat/default, API: {url}/docs)")
    say(f"  model       {choice.model}: {choice.reason}; {choice.how_to_change}")
    for note in choice.notes:
        say(f"              note: {note}")
    connectors = ", ".join(bot.connectors.names()) or "none (add one under `connectors:`)"
    say(f"  connectors  {connectors}")
    for name, problem in bot.connectors.problems().items():
        say(f"              {name} is down: {problem}")
    tools = ", ".join(spec.name for spec in bot.tools.specs()) or "none"
    say(f"  tools       {tools}")
    agents = ", ".join(info.name for info in bot.catalog.agents(DEFAULT_TENANT) if info.active)
    say(f"  agents      {agents}")
    say(f"  data        {bot.settings.data_dir}")
