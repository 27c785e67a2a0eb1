"""Shared by the tests of the transfer scripts."""

import logging

import pytest


@pytest.fixture(autouse=True)
def quiet_again():
    """Close the log files that a script in this process has opened."""
    yield
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.FileHandler):
            logging.getLogger().removeHandler(handler)
            handler.close()
