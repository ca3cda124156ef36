"""Ask a question from a program: `python ask.py config.yaml "How many orders are there?"`."""

import asyncio
import sys

from databot import Settings, build
from databot.types.events import TextDelta


async def main(config: str, question: str) -> None:
    async with build(Settings.load(config)) as bot:
        reply = await bot.ask(question, session_id="sample")
        print(reply.content)
        for evidence in reply.evidence:
            print("--", evidence.statement)

        async for event in bot.stream("and by country?", session_id="sample"):
            if isinstance(event, TextDelta):
                print(event.text, end="", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
