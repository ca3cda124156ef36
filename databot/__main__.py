"""`python -m databot` is the `databot` command."""

import sys

from databot.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
