"""Save and load models without pickle: one zip file of plain arrays and a JSON header.

    header.json        format, format_version, advnmf_version, and the model as a tree of JSON values
    0.npy, 1.npy, ...  the arrays that the tree refers to by name, dtype and shape

Nothing in a file names code: models, losses, adversaries and solvers are looked up in tables of this package, and among
the classes that the caller of `load` hands in.
Members are stored, not compressed, so a file cannot unfold to more than its own size; each array's shape and dtype
stand in the tree, in its .npy header and in the member's size, and all must agree before memory is taken.  Equal models
give equal bytes.

Nothing that a file says is believed.  The size of the file, its directory, its header, the nesting and the number of
values in it are bounded before they are read; parameters and fitted attributes are checked by the rules that each model
declares (`advnmf.models.fitted`), by `load` and by `save` alike, so that no file is written that could not be read.
"""

from __future__ import annotations

import math
import os
import stat
import warnings
from collections.abc import Callable, Sequence, Set
from dataclasses import fields
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.impute import MissingIndicator

from ..adversaries import ADVERSARIES, Adversary
from ..arrays.namespaces import to_numpy
from ..losses import LOSSES, Loss
from ..models.fitted import SOMETIMES, check_model, fitted_values
from ..models.registry import MODELS, model_class
from ..penalties import PENALTIES, Penalty
from ..solvers import SOLVERS, Solver
from .files import FileError, reason
from .model_archive import DTYPES, MAX_BYTES, MODEL_VALUES, Reader, reading, write_archive

__all__ = ["load", "save"]

Parts = dict[str, dict[str, Any]]
# What a file may ask for by name, beside the models.
PARTS: Parts = {
    "loss": LOSSES,
    "adversary": ADVERSARIES,
    "penalty": PENALTIES,
    "solver": {name: type(solver) for name, solver in SOLVERS.items()},
}
_BASES: dict[str, Any] = {"loss": Loss, "adversary": Adversary, "penalty": Penalty, "solver": Solver}


def save(model: BaseEstimator, path: str | os.PathLike[str]) -> None:
    """Write a model of this package to one file.

    What was there is replaced, and stays until the new file is complete.  Kept are the parameters and the fitted
    attributes, arrays bit for bit; NumPy scalars come back as Python numbers, tensors as NumPy
    arrays (the model still answers tensors with tensors).  Not kept, with a `UserWarning`: a
    ``callback``, and a RandomState object as ``random_state`` (an int is kept).  Not kept either: what ``set_output``
    and ``set_..._request`` configured.

    Parameters
    ----------
    model : estimator
        Any model of this package, fitted or not.
    path : path
        Any name; ".advnmf" is a good ending.

    Raises
    ------
    TypeError
        For another class (subclasses too), or a parameter that cannot be stored.  One from outside of
        this package can be where it is a dataclass with a `name` of its own; `load` must be given its class.
    ValueError
        Where the file cannot be written, or `load` would refuse it: for invalid parameters, or fitted attributes that
        do not fit together.
    """
    arrays: list[np.ndarray] = []
    write_archive(path, _encode_model(model, arrays), arrays)


def load(path: str | os.PathLike[str], *, classes: Sequence[type] = (), max_bytes: int = MAX_BYTES) -> BaseEstimator:
    """The model that `save` wrote.

    Any file may be given, whoever made it: nothing in it is run, and it is a model that works or an error.

    Parameters
    ----------
    path : path
        The file.
    classes : sequence of classes, default=()
        Losses, adversaries, penalties and solvers from outside of this package that the model may hold: ``[MyLoss]``.
    max_bytes : int, default=2**30
        Largest file that is read, and 256 times the largest header (names of features); about as much memory is taken.
        Raise it for larger models of your own.

    Raises
    ------
    ValueError
        In one line that names the path: a file that is missing, too large, damaged or foreign, or of a newer format.
    """
    parts = parts_with(classes)
    try:
        with open(path, "rb", opener=_open_file) as stream, reading(stream, max_bytes) as (tree, reader):
            return _Decoder(reader, parts).model(tree)
    except FileError as error:
        raise FileError(f"{path}: {error}") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {reason(error)}") from error
    except MemoryError as error:
        raise FileError(f"{path}: there is not enough memory to read it") from error
    except Exception as error:  # of a file that anybody may have made, nothing is certain
        what = f"{type(error).__name__}: {reason(error)}"
        raise FileError(f"{path}: not a model saved by advnmf, or damaged ({what})") from error


def _open_file(path: str, flags: int) -> int:
    """Open a file, and nothing that could keep one waiting, such as a pipe."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise FileError("not a regular file")


# --- models as trees of JSON values ------------------------------------------------------------------------------


def _encode_model(model: BaseEstimator, arrays: list[np.ndarray]) -> dict:
    """{"class", "params", "fitted"}."""
    cls = type(model)
    name = cls.__name__
    if name not in MODELS or model_class(name) is not cls:
        raise TypeError(f"{name} cannot be saved: only {', '.join(MODELS)} can")
    params, fitted = model.get_params(deep=False), fitted_values(model)
    tree = {
        "class": name,
        "params": {k: _encode(f"{name}.{k}", _storable(name, k, v), arrays) for k, v in params.items()},
        "fitted": {k: _encode(f"{name}.{k}", v, arrays) for k, v in fitted.items()},
    }
    try:
        check_model(model, fitted)
    except ValueError as error:
        raise ValueError(f"{name} cannot be saved: {error}") from error
    return tree


def _storable(model: str, name: str, value: object) -> object:
    """The value of a parameter, or None with a warning for those that only concern a running fit."""
    if (name == "callback" and value is not None) or isinstance(value, np.random.RandomState):
        warnings.warn(f"{model}.{name} is not saved: the loaded model has {name}=None", UserWarning, stacklevel=4)
        return None
    return value


def _encode(name: str, value: Any, arrays: list[np.ndarray]) -> Any:
    """A value as JSON; what JSON does not have becomes {kind: ...}."""
    value = to_numpy(value)
    if isinstance(value, np.generic) and not isinstance(value, (np.complexfloating, np.void)):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, (list, tuple)):
        items = [_encode(name, item, arrays) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, np.ndarray):
        return _encode_array(name, value, arrays)
    if sparse.issparse(value):
        parts = sparse.csr_array(value)
        arrays_of = (_encode_array(name, part, arrays) for part in (parts.data, parts.indices, parts.indptr))
        return {"sparse": [*arrays_of, list(parts.shape)]}
    if isinstance(value, MissingIndicator):
        holes = np.isin(np.arange(value.n_features_in_), value.features_)
        return {"indicator": _encode_array(name, holes, arrays)}
    if isinstance(value, BaseEstimator):
        return {"model": _encode_model(value, arrays)}
    for kind, base in _BASES.items():
        if isinstance(value, base):
            check_part(kind, type(value))
            values = {f.name: _encode(name, getattr(value, f.name), arrays) for f in fields(value)}
            return {kind: [value.name, values]}
    raise TypeError(f"{name}={value!r} cannot be saved: it is not part of advnmf")


def check_part(kind: str, cls: type) -> None:
    """Refuse a loss, adversary or solver that a file could not tell from others, or not build again."""
    name = vars(cls).get("name")
    if not isinstance(name, str) or PARTS[kind].get(name, cls) is not cls:
        raise TypeError(
            f"{cls.__name__} cannot be saved: give it a name of its own, as name = {cls.__name__.lower()!r}"
        )
    if "__dataclass_fields__" not in vars(cls):
        raise TypeError(f"{cls.__name__} cannot be saved: write @dataclass(frozen=True) above it")


def parts_with(classes: Sequence[Any]) -> Parts:
    """The tables of this package, with classes from outside."""
    parts = {kind: dict(table) for kind, table in PARTS.items()}
    for cls in classes:
        kinds = [kind for kind, base in _BASES.items() if isinstance(cls, type) and issubclass(cls, base)]
        if not kinds:
            raise TypeError(f"classes={cls!r} is no class of losses, adversaries or solvers: give [MyLoss], say")
        check_part(kinds[0], cls)
        if parts[kinds[0]].setdefault(cls.name, cls) is not cls:
            raise TypeError(f"classes: two of them are called {cls.name!r}: load a model with one at a time")
    return parts


def _encode_array(name: str, value: np.ndarray, arrays: list[np.ndarray]) -> dict:
    """{"array": [member, dtype, shape]}, or {"names": [...]} for strings."""
    if value.dtype.kind in "OU" and value.ndim == 1 and all(isinstance(item, str) for item in value):
        return {"names": [str(item) for item in value]}
    little = value.dtype.newbyteorder("<")
    if little.str not in DTYPES:
        raise TypeError(f"{name} cannot be saved: an array of dtype {value.dtype}")
    arrays.append(value.astype(little, copy=False))
    return {"array": [f"{len(arrays) - 1}.npy", little.str, list(value.shape)]}


class _Decoder:
    """Makes a model of a tree, with arrays that a reader gives and classes that `parts` names."""

    def __init__(self, reader: Reader, parts: Parts) -> None:
        self.reader = reader
        self.parts = parts

    def model(self, tree: dict) -> BaseEstimator:
        """The model of {"class", "params", "fitted"}, checked."""
        name, params, fitted = tree["class"], tree["params"], tree["fitted"]
        if name not in MODELS:
            raise FileError(f"it holds a {name!r:.60}, which this version of advnmf does not have")
        self.reader.count(MODEL_VALUES)
        model = model_class(name)()
        try:
            # A parameter that an older version did not have keeps its default.
            for key, value in _known(params, model.get_params(deep=False).keys(), f"{name} has no parameter").items():
                setattr(model, key, self.value(value))
            rules = model.fitted_rules()
            known = _known(fitted, rules.keys() | {*SOMETIMES}, f"{name} has no fitted attribute")
            values = {k: self.value(v) for k, v in known.items()}
            if values:
                values = {k: rule.default() for k, rule in rules.items() if rule.default} | values
            for key, value in values.items():
                setattr(model, key, value)
            check_model(model, values)
        except ValueError as error:
            raise error if isinstance(error, FileError) else FileError(f"damaged: {error}") from error
        return model

    def value(self, value: Any) -> Any:
        """The value that `_encode` was given."""
        self.reader.count(len(value) if isinstance(value, list) else 1)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            raise FileError("damaged: a value of several kinds")
        ((kind, content),) = value.items()
        if kind in self.parts:
            return self._part(kind, *content)
        decoders: dict[str, Callable[[Any], Any]] = {
            "array": lambda content: self.reader.array(*content),
            "float": {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}.__getitem__,
            "indicator": self._indicator,
            "model": self.model,
            "names": _names,
            "sparse": self._sparse,
            "tuple": lambda content: tuple(self.value(item) for item in content),
        }
        if kind not in decoders:
            raise FileError(f"it holds a value of kind {kind!r:.60}, which this version of advnmf does not have")
        return decoders[kind](content)

    def _part(self, kind: str, name: str, values: dict[str, Any]) -> Any:
        """A loss, adversary, penalty or solver."""
        if name not in self.parts[kind]:
            raise FileError(f"its {kind} {name!r:.60} is not part of advnmf: load(..., classes=[its class]) reads it")
        cls = self.parts[kind][name]
        known = _known(values, {f.name for f in fields(cls)}, f"the {kind} {name} has no parameter")
        return cls(**{k: self.value(v) for k, v in known.items()})

    def _indicator(self, content: dict) -> MissingIndicator:
        """The indicator fitted to one row that has holes where the stored flags say so."""
        holes = self.value(content)
        if not isinstance(holes, np.ndarray) or holes.dtype != bool or holes.ndim != 1:
            raise FileError("damaged: an indicator without flags")
        return MissingIndicator(error_on_new=False).fit(np.where(holes, np.nan, 0.0)[None])

    def _sparse(self, content: list) -> sparse.csr_array:
        """A sparse matrix, whose indices are checked."""
        *parts, shape = content
        data, indices, indptr = (self.value(part) for part in parts)
        matrix = sparse.csr_array((data, indices, indptr), shape=tuple(shape))
        matrix.check_format(full_check=True)
        return matrix


def _names(content: list[str]) -> np.ndarray:
    if not all(isinstance(name, str) for name in content):
        raise FileError("damaged: a name that is no text")
    return np.array(content, dtype=object)


def _known(values: dict[str, Any], names: Set[str], refusal: str) -> dict[str, Any]:
    """The values, if all of them have one of the names."""
    for key in values:
        if key not in names:
            raise FileError(f"{refusal} {key!r:.60} in this version of advnmf")
    return values
