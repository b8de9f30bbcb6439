"""Save and load models without pickle: one zip file of plain arrays and a JSON header.

    header.json        format, format_version, advnmf_version, and the model as a tree of JSON values
    0.npy, 1.npy, ...  the arrays that the tree refers to by name, dtype and shape

Nothing in a file names code: classes, losses, adversaries and solvers are looked up in tables of this package.
Members are stored, not compressed, so a file cannot unfold to more than its own size; each array's shape and dtype
stand in the tree, in its .npy header and in the member's size, and all must agree before memory is taken.  Equal models
give equal bytes.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
from typing import BinaryIO

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.impute import MissingIndicator

from .adversaries import ADVERSARIES
from .anmf import ANMF
from .auto import AutoNMF
from .completion import CompletionModel
from .dmf import DMF
from .files import FileError, reason, replacing
from .hqasd import HQASD
from .imputer import NMFImputer
from .losses import LOSSES
from .models import NMF
from .namespaces import to_numpy
from .network import ACTIVATIONS
from .presets import ADNMF, ATNMF, EADNMF, DeepNMF
from .solvers import SOLVERS

__all__ = ["load", "save"]

FORMAT = "advnmf-model"
FORMAT_VERSION = 1

# Everything that a file may ask for by name.
MODELS: dict[str, type[BaseEstimator]] = {
    c.__name__: c for c in (NMF, ATNMF, DeepNMF, ADNMF, EADNMF, HQASD, DMF, ANMF, AutoNMF, NMFImputer)
}
PARTS: dict[str, dict[str, type]] = {
    "loss": LOSSES,
    "adversary": ADVERSARIES,
    "solver": {name: type(solver) for name, solver in SOLVERS.items()},
}

_DTYPES = ("<f8", "<f4", "<i8", "<i4", "|u1", "|b1")
_FITTED_NAME = re.compile(r"n_features_in_|[a-z][A-Za-z0-9_]*[A-Za-z0-9]_")
# Version 1.0 of the .npy format as NumPy writes it; nothing else is read.
_NPY_START = struct.Struct("<8sH")
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<|][a-z][0-9])', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), \} *\n"
)
_BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, struct.error, EOFError, KeyError, IndexError, TypeError, AttributeError,
    ValueError, OverflowError, RuntimeError, NotImplementedError,
)  # fmt: skip


def save(model: BaseEstimator, path: str | os.PathLike[str]) -> None:
    """Write a model of this package to one file.

    What was there is replaced, and stays until the new file is complete.  Kept are the parameters and the fitted
    attributes, arrays bit for bit; NumPy scalars come back as Python numbers, tensors as NumPy
    arrays (the model still answers tensors with tensors).  Not kept, with a `UserWarning`: a
    ``callback``, and a RandomState object as ``random_state`` (an int is kept).  Not kept either: what ``set_output``
    and ``set_..._request`` configured.

    Parameters
    ----------
    model : NMF, ATNMF, DeepNMF, ADNMF, EADNMF, HQASD, DMF, ANMF, AutoNMF or NMFImputer
        Fitted or not.
    path : path
        Any name; ".advnmf" is a good ending.

    Raises
    ------
    TypeError
        For another class (subclasses too), or a parameter that is not part of this package.
    ValueError
        Where the file cannot be written.
    """
    arrays: list[np.ndarray] = []
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "advnmf_version": _package_version(),
        "model": _encode_model(model, arrays),
    }
    text = json.dumps(header, allow_nan=False, indent=1).encode()
    with replacing(path, overwrite=True) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo("header.json"), "w") as member:
            member.write(text)
        for index, array in enumerate(arrays):
            with archive.open(zipfile.ZipInfo(f"{index}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def load(path: str | os.PathLike[str]) -> BaseEstimator:
    """The model that `save` wrote.

    Raises
    ------
    ValueError
        In one line that names the path: a file that is missing, cut, damaged or foreign, or of a newer format.
    """
    try:
        with open(path, "rb") as stream:
            return _read(stream)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {reason(error)}") from error
    except (*_BROKEN, RecursionError, MemoryError) as error:
        known = isinstance(error, FileError)
        what = reason(error) if known else f"not a model saved by advnmf, or damaged ({reason(error)})"
        raise FileError(f"{path}: {what}") from error


# --- the file ----------------------------------------------------------------------------------------------------


def _read(stream: BinaryIO) -> BaseEstimator:
    """Check the archive, then build the model."""
    with zipfile.ZipFile(stream) as archive:
        members = {info.filename: info for info in archive.infolist()}
        _check_members(archive, members, os.fstat(stream.fileno()).st_size)
        header = _read_header(archive.read(members.pop("header.json")))
        reader = _Reader(archive, members)
        model = _decode_model(header["model"], reader)
        if reader.unread:
            raise FileError(f"damaged: it holds arrays that nothing refers to ({sorted(reader.unread)[0]!r})")
        return model


def _check_members(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], file_size: int) -> None:
    """Refuse foreign archives, and such that declare more than they hold."""
    if "header.json" not in members:
        raise FileError("not a model saved by advnmf: a zip archive without header.json")
    if len(members) != len(archive.infolist()):
        raise FileError("damaged: two members have one name")
    for info in members.values():
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise FileError(f"not a model saved by advnmf: {info.filename!r} is compressed or encrypted")
    if sum(info.file_size for info in members.values()) > file_size:
        raise FileError("damaged: its members declare more bytes than the file has")


def _read_header(text: bytes) -> dict:
    """The JSON header, of a format that this version knows."""
    header = json.loads(text)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise FileError("not a model saved by advnmf: its header says so")
    version = header.get("format_version")
    if type(version) is not int or version < 1:
        raise FileError(f"damaged: format_version is {version!r}")
    if version > FORMAT_VERSION:
        raise FileError(
            f"saved by advnmf {header.get('advnmf_version')!s:.20} in format {version}; "
            f"this is advnmf {_package_version()}, which reads up to format {FORMAT_VERSION}: upgrade advnmf"
        )
    return header


class _Reader:
    """Takes arrays out of the archive, each once."""

    def __init__(self, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
        self.archive = archive
        self.unread = members

    def array(self, name: str, dtype: str, shape: list[int]) -> np.ndarray:
        """The array of that name, whose dtype and shape must be as said."""
        if dtype not in _DTYPES or not all(type(n) is int and n >= 0 for n in shape):
            raise FileError(f"damaged: {name!r} is declared with dtype {dtype!r} and shape {shape!r}")
        if name not in self.unread:
            raise FileError(f"damaged: the array {name!r} is missing")
        info = self.unread.pop(name)
        with self.archive.open(info) as member:
            found, fortran, length = _read_npy_header(member)
            n_bytes = np.dtype(dtype).itemsize * math.prod(shape)
            if found != (dtype, tuple(shape)) or info.file_size != length + n_bytes:
                raise FileError(f"damaged: the array {name!r} is not of dtype {dtype} and shape {tuple(shape)}")
            array = np.empty(shape, dtype, order="F" if fortran else "C")
            flat = (array.T if fortran else array).reshape(-1).view(np.uint8)
            # The last read, of nothing, is where zipfile compares the checksum.
            if member.readinto(flat) != n_bytes or member.read(1):
                raise FileError(f"damaged: the array {name!r} is cut")
        return array.astype(array.dtype.newbyteorder("="), copy=False)


def _read_npy_header(member: BinaryIO) -> tuple[tuple[str, tuple[int, ...]], bool, int]:
    """(dtype, shape), whether in column order, and the bytes before the data."""
    magic, length = _NPY_START.unpack(member.read(_NPY_START.size))
    match = _NPY_HEADER.fullmatch(member.read(length)) if magic == b"\x93NUMPY\x01\x00" else None
    if match is None:
        raise FileError("damaged: an array without a .npy header of version 1.0")
    descr, fortran, shape = (group.decode() for group in match.groups())
    sizes = tuple(int(n) for n in shape.split(",") if n.strip())
    return (descr, sizes), fortran == "True", _NPY_START.size + length


# --- models as trees of JSON values ------------------------------------------------------------------------------


def _encode_model(model: object, arrays: list[np.ndarray]) -> dict:
    """{"class", "params", "fitted"}."""
    name = type(model).__name__
    if MODELS.get(name) is not type(model):
        raise TypeError(f"{name} cannot be saved: only {', '.join(MODELS)} can")
    params = model.get_params(deep=False)
    fitted = {k: v for k, v in vars(model).items() if k not in params and _FITTED_NAME.fullmatch(k)}
    return {
        "class": name,
        "params": {k: _encode(f"{name}.{k}", _storable(name, k, v), arrays) for k, v in params.items()},
        "fitted": {k: _encode(f"{name}.{k}", v, arrays) for k, v in fitted.items()},
    }


def _storable(model: str, name: str, value: object) -> object:
    """The value of a parameter, or None with a warning for those that only concern a running fit."""
    if (name == "callback" and value is not None) or isinstance(value, np.random.RandomState):
        warnings.warn(f"{model}.{name} is not saved: the loaded model has {name}=None", UserWarning, stacklevel=4)
        return None
    return value


def _encode(name: str, value: object, arrays: list[np.ndarray]) -> object:
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
    if isinstance(value, MissingIndicator):
        holes = np.isin(np.arange(value.n_features_in_), value.features_)
        return {"indicator": _encode_array(name, holes, arrays)}
    if isinstance(value, BaseEstimator):
        return {"model": _encode_model(value, arrays)}
    for kind, table in PARTS.items():
        if table.get(getattr(value, "name", None)) is type(value):
            values = {f.name: _encode(name, getattr(value, f.name), arrays) for f in fields(value)}
            return {kind: [value.name, values]}
    raise TypeError(f"{name}={value!r} cannot be saved: it is not part of advnmf")


def _encode_array(name: str, value: np.ndarray, arrays: list[np.ndarray]) -> dict:
    """{"array": [member, dtype, shape]}, or {"names": [...]} for strings."""
    if value.dtype.kind in "OU" and value.ndim == 1 and all(isinstance(item, str) for item in value):
        return {"names": [str(item) for item in value]}
    little = value.dtype.newbyteorder("<")
    if little.str not in _DTYPES:
        raise TypeError(f"{name} cannot be saved: an array of dtype {value.dtype}")
    arrays.append(value.astype(little, copy=False))
    return {"array": [f"{len(arrays) - 1}.npy", little.str, list(value.shape)]}


def _decode_model(tree: dict, reader: _Reader) -> BaseEstimator:
    """The model of {"class", "params", "fitted"}, checked."""
    name, params, fitted = tree["class"], tree["params"], tree["fitted"]
    if name not in MODELS:
        raise FileError(f"it holds a {name!r:.60}, which this version of advnmf does not have")
    model = MODELS[name]()
    # A parameter that an older version did not have keeps its default.
    for key, value in params.items():
        if key not in model.get_params(deep=False):
            raise FileError(f"{name} has no parameter {key!r:.60} in this version of advnmf")
        setattr(model, key, _decode(value, reader))
    for key, value in fitted.items():
        if not _FITTED_NAME.fullmatch(key) or hasattr(type(model), key):
            raise FileError(f"{name} has no fitted attribute {key!r:.60}")
        setattr(model, key, _decode(value, reader))
    if fitted:
        next(check for kind, check in _CHECKS.items() if isinstance(model, kind))(model)
    return model


def _decode(value: object, reader: _Reader) -> object:
    """The value that `_encode` was given."""
    if isinstance(value, list):
        return [_decode(item, reader) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise FileError("damaged: a value of several kinds")
    ((kind, content),) = value.items()
    if kind in PARTS:
        name, values = content
        if name not in PARTS[kind]:
            raise FileError(f"its {kind} {name!r:.60} is not known to this version of advnmf")
        return PARTS[kind][name](**{k: _decode(v, reader) for k, v in values.items()})
    if kind not in _DECODERS:
        raise FileError(f"it holds a value of kind {kind!r:.60}, which this version of advnmf does not have")
    return _DECODERS[kind](content, reader)


def _decode_float(content: str, reader: _Reader) -> float:
    return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[content]


def _decode_names(content: list[str], reader: _Reader) -> np.ndarray:
    if not all(isinstance(name, str) for name in content):
        raise FileError("damaged: a name that is no text")
    return np.array(content, dtype=object)


def _decode_indicator(content: dict, reader: _Reader) -> MissingIndicator:
    """The indicator fitted to one row that has holes where the stored flags say so."""
    return MissingIndicator(error_on_new=False).fit(np.where(_decode(content, reader), np.nan, 0.0)[None])


_DECODERS: dict[str, Callable[[object, _Reader], object]] = {
    "array": lambda content, reader: reader.array(*content),
    "float": _decode_float,
    "indicator": _decode_indicator,
    "model": _decode_model,
    "names": _decode_names,
    "tuple": lambda content, reader: tuple(_decode(item, reader) for item in content),
}


# --- fitted attributes that belong together ----------------------------------------------------------------------


def _check_factorisation(model: NMF | HQASD | ANMF) -> None:
    """The factors form a chain  (n, r_p), ..., (r_1, m)  of finite numbers, and the rest fits to it."""
    factors, components = model.factors_, model.components_
    chain = [F.shape for F in factors]
    biased = getattr(model, "biases", False)
    arrays = [*factors, components, model.mean_code_]
    good = (
        len(chain) >= 2
        and all(F.ndim == 2 and F.dtype == components.dtype for F in factors)
        and all(a[1] == b[0] for a, b in pairwise(chain))
        and components.dtype.kind == "f"
        and components.shape == (chain[0][1], chain[-1][1])
        and model.mean_code_.shape == (chain[0][1] + biased,)
        and model.n_features_in_ == chain[-1][1]
        and all(np.isfinite(F).all() for F in arrays)
        and (isinstance(model, HQASD) or all((F >= 0).all() for F in factors))
    )
    if biased:
        good = (
            good
            and (model.row_bias_.shape, model.column_bias_.shape) == (chain[0][:1], chain[-1][1:])
            and all(np.isfinite(b).all() for b in (model.row_bias_, model.column_bias_, model.global_bias_))
        )
    if isinstance(model, HQASD):
        good = good and model.sigma_ > 0
    if isinstance(model, ANMF):
        attacked = model.attacked_components_
        good = good and attacked.shape == components.shape and np.isfinite(attacked).all()
    _check_fit(model, good)


def _check_network(model: DMF) -> None:
    """The layers follow each other from the codes to the features, with finite numbers and known activations."""
    layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    sizes = [model.latent_.shape[1], *(W.shape[1] for W, _ in layers)]
    arrays = [*model.coefs_, *model.intercepts_, model.latent_, model.mean_code_]
    good = (
        len(layers) >= 2
        and all(
            W.shape == shape and b.shape == shape[1:] for (W, b), shape in zip(layers, pairwise(sizes), strict=True)
        )
        and all(a.dtype == model.latent_.dtype and a.dtype.kind == "f" and np.isfinite(a).all() for a in arrays)
        and model.mean_code_.shape == (sizes[0],)
        and model.n_features_in_ == sizes[-1]
        and len(model.activations_) == len(layers) - 1
        and all(name in ACTIVATIONS for name in model.activations_)
    )
    _check_fit(model, good)


def _check_average(model: AutoNMF) -> None:
    """There are models of the same features, and three numbers of the spread if any."""
    models, spread, clip, scaling = model.models_, model.spread_, model.clip_, model.scaling_
    good = (
        len(models) > 0
        and all(type(each) is NMF and each.n_features_in_ == model.n_features_in_ for each in models)
        and all(each.factors_[0].shape[0] == models[0].factors_[0].shape[0] for each in models)
        and (spread is None or (len(spread) == 3 and all(s >= 0 for s in spread)))
        and (clip is None or (clip.shape == (2, model.n_features_in_) and (clip[0] <= clip[1]).all()))
        and (scaling is None or _is_scaling(scaling, model.n_features_in_))
    )
    _check_fit(model, good)


def _is_scaling(scaling: np.ndarray, n_features: int) -> bool:
    """Four finite numbers for each feature, of which the second divides."""
    return scaling.shape == (4, n_features) and bool(np.isfinite(scaling).all() and (scaling[1] > 0).all())


def _check_imputer(model: NMFImputer) -> None:
    """The model inside knows as many features as the imputer has learnt."""
    learnt, clip, indicator = model.learnt_features_, model.clip_range_, model.indicator_
    good = (
        learnt.dtype == bool
        and learnt.shape == (model.n_features_in_,)
        and (clip is None or clip.shape == (2, learnt.size))
        and (indicator is None or indicator.n_features_in_ == learnt.size)
        and isinstance(model.estimator_, CompletionModel)
        and model.estimator_.n_features_in_ == learnt.sum()
    )
    _check_fit(model, good)


_CHECKS: dict[type, Callable] = {
    NMFImputer: _check_imputer,
    DMF: _check_network,
    AutoNMF: _check_average,
    CompletionModel: _check_factorisation,
}


def _check_fit(model: BaseEstimator, good: bool) -> None:
    names = getattr(model, "feature_names_in_", None)
    if not good or (names is not None and len(names) != model.n_features_in_):
        raise FileError(f"damaged: the fitted attributes of {type(model).__name__} do not fit together")


def _package_version() -> str:
    from . import __version__  # the package imports this module

    return __version__
