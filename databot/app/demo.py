"""Makes the demo workspace, and makes it again without harm.

The database is ours and is renewed each day, so that "yesterday" has orders; the configuration and the documents are
written once and then belong to whoever edits them.
"""

from collections.abc import Callable
from datetime import date
from importlib.resources import files
from pathlib import Path

from databot.app.company.database import is_current, write_database
from databot.types.errors import ConfigError

CONFIG = """\
# The demo workspace of databot. Delete the folder when you are done with it.
data_dir: ./.databot
llm:
  model: auto          # a key in the environment is used; without one the offline analyst answers
connectors:
  company:
    type: sql
    url: sqlite:///company.db
rag:
  sources: [./docs]
"""


def prepare_demo(directory: Path, today: date, say: Callable[[str], None]) -> Path:
    """Make or refresh the workspace in `directory`; gives its absolute path.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        say(f"databot: demo workspace in {directory}")
        refresh_database(directory / "company.db", today, say)
        write_once(directory / "config.yaml", CONFIG)
        for document in files("databot.app.company").joinpath("docs").iterdir():
            write_once(directory / "docs" / document.name, document.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the demo workspace {directory} cannot be written: {error.strerror}",
            hint="name another folder: databot demo DIR",
        ) from error
    return directory.resolve()


def refresh_database(path: Path, today: date, say: Callable[[str], None]) -> None:
    if is_current(path, today):
        return
    say("databot: preparing the database …")
    counts = write_database(path, today)
    made = ", ".join(f"{rows:,} {table.replace('_', ' ')}" for table, rows in counts.items())
    say(f"databot: made {made}, two years of invented orders up to yesterday")


def write_once(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(text, encoding="utf-8")
