"""Properties that are computed once.

`functools.cached_property` takes a lock that all instances share (until Python 3.12): a process that is forked while
another thread holds it waits for ever.  Here two threads may compute the same value at worst.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class cached_property:
    """A method whose result is kept in the instance, under its own name."""

    def __init__(self, method: Callable[[Any], Any]) -> None:
        self.method = method
        self.__doc__ = method.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Compute and keep it; the instance's own entry hides this descriptor from then on."""
        if instance is None:
            return self
        value = self.method(instance)
        vars(instance)[self.name] = value
        return value
