"""Chat without a line editor: one message, or a line of stdin after another."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from databot.cli.bot import Bot, OpenBot, choice_line
from databot.cli.chat.cards import card, how_to_decide
from databot.cli.chat.interrupt import interruptible
from databot.cli.chat.lines import read_lines
from databot.cli.chat.plain import show_json, show_plain
from databot.cli.chat.slash import Desk, Leave, run_slash
from databot.cli.chat.talk import Talk
from databot.cli.output import Output
from databot.cli.status import DONE, FAILED, INTERRUPTED
from databot.types.errors import DatabotError, describe


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """How a chat was asked for."""

    open_bot: OpenBot
    session_id: str
    bot_id: str
    output: Output
    as_json: bool = False
    key: str | None = None

    def talk(self, bot: Bot) -> Talk:
        return Talk(bot=bot, session_id=self.session_id, bot_id=self.bot_id)


@asynccontextmanager
async def opened(options: ChatOptions) -> AsyncGenerator[Talk]:
    """The talk of an opened bot, after stderr has said which model answers."""
    async with options.open_bot() as bot:
        options.output.note(choice_line(bot.choice))
        yield options.talk(bot)


async def ask_once(options: ChatOptions, text: str) -> int:
    """Answer one message; gives the exit status."""
    async with opened(options) as talk:
        return await answer(talk, text, options)


async def answer(talk: Talk, text: str, options: ChatOptions) -> int:
    """Answer; a turn that waits for a person is left waiting, and how to decide is told."""

    async def show() -> None:
        asked = talk.ask(text, key=options.key)
        async with aclosing(asked) as whole, aclosing(talk.until_asked(whole)) as events:
            if options.as_json:
                await show_json(events)
            else:
                await show_plain(events, options.output)

    stopped = await interruptible(talk, show(), lambda: options.output.note("stopping …"))
    if stopped:
        return INTERRUPTED
    if talk.waiting:
        tell_waiting(talk, options.output)
        return FAILED
    return FAILED if talk.failed else DONE


def tell_waiting(talk: Talk, output: Output) -> None:
    for line in [line for item in talk.waiting for line in card(item)]:
        output.note(line)
    for line in how_to_decide(talk.waiting, talk.session_id):
        output.note(f"databot: {line}" if not line.startswith(" ") else line)


async def ask_lines(options: ChatOptions) -> int:
    """Answer the lines of stdin in turn; gives 1 when any of them failed."""
    status = DONE
    async with opened(options) as talk, aclosing(read_lines()) as lines:
        async for line in lines:
            try:
                outcome = await one_line(talk, line.strip(), options)
            except Leave:
                break
            if outcome == INTERRUPTED:
                return INTERRUPTED
            status = max(status, outcome)
    return status


async def one_line(talk: Talk, line: str, options: ChatOptions) -> int:
    if not line:
        return DONE
    try:
        if line.startswith("/"):
            await run_slash(Desk(talk=talk, output=options.output), line)
            return DONE
        return await answer(talk, line, options)
    except DatabotError as error:
        options.output.note(f"databot: {describe(error)}")
        return FAILED
