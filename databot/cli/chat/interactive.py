"""The chat on a terminal: a prompt that is there at once, and answers drawn while they come."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit.patch_stdout import patch_stdout

from databot.cli.bot import choice_line
from databot.cli.chat.background import Background
from databot.cli.chat.cards import card, how_to_decide
from databot.cli.chat.interrupt import (
    Interrupted,
    forget_typed,
    interruptible,
    quiet_keyboard,
)
from databot.cli.chat.modes import ChatOptions
from databot.cli.chat.prompt import make_prompt, make_question
from databot.cli.chat.slash import Desk, Leave, run_slash
from databot.cli.chat.talk import Talk
from databot.cli.status import DONE, INTERRUPTED
from databot.types.errors import Conflict, DatabotError, describe
from databot.types.messages import LOCAL_PRINCIPAL

if TYPE_CHECKING:
    from databot.cli.chat.view import LiveView
    from databot.tools.base import Verdict
    from databot.types.events import StreamEvent


async def converse(options: ChatOptions, history: Path) -> int:
    """Talk until the person leaves; gives the exit status."""
    background = Background(options.open_bot)
    chat = Chat(options, background, history)
    status = DONE
    try:
        with quiet_keyboard():
            async with asyncio.TaskGroup() as group:
                group.create_task(background.run())
                greeter = group.create_task(chat.greet())
                try:
                    await chat.run()
                finally:
                    greeter.cancel()
                    background.close()
    except* Interrupted:
        status = INTERRUPTED
    return status


class Chat:
    """The loop of prompt and answer."""

    def __init__(self, options: ChatOptions, background: Background, history: Path) -> None:
        self.options = options
        self.background = background
        self.talk: Talk | None = None
        self.greeted = False
        self.prompt = make_prompt(
            history,
            color=options.output.color,
            agents=lambda: self.talk.agents() if self.talk else (),
            toolbar=self.toolbar,
        )
        self.prompt.app.after_render += lambda _: background.begin()

    def toolbar(self) -> str:
        if self.talk is None:
            return " starting … "
        return f" {self.talk.bot.choice.model} · {self.talk.session_id} · /help "

    async def greet(self) -> None:
        """Say which model answers as soon as that is known, above the prompt."""
        self.talk = self.options.talk(await self.background.bot())
        if self.prompt.app.is_running:
            self.say_model()
            self.prompt.app.invalidate()

    def say_model(self) -> None:
        if self.talk is not None and not self.greeted:
            self.greeted = True
            self.options.output.note(choice_line(self.talk.bot.choice))

    async def run(self) -> None:
        """Until `/quit` or Ctrl-D. Raises `Interrupted` when Ctrl-C is pressed twice."""
        pressed = False
        while True:
            try:
                text = await self.read()
            except EOFError:
                break
            except Interrupted:
                if pressed:
                    raise
                pressed = True
                self.options.output.note("press Ctrl-C again to leave, or Ctrl-D")
                continue
            pressed = False
            try:
                await self.take(text.strip())
            except Leave:
                break
        self.farewell()

    async def read(self) -> str:
        with patch_stdout(raw=True):
            return await self.prompt.prompt_async()

    async def take(self, text: str) -> None:
        """One line: a slash command or a message. Its errors are shown, and the next line works."""
        if not text:
            return
        talk = await self.open_talk()
        try:
            if text.startswith("/"):
                await run_slash(Desk(talk=talk, output=self.options.output), text)
            else:
                await self.answer(talk, text)
        except DatabotError as error:
            self.options.output.note(f"✗ {describe(error)}")

    async def open_talk(self) -> Talk:
        if self.talk is None:
            with self.options.output.console().status("starting …"):
                self.talk = self.options.talk(await self.background.bot())
        self.say_model()
        return self.talk

    async def answer(self, talk: Talk, text: str) -> None:
        """Draw the answer; where it needs a person, ask this one and go on."""
        from databot.cli.chat.view import LiveView

        async with aclosing(talk.ask(text)) as events:
            while True:
                with LiveView(self.options.output.console()) as view:
                    await interruptible(talk, draw(talk, events, view), view.stop)
                if not talk.waiting or not await self.decide(talk):
                    return

    async def decide(self, talk: Talk) -> bool:
        """Put what waits to the person; `False` when they leave it undecided."""
        note = self.options.output.note
        for approval in talk.waiting:
            for line in card(approval):
                note(line)
            verdict = await self.verdict()
            if verdict is None:
                for line in how_to_decide([approval], talk.session_id):
                    note(line)
                return False
            try:
                await talk.bot.approvals.decide(LOCAL_PRINCIPAL, approval.id, verdict)
            except Conflict as error:  # somebody else was faster
                note(f"! {describe(error)}")
        return True

    async def verdict(self) -> "Verdict | None":
        """Yes, no, or neither (Ctrl-C, Ctrl-D). What was typed before the question is no answer to it."""
        forget_typed()
        question = make_question(color=self.options.output.color)
        try:
            said = await question.prompt_async()
        except (EOFError, Interrupted):
            return None
        return "approve" if said.strip().lower() in {"y", "yes"} else "deny"

    def farewell(self) -> None:
        if self.talk is not None and self.talk.last is not None:
            self.options.output.note(f"go on with: databot chat --session {self.talk.session_id}")


async def draw(talk: Talk, events: "AsyncGenerator[StreamEvent]", view: "LiveView") -> None:
    async with aclosing(talk.until_asked(events)) as shown:
        async for event in shown:
            view.show(event)
