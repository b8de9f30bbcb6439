"""What readers of other libraries log and warn of while they read: nothing, as the checks here say what is wrong.

Only what is logged by the thread that asked for quiet is dropped.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_quiet = ContextVar("_quiet", default=False)


def _is_heard(record: logging.LogRecord) -> bool:
    return not _quiet.get()


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """No warning, and nothing from this logger, while the block runs."""
    logging.getLogger(logger).addFilter(_is_heard)  # added once, however often it is asked for
    token = _quiet.set(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _quiet.reset(token)
