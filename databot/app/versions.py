"""What a turn began with: the versions of the program, the tables, the configuration and the prompts.

They are kept with each accepted message, so that an answer can be explained later, by whatever version goes on with it.
The configuration and the prompts have no numbers of their own: a short digest says whether they were the same.
"""

from collections.abc import Mapping
from hashlib import blake2b

from databot.app.agents import configured_specialists
from databot.config.settings import Settings
from databot.core.context import HOUSE_RULES
from databot.storage.migrate import HEAD
from databot.types.version import version

DIGEST_BYTES = 6


def versions_of(settings: Settings) -> Mapping[str, str]:
    """The versions by what they are of; no secret goes into a digest."""
    prompts = [HOUSE_RULES]
    prompts += [bot.system_prompt for _, bot in sorted(settings.bots.items())]
    prompts += [specialist.prompt for specialist in configured_specialists(settings)]
    return {
        "databot": version(),
        "schema": HEAD,
        "config": digest(settings.model_dump_json()),  # secrets are masked there
        "prompts": digest("\0".join(prompts)),
    }


def digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=DIGEST_BYTES).hexdigest()
