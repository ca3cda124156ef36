"""The model, prepared once for all of retrieval's tests."""

from pathlib import Path

import pytest

from databot.rag.model import prepare
from tests.rag.kit import need_weights


@pytest.fixture(scope="session")
def model_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that holds the prepared model; tests must not change it."""
    home = tmp_path_factory.mktemp("model-home")
    need_weights(home)
    prepare(home)
    return home
