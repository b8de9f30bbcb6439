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

import json
import math
import os
import re
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import BinaryIO

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
from .files import FileError, reason, replacing

__all__ = ["load", "save"]

FORMAT = "advnmf-model"
# 2: models have an `adversary_`.
FORMAT_VERSION = 2

Parts = dict[str, dict[str, type]]
# What a file may ask for by name, beside the models.
PARTS: Parts = {
    "loss": LOSSES,
    "adversary": ADVERSARIES,
    "penalty": PENALTIES,
    "solver": {name: type(solver) for name, solver in SOLVERS.items()},
}
_BASES: dict[str, type] = {"loss": Loss, "adversary": Adversary, "penalty": Penalty, "solver": Solver}

_DTYPES = ("<f8", "<f4", "<i8", "<i4", "|u1", "|b1")
# What a file may hold.  A header takes some twenty times its own size once it is parsed.
MAX_BYTES, _HEADER_SHARE = 2**30, 256
# Bytes that are read at a time; the directory of the archive is read at once, which allows for 20,000 arrays.
_PIECE = 2**20
# Values in the header, of which a model counts as many, and how deep they may be nested.
_MOST_VALUES, _MODEL_VALUES, _DEEPEST = 200_000, 200, 40
# Characters of an integer of 64 bits and of a float, with room to spare.
_INTEGER_LENGTH, _FLOAT_LENGTH = 20, 40
# Version 1.0 of the .npy format as NumPy writes it; nothing else is read.
_NPY_START, _NPY_LONGEST = struct.Struct("<8sH"), 1024
# A string of JSON, or what begins as one: without an end, or each quote in it would be a beginning of its own.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)


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
        with open(path, "rb", opener=_open_file) as stream:
            return _read(stream, max_bytes, parts)
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


# --- the file ----------------------------------------------------------------------------------------------------


def _read(stream: BinaryIO, max_bytes: int, parts: Parts) -> BaseEstimator:
    """Check the archive, then build the model."""
    size = os.fstat(stream.fileno()).st_size
    if size > max_bytes:
        raise FileError(f"it has {size} bytes, more than max_bytes={max_bytes}: load(..., max_bytes={size}) reads it")
    with zipfile.ZipFile(_Pieces(stream)) as archive:
        members = {info.filename: info for info in archive.infolist()}
        _check_members(archive, members, size)
        header = _read_header(archive, members.pop("header.json"), max_bytes // _HEADER_SHARE)
        reader = _Reader(archive, members, parts)
        model = _decode_model(header["model"], reader)
        if reader.unread:
            raise FileError(f"damaged: it holds arrays that nothing refers to ({sorted(reader.unread)[0]!r:.60})")
        return model


class _Pieces:
    """A file that is not read at once, as the directory of an archive would be whatever size it claims."""

    def __init__(self, stream: BinaryIO) -> None:
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all that are left; an error where these are more than a piece."""
        data = self._stream.read(_PIECE + 1 if size < 0 else min(size, _PIECE + 1))
        if len(data) > _PIECE:
            raise FileError("not a model saved by advnmf: an archive of too many files, or damaged")
        return data


def _check_members(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], file_size: int) -> None:
    """Refuse foreign archives, and such that declare more than they hold."""
    if "header.json" not in members:
        raise FileError("not a model saved by advnmf: a zip archive without header.json")
    if len(members) != len(archive.infolist()):
        raise FileError("damaged: two members have one name")
    for info in members.values():
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise FileError(f"not a model saved by advnmf: {info.filename!r:.60} is compressed or encrypted")
    if sum(info.file_size for info in members.values()) > file_size:
        raise FileError("damaged: its members declare more bytes than the file has")


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, longest: int) -> dict:
    """The JSON header, of a format that this version knows."""
    if info.file_size > longest:
        raise FileError(
            f"its header has {info.file_size} bytes, more than {longest}: "
            f"load(..., max_bytes={info.file_size * _HEADER_SHARE}) reads it"
        )
    text = bytearray(info.file_size)
    with archive.open(info) as member:
        _read_into(member, memoryview(text), "the header")
    header = _parse(bytes(text))
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise FileError("not a model saved by advnmf: its header says so")
    version = header.get("format_version")
    if type(version) is not int or version < 1:
        raise FileError(f"damaged: format_version is {version!r:.60}")
    if version > FORMAT_VERSION:
        raise FileError(
            f"saved by advnmf {header.get('advnmf_version')!s:.20} in format {version}; "
            f"this is advnmf {_package_version()}, which reads up to format {FORMAT_VERSION}: upgrade advnmf"
        )
    return header


def _read_into(member: BinaryIO, target: memoryview, name: str) -> None:
    """Fill the target with the rest of a member, piece by piece."""
    for start in range(0, len(target), _PIECE):
        piece = target[start : start + _PIECE]
        if member.readinto(piece) != len(piece):
            raise FileError(f"damaged: {name} is cut")
    # The last read, of nothing, is where zipfile compares the checksum.
    if member.read(1):
        raise FileError(f"damaged: {name} goes on after its end")


def _parse(text: bytes) -> object:
    """The JSON value of a text, if it is as `save` writes it."""
    # Strings apart, brackets tell how deep it goes; the parser of JSON would find out on the stack.
    plain = np.frombuffer(_STRING.sub(b"", text), np.uint8)
    steps = np.isin(plain, list(b"[{")).astype(np.int32) - np.isin(plain, list(b"]}"))
    if steps.size and steps.cumsum(dtype=np.int32).max() > _DEEPEST:
        raise FileError(f"damaged: its header is nested more than {_DEEPEST} deep")
    return json.loads(
        text.decode(),
        parse_int=_integer,
        parse_float=_real,
        parse_constant=_real,
        object_pairs_hook=_unique,
    )


def _integer(digits: str) -> int:
    # Thousands of digits take quadratic time.
    if len(digits) > _INTEGER_LENGTH:
        raise FileError(f"damaged: its header holds an integer of {len(digits)} digits")
    return int(digits)


def _real(digits: str) -> float:
    if len(digits) > _FLOAT_LENGTH or not math.isfinite(float(digits)):
        raise FileError(f"damaged: its header holds the number {digits:.40}")
    return float(digits)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise FileError("damaged: its header says one thing twice")
    return values


class _Reader:
    """Takes arrays out of the archive, each once, and counts the values of the header."""

    def __init__(self, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], parts: Parts) -> None:
        self.archive = archive
        self.parts = parts
        self.unread = members
        self.values_left = _MOST_VALUES

    def count(self, n_values: int) -> None:
        """Refuse a header of too many values, before they are made."""
        self.values_left -= n_values
        if self.values_left < 0:
            raise FileError(f"damaged: its header holds more than {_MOST_VALUES} values")

    def array(self, name: str, dtype: str, shape: list[int]) -> np.ndarray:
        """The array of that name, whose dtype and shape must be as said."""
        good = dtype in _DTYPES and isinstance(shape, list) and len(shape) <= 2
        if not good or not all(type(n) is int and n >= 0 for n in shape):
            raise FileError(f"damaged: {name!r:.60} is declared with dtype {dtype!r:.60} and shape {shape!r:.60}")
        if name not in self.unread:
            raise FileError(f"damaged: the array {name!r:.60} is missing")
        info = self.unread.pop(name)
        with self.archive.open(info) as member:
            fortran, length = _read_npy_header(member, dtype, tuple(shape))
            n_bytes = np.dtype(dtype).itemsize * math.prod(shape)
            if fortran is None or info.file_size != length + n_bytes:
                raise FileError(f"damaged: the array {name!r:.60} is not of dtype {dtype} and shape {tuple(shape)}")
            array = np.empty(shape, dtype, order="F" if fortran else "C")
            _read_into(member, (array.T if fortran else array).reshape(-1).view(np.uint8).data, "an array")
        if dtype == "|b1" and array.view(np.uint8).max(initial=0) > 1:
            raise FileError(f"damaged: the array {name!r:.60} holds what is neither true nor false")
        return array.astype(array.dtype.newbyteorder("="), copy=False)


def _read_npy_header(member: BinaryIO, dtype: str, shape: tuple[int, ...]) -> tuple[bool | None, int]:
    """Whether the array is in column order, None if it is another one, and the number of bytes before the data."""
    magic, length = _NPY_START.unpack(member.read(_NPY_START.size))
    if magic != b"\x93NUMPY\x01\x00" or length > _NPY_LONGEST:
        raise FileError("damaged: an array without a .npy header of version 1.0")
    text = member.read(length).rstrip().decode("latin-1")
    orders = {f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}, }}": order for order in (False, True)}
    return orders.get(text), _NPY_START.size + length


# --- models as trees of JSON values ------------------------------------------------------------------------------


def _encode_model(model: object, arrays: list[np.ndarray]) -> dict:
    """{"class", "params", "fitted"}."""
    name = type(model).__name__
    if name not in MODELS or model_class(name) is not type(model):
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


def parts_with(classes: Sequence[type]) -> Parts:
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
    if little.str not in _DTYPES:
        raise TypeError(f"{name} cannot be saved: an array of dtype {value.dtype}")
    arrays.append(value.astype(little, copy=False))
    return {"array": [f"{len(arrays) - 1}.npy", little.str, list(value.shape)]}


def _decode_model(tree: dict, reader: _Reader) -> BaseEstimator:
    """The model of {"class", "params", "fitted"}, checked."""
    name, params, fitted = tree["class"], tree["params"], tree["fitted"]
    if name not in MODELS:
        raise FileError(f"it holds a {name!r:.60}, which this version of advnmf does not have")
    reader.count(_MODEL_VALUES)
    model = model_class(name)()
    try:
        # A parameter that an older version did not have keeps its default.
        for key, value in _known(params, model.get_params(deep=False).keys(), f"{name} has no parameter").items():
            setattr(model, key, _decode(value, reader))
        rules = model.fitted_rules()
        known = _known(fitted, rules.keys() | {*SOMETIMES}, f"{name} has no fitted attribute")
        values = {k: _decode(v, reader) for k, v in known.items()}
        if values:
            values = {k: rule.default() for k, rule in rules.items() if rule.default} | values
        for key, value in values.items():
            setattr(model, key, value)
        check_model(model, values)
    except ValueError as error:
        raise error if isinstance(error, FileError) else FileError(f"damaged: {error}") from error
    return model


def _known(values: dict[str, object], names: set[str], refusal: str) -> dict[str, object]:
    """The values, if all of them have one of the names."""
    for key in values:
        if key not in names:
            raise FileError(f"{refusal} {key!r:.60} in this version of advnmf")
    return values


def _decode(value: object, reader: _Reader) -> object:
    """The value that `_encode` was given."""
    reader.count(len(value) if isinstance(value, list) else 1)
    if isinstance(value, list):
        return [_decode(item, reader) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise FileError("damaged: a value of several kinds")
    ((kind, content),) = value.items()
    if kind in PARTS:
        name, values = content
        if name not in reader.parts[kind]:
            raise FileError(f"its {kind} {name!r:.60} is not part of advnmf: load(..., classes=[its class]) reads it")
        cls = reader.parts[kind][name]
        known = _known(values, {f.name for f in fields(cls)}, f"the {kind} {name} has no parameter")
        return cls(**{k: _decode(v, reader) for k, v in known.items()})
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
    holes = _decode(content, reader)
    if not isinstance(holes, np.ndarray) or holes.dtype != bool or holes.ndim != 1:
        raise FileError("damaged: an indicator without flags")
    return MissingIndicator(error_on_new=False).fit(np.where(holes, np.nan, 0.0)[None])


def _decode_sparse(content: list, reader: _Reader) -> sparse.csr_array:
    """A sparse matrix, whose indices are checked."""
    *parts, shape = content
    data, indices, indptr = (_decode(part, reader) for part in parts)
    matrix = sparse.csr_array((data, indices, indptr), shape=tuple(shape))
    matrix.check_format(full_check=True)
    return matrix


_DECODERS: dict[str, Callable[[object, _Reader], object]] = {
    "array": lambda content, reader: reader.array(*content),
    "float": _decode_float,
    "indicator": _decode_indicator,
    "model": _decode_model,
    "names": _decode_names,
    "sparse": _decode_sparse,
    "tuple": lambda content, reader: tuple(_decode(item, reader) for item in content),
}


def _package_version() -> str:
    from .. import __version__  # the package imports this module

    return __version__
