"""What `fit` leaves behind, declared beside each model, so that no attribute of a file is believed unchecked.

    def fitted_rules(self):
        return {"n_features_in_": Whole("features"), "components_": Floats("rank", "features", low=0.0), ...}

A rule accepts a value or refuses it by a ValueError whose text continues the name of the attribute ("has shape (3, 5),
expected (3, 4)").  Sizes of one name are one number, in whichever attributes they occur.  What names cannot express
(an inequality between two attributes, say) is left to the model's ``check_fitted()``.  `save` writes the attributes
that have a rule and no others; `load` refuses any other.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.impute import MissingIndicator

from ..arrays.namespaces import to_numpy

# The name of a size, a name and what is added to it, or a number.
Axis = str | tuple[str, int] | int

# Attributes of a model that was fitted to a data frame, or with weights, and of no other.
SOMETIMES = ("feature_names_in_", "weight_scale_")


class Sizes:
    """Sizes by name: who asks first settles it."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def agree(self, axis: Axis, size: int) -> bool:
        """Whether an axis may have this size."""
        if isinstance(axis, int):
            return size == axis
        name, more = axis if isinstance(axis, tuple) else (axis, 0)
        return size >= more and self.known.setdefault(name, size - more) == size - more

    def words(self, axes: Sequence[Axis]) -> str:
        """The expected shape, as far as it is known."""
        return f"({', '.join(self._word(axis) for axis in axes)}{',' if len(axes) == 1 else ''})"

    def _word(self, axis: Axis) -> str:
        if isinstance(axis, int):
            return str(axis)
        name, more = axis if isinstance(axis, tuple) else (axis, 0)
        return str(self.known[name] + more) if name in self.known else f"{name}{f' + {more}' if more else ''}"


class Rule(ABC):
    """What an attribute must be."""

    # Gives what a file without it stands for, where models of an earlier version had no such attribute.
    default: Callable[[], object] | None = None

    @abstractmethod
    def check(self, value: object, sizes: Sizes) -> None:
        """Refuse what breaks the rule, by a ValueError whose text continues the name of the attribute."""


def check_model(model: BaseEstimator, values: dict[str, object]) -> None:
    """Refuse invalid parameters, and fitted attributes (`values`) that do not fit together, by a ValueError."""
    model.check_parameters()
    if not values:
        return
    sizes = Sizes()
    for name, rule in rules_of(model).items():
        if name not in values:
            raise ValueError(f"{type(model).__name__} is fitted, but has no {name}")
        try:
            rule.check(values[name], sizes)
        except ValueError as error:
            raise ValueError(f"{name} of {type(model).__name__} {error}") from None
    with np.errstate(all="ignore"):
        model.check_fitted()


def rules_of(model: BaseEstimator) -> dict[str, Rule]:
    """The rules of a model, with those of what it has only sometimes, where it has it."""
    rules: tuple[Rule, ...] = Names("features"), Number(low=math.ulp(0.0))
    found = {name: rule for name, rule in zip(SOMETIMES, rules, strict=True) if name in vars(model)}
    return model.fitted_rules() | found


def fitted_values(model: BaseEstimator) -> dict[str, object]:
    """The attributes that have a rule; none where a fit has only looked at the features before it failed."""
    values = {name: vars(model)[name] for name in rules_of(model) if name in vars(model)}
    return values if values.keys() - {"n_features_in_", *SOMETIMES} else {}


# --- numbers and text --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Whole(Rule):
    """An integer that is not negative; a size, where it is named."""

    size: Axis | None = None

    def check(self, value: object, sizes: Sizes) -> None:
        """Integers of Python or NumPy."""
        if not isinstance(value, Integral) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise ValueError(f"is {brief(value)}, expected an integer of at least 0")
        if self.size is not None and not sizes.agree(self.size, int(value)):
            raise ValueError(f"is {brief(value)}, expected {sizes.words([self.size])[1:-2]}")


@dataclass(frozen=True)
class Number(Rule):
    """A real number of at least `low`; NaN and infinity only where that is said."""

    low: float = -math.inf
    finite: bool = True
    nan: bool = False

    def check(self, value: object, sizes: Sizes) -> None:
        """Numbers of Python or NumPy."""
        real = isinstance(value, Real) and not isinstance(value, bool)
        good = real and (self.nan if value != value else self.low <= value)
        if not good or (self.finite and math.isinf(value)):
            raise ValueError(f"is {brief(value)}, expected a{' finite' * self.finite} number{at_least(self.low)}")


def at_least(low: float) -> str:
    """The words for a lower limit, if there is one."""
    return f" of at least {low:g}" if low > -math.inf else ""


@dataclass(frozen=True)
class LayerSizes(Rule):
    """The sizes of layers: one integer, or a tuple of several."""

    def check(self, value: object, sizes: Sizes) -> None:
        """Positive integers."""
        layers = value if isinstance(value, tuple) and len(value) > 1 else (value,)
        if not all(isinstance(r, Integral) and not isinstance(r, bool) and r > 0 for r in layers):
            raise ValueError(f"is {brief(value)}, expected a positive integer or a tuple of them")


@dataclass(frozen=True, init=False)
class Word(Rule):
    """A text; one of some, where these are given."""

    choices: tuple[str, ...]

    def __init__(self, *choices: str) -> None:
        object.__setattr__(self, "choices", choices)

    def check(self, value: object, sizes: Sizes) -> None:
        """Text."""
        if not isinstance(value, str) or (self.choices and value not in self.choices):
            raise ValueError(f"is {brief(value)}, expected {' or '.join(map(repr, self.choices)) or 'a text'}")


@dataclass(frozen=True)
class Flag(Rule):
    """True or False."""

    def check(self, value: object, sizes: Sizes) -> None:
        """Booleans of Python or NumPy."""
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"is {brief(value)}, expected True or False")


# --- arrays ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, init=False)
class Floats(Rule):
    """An array of finite floating point numbers of at least `low`.

    Those that a model computes with have one precision, and none is empty.  Others are `alone`, and float64.
    """

    axes: tuple[Axis, ...]
    low: float
    alone: bool

    def __init__(self, *axes: Axis, low: float = -math.inf, alone: bool = False) -> None:
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "alone", alone)

    def check(self, value: object, sizes: Sizes) -> None:
        """NumPy arrays, or tensors."""
        array = check_array(value, "f", self.axes, sizes, empty=self.alone)
        if not sizes.agree(8 if self.alone else "bytes of a number", array.itemsize):
            raise ValueError(f"is of {array.dtype}, unlike the arrays that it is used with")
        good = np.isfinite(array) & (array >= self.low)
        if not good.all():
            raise ValueError(f"holds {array[~good][0]}, expected finite numbers{at_least(self.low)}")


@dataclass(frozen=True)
class Bounds(Rule):
    """A lower and an upper end for each feature: an array of two rows, infinite where there is none."""

    axis: Axis

    def check(self, value: object, sizes: Sizes) -> None:
        """Each lower end is at most the upper one, and a finite number lies between."""
        low, high = check_array(value, "f", (2, self.axis), sizes)
        if not ((low <= high) & (low < np.inf) & (high > -np.inf)).all():
            raise ValueError("holds a lower end above the upper one, or ends without a number between them")


@dataclass(frozen=True)
class Truths(Rule):
    """One boolean for each of something, at least one of them true."""

    axis: Axis

    def check(self, value: object, sizes: Sizes) -> None:
        """An array of booleans."""
        if not check_array(value, "b", (self.axis,), sizes).any():
            raise ValueError("is False throughout")


@dataclass(frozen=True)
class Counts(Rule):
    """One integer that is not negative for each of something."""

    axis: Axis

    def check(self, value: object, sizes: Sizes) -> None:
        """An array of integers."""
        if (check_array(value, "i", (self.axis,), sizes) < 0).any():
            raise ValueError("holds a negative number")


@dataclass(frozen=True)
class Names(Rule):
    """An array of one text for each of something."""

    axis: Axis

    def check(self, value: object, sizes: Sizes) -> None:
        """An array of objects, as pandas gives it, or of text."""
        array = check_array(value, "OU", (self.axis,), sizes)
        if not all(isinstance(name, str) for name in array):
            raise ValueError("holds a name that is no text")


@dataclass(frozen=True)
class Chain(Rule):
    """A list of two or more matrices that can be multiplied; sizes between them are named "size 1", "size 2", ..."""

    rows: str
    columns: str
    low: float = -math.inf

    def check(self, value: object, sizes: Sizes) -> None:
        """Each begins with the size that the one before it ends with."""
        axes = pairwise([self.rows, *_links(value), self.columns])
        for index, (F, (before, after)) in enumerate(zip(value, axes, strict=True), 1):
            _check_item(index, Floats(before, after, low=self.low), F, sizes)


@dataclass(frozen=True)
class Ends(Rule):
    """A list of one vector for each matrix of a chain, of the size that the matrix ends with."""

    columns: str

    def check(self, value: object, sizes: Sizes) -> None:
        """Vectors."""
        for index, (b, size) in enumerate(zip(value, [*_links(value), self.columns], strict=True), 1):
            _check_item(index, Floats(size), b, sizes)


def _links(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) < 2:
        raise ValueError(f"is {brief(value)}, expected a list of two or more arrays")
    return [f"size {n}" for n in range(1, len(value))]


@dataclass(frozen=True)
class Pattern(Rule):
    """(indptr, indices) of compressed rows: row i stores the columns indices[indptr[i]:indptr[i + 1]]."""

    rows: str
    columns: str

    def check(self, value: object, sizes: Sizes) -> None:
        """Row pointers rise from 0 to the number of indices, which are columns of the matrix."""
        if not isinstance(value, tuple) or len(value) != 2:
            raise ValueError(f"is {brief(value)}, expected row pointers and columns")
        indptr = check_array(value[0], "i", ((self.rows, 1),), sizes)
        indices = check_array(value[1], "i", ("stored entries",), sizes)
        if indptr[0] != 0 or indptr[-1] != len(indices) or (indptr[1:] < indptr[:-1]).any():
            raise ValueError(f"has row pointers that do not rise from 0 to {len(indices)}, the number of its columns")
        outside = (indices < 0) | (indices >= sizes.known[self.columns])
        if outside.any():
            raise ValueError(f"holds the column {indices[outside][0]}, expected 0 .. {sizes.known[self.columns] - 1}")


def check_array(value: object, kinds: str, axes: tuple[Axis, ...], sizes: Sizes, *, empty: bool = False) -> np.ndarray:
    """The value as a NumPy array of these axes and of one of these kinds; whether it may be `empty`."""
    array = to_numpy(value)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
        raise ValueError(f"is {brief(value)}, expected {_KINDS[kinds]}")
    pairs = list(zip(axes, array.shape, strict=False))
    agreed = array.ndim == len(axes) and all(sizes.agree(axis, size) for axis, size in pairs)
    if not agreed or (array.size == 0 and not empty):
        raise ValueError(f"has shape {array.shape}, expected {sizes.words(axes)}")
    return array


_KINDS = {
    "f": "an array of floating point numbers",
    "b": "an array of booleans",
    "i": "an array of integers",
    "OU": "an array of names",
}


# --- of other things ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Perhaps(Rule):
    """None, or what another rule asks for."""

    rule: Rule

    def check(self, value: object, sizes: Sizes) -> None:
        """None is accepted; other values follow the rule."""
        if value is not None:
            self.rule.check(value, sizes)


@dataclass(frozen=True)
class Each(Rule):
    """A list (or a tuple, where that is said) with one thing or more that follows a rule."""

    rule: Rule
    kind: type = list

    def check(self, value: object, sizes: Sizes) -> None:
        """Every item."""
        if type(value) is not self.kind or not value:
            raise ValueError(f"is {brief(value)}, expected a {self.kind.__name__} that is not empty")
        for index, item in enumerate(value, 1):
            _check_item(index, self.rule, item, sizes)


@dataclass(frozen=True, init=False)
class Record(Rule):
    """A tuple with one item for each rule."""

    rules: tuple[Rule, ...]

    def __init__(self, *rules: Rule) -> None:
        object.__setattr__(self, "rules", rules)

    def check(self, value: object, sizes: Sizes) -> None:
        """Item by item."""
        if not isinstance(value, tuple) or len(value) != len(self.rules):
            raise ValueError(f"is {brief(value)}, expected a tuple of {len(self.rules)}")
        for index, (rule, item) in enumerate(zip(self.rules, value, strict=True), 1):
            _check_item(index, rule, item, sizes)


@dataclass(frozen=True)
class Instance(Rule):
    """An object of a class, such as a loss."""

    kind: type
    default: Callable[[], object] | None = None

    def check(self, value: object, sizes: Sizes) -> None:
        """Any instance of it."""
        if not isinstance(value, self.kind):
            raise ValueError(f"is {brief(value)}, expected an object of the class {self.kind.__name__}")


@dataclass(frozen=True)
class Fitted(Rule):
    """A model of a class that is fitted to so many features; its own attributes are checked by itself."""

    kind: type
    features: str | None = None

    def check(self, value: object, sizes: Sizes) -> None:
        """Fitted, and to the right number of features."""
        if not isinstance(value, self.kind) or "n_features_in_" not in vars(value):
            raise ValueError(f"is {brief(value)}, expected a fitted {self.kind.__name__}")
        if self.features is not None and not sizes.agree(self.features, value.n_features_in_):
            raise ValueError(f"knows {value.n_features_in_} features, expected {sizes.known[self.features]}")


@dataclass(frozen=True)
class Indicator(Rule):
    """The fitted indicator of missing values of so many features."""

    features: str

    def check(self, value: object, sizes: Sizes) -> None:
        """Fitted, and to the right number of features."""
        Fitted(MissingIndicator, self.features).check(value, sizes)


def _check_item(index: int, rule: Rule, item: object, sizes: Sizes) -> None:
    try:
        rule.check(item, sizes)
    except ValueError as error:
        raise ValueError(f"has an item {index} that {error}") from None


def brief(value: object) -> str:
    """A value in a few words: its repr where that is short, else its class."""
    if value is None or (isinstance(value, bool | int | float | str) and len(repr(value)) <= 40):
        return repr(value)
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + (f" of shape {tuple(shape)}" if isinstance(shape, tuple) else "")


def check_product(codes: object, components: object, *offsets: object) -> None:
    """Refuse a linear decoder whose predictions, or components (codes come from them), are too large to be squared."""
    codes, components = to_numpy(codes), to_numpy(components)
    largest = float(np.finfo(codes.dtype).max) ** 0.5
    prediction, norm = np.zeros(components.shape[1]), 0.0
    # One component at a time: a copy of the factors may be as large as the file.
    for top, row in zip(np.maximum(codes.max(axis=0), -codes.min(axis=0)), components, strict=True):
        size = np.abs(row.astype(np.float64))
        prediction += float(top) * size
        norm = max(norm, float(np.linalg.norm(size)))
    top = max(float(prediction.max()) + sum(float(np.max(np.abs(to_numpy(b)))) for b in offsets), norm)
    if not top < largest:
        raise ValueError(f"factors_ and components_ are too large to be squared: their products reach {top:.3g}")


# How a fit went.
COURSE: dict[str, Rule] = {
    "n_iter_": Whole("sweeps"),
    "loss_curve_": Floats(("sweeps", 1), alone=True),
    "stop_reason_": Word(),
    "reconstruction_err_": Number(low=0.0),
}
