"""Fixtures for plugin authors, loaded by pytest wherever databot is installed; each costs nothing until it is used."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from databot.testing.model_server import ModelServer


@pytest.fixture
def running_databot() -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Open a whole databot with `async with`; see `databot.testing.running`."""
    from databot.testing.running import running_databot

    return running_databot


@pytest.fixture
def make_model_server() -> "type[ModelServer]":
    """Open a scripted OpenAI-compatible server on 127.0.0.1 with `async with`."""
    from databot.testing.model_server import ModelServer

    return ModelServer
