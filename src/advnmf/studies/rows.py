"""The result of one run, and how it is written as a line and read from one that anybody may have written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, Self

from .. import __version__
from .tasks import Task

__all__ = ["Row"]

# What an honest row stays far below, and no sum or square of which is beyond what a float holds.
_LARGEST, _LARGEST_WHOLE, _DEEPEST, _LONGEST = 1e150, 2**63, 8, 16 * 2**20
_ARRAYS = re.compile(r"[\w-]{1,100}\.npz", re.ASCII)


@dataclass(frozen=True)
class Row:
    """The result of one run.

    ``settings`` is the recipe, ``found`` the parameters that a search chose, ``point`` the place in a figure;
    ``curves`` are short lists of numbers; ``arrays`` is the name of a file for `load_arrays`.  ``rmse`` and ``mae``
    are over the missing entries.  ``setup`` and ``key`` are those of the `Task`.
    """

    target: str
    dataset: str
    fraction: float
    mask: str
    method: str
    protocol: str
    run: int
    seed: int
    settings: Mapping[str, Any]
    rmse: float
    mae: float
    seconds: float
    n_iter: int
    stop_reason: str
    version: str
    setup: str
    key: str
    kind: str = "completion"
    options: Mapping[str, Any] = field(default_factory=dict)
    point: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False
    found: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    arrays: str | None = None

    @classmethod
    def of(cls, task: Task, **results: Any) -> Self:
        """The row of a task."""
        same = ("target", "dataset", "fraction", "mask", "method", "protocol", "run", "setup", "key", "kind", "quick")
        return cls(
            **{name: getattr(task, name) for name in same},
            seed=task.run,
            settings=asdict(task.recipe),
            options=dict(task.options),
            point=dict(task.point),
            version=__version__,
            **results,
        )

    @classmethod
    def read(cls, line: bytes) -> Self:
        """The row of a line; ValueError says what is wrong with it, in words that are none of the line's."""
        if len(line) > _LONGEST:
            raise ValueError(f"it is longer than {_LONGEST >> 20} MB")
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError("it cannot be read as JSON") from error
        if not isinstance(values, dict):
            raise ValueError(f"it is {_kind(values)}, not an object")
        if not values.keys() <= _CHECKS.keys():
            raise ValueError("it has a field that is none of a row")
        for name in _NEEDED:
            if name not in values:
                raise ValueError(f"{name} is missing")
        return cls(**values).checked()

    def checked(self) -> Self:
        """The row itself, as one that may be written; ValueError names a field that cannot be what it says."""
        for name, check in _CHECKS.items():
            if wrong := check(getattr(self, name)):
                raise ValueError(f"{name} {wrong}")
        return self

    @property
    def line(self) -> bytes:
        """What `read` reads, and the end of the line."""
        return json.dumps(asdict(self), allow_nan=False).encode() + b"\n"

    def told_as(self, task: Task) -> Self:
        """The same result under the heading of another task."""
        headings = ("target", "protocol", "method", "quick")
        return replace(self, point=dict(task.point), **{name: getattr(task, name) for name in headings})

    @property
    def heading(self) -> tuple[str, str, str, bool]:
        """That of the `Task`."""
        return self.target, self.protocol, self.method, self.quick


# --- checks: what is wrong with a value, in words; "" for nothing ----------------------------------------------------


def _text(value: Any) -> str:
    """Text without control characters, which would reach terminals, and without halves of characters."""
    if not isinstance(value, str):
        return f"is {_kind(value)}, not text"
    return "" if value.isprintable() else "has characters that cannot be printed"


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {_kind(value)}, not a number"
    if isinstance(value, int):
        return "" if abs(value) < _LARGEST_WHOLE else "is too large a number"
    if not math.isfinite(value):
        return "is not finite"
    return "" if abs(value) < _LARGEST else "is too large a number"


def _measure(value: Any) -> str:
    return _number(value) or ("" if value >= 0 else "is negative")


def _share(value: Any) -> str:
    return _number(value) or ("" if 0 <= value <= 1 else "is not between 0 and 1")


def _count(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"is {_kind(value)}, not a whole number"
    return _measure(value)


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else f"is {_kind(value)}, not true or false"


def _plain(value: Any, depth: int = 0) -> str:
    """Text, numbers, true, false, nothing, and lists and objects of these."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _number(value)
    if depth == _DEEPEST:
        return "is nested too deeply"
    if isinstance(value, Mapping):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        return f"is {_kind(value)}"
    return next((f"holds a value that {wrong}" for wrong in (_plain(part, depth + 1) for part in parts) if wrong), "")


def _object(value: Any) -> str:
    return _plain(value) if isinstance(value, Mapping) else f"is {_kind(value)}, not an object"


def _settings(value: Any) -> str:
    if wrong := _object(value):
        return wrong
    if not isinstance(value.get("model"), str):
        return "has no model"
    return "" if isinstance(value.get("params"), Mapping) else "has no params"


def _curves(value: Any) -> str:
    if wrong := _object(value):
        return wrong
    numbers = all(isinstance(curve, list) and not any(map(_number, curve)) for curve in value.values())
    return "" if numbers else "has a curve that is not a list of numbers"


def _file(value: Any) -> str:
    good = value is None or (isinstance(value, str) and _ARRAYS.fullmatch(value))
    return "" if good else "is not the name of an .npz file"


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


_CHECKS: Mapping[str, Callable[[Any], str]] = {
    **dict.fromkeys(("target", "dataset", "mask", "method", "protocol", "stop_reason"), _text),
    **dict.fromkeys(("version", "setup", "key", "kind"), _text),
    **dict.fromkeys(("rmse", "mae", "seconds"), _measure),
    **dict.fromkeys(("run", "seed", "n_iter"), _count),
    **dict.fromkeys(("options", "point", "found"), _object),
    "fraction": _share,
    "settings": _settings,
    "quick": _flag,
    "curves": _curves,
    "arrays": _file,
}
_NEEDED = [each.name for each in fields(Row) if each.default is MISSING and each.default_factory is MISSING]
