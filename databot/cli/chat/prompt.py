"""The line editor: history, completion, several lines with Alt-Enter."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth

from databot.cli.chat.interrupt import Interrupted
from databot.cli.chat.slash import COMMANDS

PROMPT = "› "  # noqa: RUF001 - a prompt, not a comparison
CONTINUED = "  "
QUESTION = "Run it? [y/N] "


class WordCompleter(Completer):
    """Completes `/commands` and `@agents` at the beginning of a message."""

    def __init__(self, agents: Callable[[], Sequence[str]]) -> None:
        self._agents = agents

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        del complete_event
        text = document.text_before_cursor
        for word, meaning in self.words():
            if text and word.startswith(text):
                yield Completion(word, start_position=-len(text), display_meta=meaning)

    def words(self) -> Iterable[tuple[str, str]]:
        yield from ((f"/{name}", item.help) for name, item in COMMANDS.items())
        yield from ((f"@{name} ", "ask this agent") for name in self._agents())


def bindings() -> KeyBindings:
    """Enter sends (or takes the marked completion), Alt-Enter begins a new line."""
    keys = KeyBindings()

    def send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        menu = buffer.complete_state
        if menu is not None and menu.current_completion is not None:
            buffer.complete_state = None
        else:
            buffer.validate_and_handle()

    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    keys.add("enter")(send)
    keys.add("escape", "enter")(new_line)
    return keys


def open_history(path: Path) -> History:
    """A history only its owner can read; in memory when the folder cannot be written."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def make_prompt(
    history: Path, *, color: bool, agents: Callable[[], Sequence[str]], toolbar: Callable[[], str]
) -> PromptSession[str]:
    """The line editor of the chat."""
    return PromptSession(
        PROMPT,
        history=open_history(history),
        completer=WordCompleter(agents),
        complete_while_typing=True,
        multiline=True,
        prompt_continuation=CONTINUED,
        key_bindings=bindings(),
        bottom_toolbar=toolbar,
        color_depth=None if color else ColorDepth.DEPTH_1_BIT,
        interrupt_exception=Interrupted,
    )


def make_question(*, color: bool) -> PromptSession[str]:
    """A question of yes or no; nothing of it is kept, and nothing typed before it is taken."""
    question: PromptSession[str] = PromptSession(
        QUESTION,
        history=InMemoryHistory(),
        color_depth=None if color else ColorDepth.DEPTH_1_BIT,
        interrupt_exception=Interrupted,
    )
    clear_typeahead(question.app.input)
    return question
