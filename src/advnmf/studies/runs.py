"""What a run is, what it gives, and how results are stored.

A `Run` completes one matrix with one model.  Its ``setup`` is a hash of all that decides the result except the seed,
its ``key`` includes the seed: runs of the same key are computed once, and the result is shown under the labels of each.
A `Result` is stored as a line of JSON, which is checked when it is read: anybody may have written it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, Self

from .. import __version__

__all__ = ["Labelled", "Result", "Run", "RunConfig"]

#: Raise it when the code of this subpackage gives another result for the same configuration: old results are then kept
#: apart from new ones.
CONFIG_VERSION = 1
#: Raise it when only `tuning` gives another result: results without tuning stay valid.
TUNING_VERSION = 2

# Far beyond the numbers of any real result; squares and sums of what is allowed stay finite.
_LARGEST, _LARGEST_WHOLE, _DEEPEST, _LONGEST = 1e150, 2**63, 8, 16 * 2**20
_ARRAYS = re.compile(r"[\w-]{1,100}\.npz", re.ASCII)


@dataclass(frozen=True)
class RunConfig:
    """How a matrix with missing entries is completed; all values are plain JSON.

    ``model`` is a class of `advnmf` (or "Biharmonic") with parameters ``params``; ``start`` names one of `fits.STARTS`
    and its number of sweeps; with ``zero_fill`` the model gets zeros as observed entries instead of missing ones;
    ``dtype`` is the precision of the fit; with ``unit_scale`` the data are divided by the root mean square of the
    observed entries; with ``space`` further parameters are tuned by ``candidates`` random draws from it (see `tuning`).
    """

    model: str
    params: Mapping[str, Any]
    start: tuple[str, int] | None = None
    zero_fill: bool = False
    dtype: str = "float64"
    unit_scale: bool = False
    space: str | None = None
    candidates: int = 0


@dataclass(frozen=True)
class Labelled:
    """What runs, results and summaries share.

    ``mask`` is "released", "uniform" (drawn by the seed) or the name of a picture's mask, followed by "+outliers" or
    another of `inputs.CORRUPTIONS` if observed entries are corrupted; ``fraction`` is the share of missing entries.
    """

    experiment: str
    dataset: str
    fraction: float
    mask: str
    method: str
    protocol: str
    quick: bool = field(default=False, kw_only=True)

    @property
    def case(self) -> tuple[float, str]:
        """(fraction, mask)."""
        return self.fraction, self.mask

    @property
    def labels(self) -> tuple[str, str, str, bool]:
        """Where it is shown; the same result may be shown under several labels."""
        return self.experiment, self.protocol, self.method, self.quick


@dataclass(frozen=True)
class Run(Labelled):
    """A configuration on the data of a seed.

    ``measurement`` names one of `execution.MEASUREMENTS`, with its ``options``.  ``point`` is the place of the run in a
    figure, such as {"lam": 3, "delta": "inf"}.  Point and labels do not affect the result; all else does.
    """

    seed: int
    config: RunConfig
    measurement: str = "completion"
    options: Mapping[str, Any] = field(default_factory=dict)
    point: Mapping[str, Any] = field(default_factory=dict)

    @property
    def setup(self) -> str:
        """A hash of all that decides the result, except the seed.  Its parts have the names of stored results."""
        return _hash(
            dataset=self.dataset,
            fraction=self.fraction,
            mask=self.mask,
            recipe=asdict(self.config),
            kind=self.measurement,
            options=dict(self.options),
            version=__version__,
            recipes_version=CONFIG_VERSION,
            **({} if self.config.space is None else {"search_version": TUNING_VERSION}),
        )

    @property
    def key(self) -> str:
        """A hash of all that decides the result."""
        return _hash(setup=self.setup, run=self.seed)


def _hash(**parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Result(Labelled):
    """The outcome of a run.

    ``rmse`` and ``mae`` are over the missing entries; ``config`` is the run's as a dict, ``tuned`` the parameters that
    tuning chose; ``curves`` are short lists of numbers; ``arrays`` is the name of a file for `load_arrays`.
    """

    seed: int
    config: Mapping[str, Any]
    rmse: float
    mae: float
    seconds: float
    n_iter: int
    stop_reason: str
    version: str
    setup: str
    key: str
    measurement: str = "completion"
    options: Mapping[str, Any] = field(default_factory=dict)
    point: Mapping[str, Any] = field(default_factory=dict)
    tuned: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, list[float]] = field(default_factory=dict)
    arrays: str | None = None

    @classmethod
    def of(cls, run: Run, **outcome: Any) -> Self:
        """The result of a run."""
        same = {each.name: getattr(run, each.name) for each in fields(Run)}
        own = {"config": asdict(run.config), "options": dict(run.options), "point": dict(run.point)}
        return cls(**same | own, setup=run.setup, key=run.key, version=__version__, **outcome)

    @classmethod
    def read(cls, line: bytes) -> Self:
        """The result of a line; ValueError says what is wrong with it, without quoting the line."""
        if len(line) > _LONGEST:
            raise ValueError(f"it is longer than {_LONGEST >> 20} MB")
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError("it cannot be read as JSON") from error
        if not isinstance(values, dict):
            raise ValueError(f"it is {_kind(values)}, not an object")
        if not values.keys() <= _STORED.keys():
            raise ValueError("it has a field that is none of a row")
        for name in _NEEDED:
            if name not in values:
                raise ValueError(f"{name} is missing")
        _check(values)
        return cls(**{_STORED[name][0]: value for name, value in values.items()})

    @property
    def stored(self) -> dict[str, Any]:
        """The fields as they are stored, by name."""
        return {name: getattr(self, attribute) for name, (attribute, _) in _STORED.items()}

    @property
    def line(self) -> bytes:
        """The input of `read`, with the end of the line."""
        return json.dumps(self.stored, allow_nan=False).encode() + b"\n"

    def checked(self) -> Self:
        """The result itself, if it may be stored; ValueError names a field with an invalid value."""
        _check(self.stored)
        return self

    def relabelled(self, run: Run) -> Self:
        """The same result under the labels of another run."""
        labels = {name: getattr(run, name) for name in ("experiment", "protocol", "method", "quick")}
        return replace(self, point=dict(run.point), **labels)


def _check(values: Mapping[str, Any]) -> None:
    for name, (_, check) in _STORED.items():
        if name in values and (wrong := check(values[name])):
            raise ValueError(f"{name} {wrong}")


# --- checks: what is wrong with a value, in words; "" for nothing ----------------------------------------------------


def _text(value: Any) -> str:
    """No control characters, which would reach terminals, and no lone surrogates."""
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


def _config(value: Any) -> str:
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


#: How results are stored, since the first version: by name in the file, the attribute and its check.
_STORED: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "target": ("experiment", _text),
    "dataset": ("dataset", _text),
    "fraction": ("fraction", _share),
    "mask": ("mask", _text),
    "method": ("method", _text),
    "protocol": ("protocol", _text),
    "run": ("seed", _count),
    "seed": ("seed", _count),
    "settings": ("config", _config),
    "rmse": ("rmse", _measure),
    "mae": ("mae", _measure),
    "seconds": ("seconds", _measure),
    "n_iter": ("n_iter", _count),
    "stop_reason": ("stop_reason", _text),
    "version": ("version", _text),
    "setup": ("setup", _text),
    "key": ("key", _text),
    "kind": ("measurement", _text),
    "options": ("options", _object),
    "point": ("point", _object),
    "quick": ("quick", _flag),
    "found": ("tuned", _object),
    "curves": ("curves", _curves),
    "arrays": ("arrays", _file),
}
_OPTIONAL = [each.name for each in fields(Result) if each.default is not MISSING or each.default_factory is not MISSING]
_NEEDED = [name for name, (attribute, _) in _STORED.items() if attribute not in _OPTIONAL]
