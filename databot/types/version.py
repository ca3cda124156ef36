"""The installed version, read from the distribution and written nowhere else."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

DISTRIBUTION = "databot-daemon"


def version() -> str:
    """The version of the installed distribution; `0+source` when databot runs from an uninstalled checkout."""
    try:
        return installed(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+source"
