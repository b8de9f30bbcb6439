"""Hyperspectral cubes in ENVI files: a header (.hdr) and, beside it, the samples. Read and written by spectral."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import FileError, check_target, read_bytes, reason, replacing, require
from ..quiet import quiet
from .arrays import in_type, parse_markers

# The axes lines, samples, bands (0, 1, 2) in the order of the file.
_ORDER = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}
# What a reader puts for ".hdr" when it looks for the samples.
_DATA_SUFFIXES = ("", ".img", ".dat", ".sli", ".hyspex", ".raw", ".bin", ".bsq", ".bil", ".bip")


@dataclass(frozen=True)
class Cube:
    """What a cube is besides the matrix of its good bands."""

    samples: np.ndarray  # lines x samples x bands, memory-mapped, as stored
    good: np.ndarray  # of each band, False where the header calls it bad
    metadata: Mapping[str, Any]
    data_suffix: str  # what the data file has for the ".hdr" of the header: ".img", ".dat", nothing, ...
    markers: tuple[float, ...] = ()  # what says that a sample is missing

    @property
    def shape(self) -> tuple[int, int, int]:
        """Lines, samples, bands."""
        return self.samples.shape

    def place(self, i: int, j: int) -> str:
        """Where entry (i, j) of the matrix is in the cube, counted from 1."""
        line, sample = divmod(i, self.shape[1])
        return f"line {line + 1}, sample {sample + 1}, band {np.flatnonzero(self.good)[j] + 1}"

    def filled(self, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """The cube as stored, but for the `missing` entries of the matrix, which get `values` in the cube's type."""
        matrix = _matrix(self.samples, self.good)  # a copy
        matrix[missing] = in_type(values[missing], matrix.dtype, self.markers)
        cube = np.array(self.samples)
        cube[:, :, self.good] = matrix.reshape(*self.shape[:2], -1)
        return cube


def read(path: str | os.PathLike[str], na: Iterable[str]) -> tuple[np.ndarray, Cube]:
    """The matrix pixels x good bands of a cube, NaN where a sample is missing, and what else the cube is.

    Missing are NaN, the header's "data ignore value", and the markers. Bands that the header's "bbl" calls bad
    are left out.
    """
    markers = parse_markers(path, na)
    if not read_bytes(path).startswith(b"ENVI"):
        raise FileError(f"{path} is no ENVI header: its first line must be ENVI")
    samples, metadata, data_file = _open(path)
    if samples.dtype.kind not in "fiu":
        raise FileError(f"{path} holds {samples.dtype} samples; real numbers are needed")
    markers += _numbers(path, metadata, "data ignore value")
    good = _good_bands(path, metadata, samples.shape[2])
    matrix = _matrix(samples, good)
    # Integers cannot say "missing"; of those of 16 bits float32 loses nothing.
    values = matrix.astype(np.result_type(matrix.dtype, np.float32), copy=False)
    values[np.isin(values, np.array(markers, values.dtype))] = np.nan
    ending = data_file.removeprefix(_stem(os.path.abspath(path)))
    return values, Cube(samples, good, metadata, ending, tuple(markers))


def check(path: str | os.PathLike[str], cube: Cube | None, *, overwrite: bool = False) -> None:
    """FileError where `write` could not write both files, or where another data file would be taken for its."""
    if cube is None:
        raise FileError(f"{path}: a cube can be written from a cube only")
    data_file = _data_file(path, cube)
    for suffix in _DATA_SUFFIXES:
        other = Path(_stem(path) + suffix)
        if other != data_file and other.is_file():
            raise FileError(f"{path}: {other} is there and would be taken for its data; choose another name")
    for file in (path, data_file):
        check_target(file, overwrite=overwrite)


def write(path: str | os.PathLike[str], samples: np.ndarray, cube: Cube, *, overwrite: bool = False) -> None:
    """The header of `cube` and these samples, in the type, byte order and interleave of `cube`."""
    envi = require("spectral.io.envi", "cube")
    in_order = samples.transpose(_ORDER[cube.metadata["interleave"].lower()])
    with (
        replacing(path, overwrite=overwrite) as header,
        replacing(_data_file(path, cube), overwrite=overwrite) as data,
    ):
        in_order.tofile(data)
        envi.write_envi_header(str(header), {**cube.metadata, "header offset": 0})


def _open(path: str | os.PathLike[str]) -> tuple[np.ndarray, dict[str, Any], str]:
    """The samples of a cube, memory-mapped as lines x samples x bands; its header; the name of its data file."""
    envi = require("spectral.io.envi", "cube")
    try:
        with quiet("spectral"):
            image = envi.open(os.path.abspath(path))
            stored = image.open_memmap(interleave="source")
            order = _ORDER[image.metadata["interleave"].lower()]
    except envi.EnviDataFileNotFoundError as error:
        raise FileError(f"{path} is a header, and there is no data file (.img, .dat, .raw, ...) beside it") from error
    except Exception as error:  # damaged headers can raise anything
        raise FileError(f"{path} is not a readable ENVI cube: {reason(error)}") from error
    if stored is None:
        raise FileError(f"{path}: {image.filename} is shorter than the header says")
    return stored.transpose(np.argsort(order)), image.metadata, image.filename


def _matrix(samples: np.ndarray, good: np.ndarray) -> np.ndarray:
    """A copy of the good bands, pixels x bands, line after line."""
    return np.asarray(samples[:, :, good]).reshape(-1, np.count_nonzero(good))


def _good_bands(path: str | os.PathLike[str], metadata: Mapping[str, Any], n_bands: int) -> np.ndarray:
    """False for the bands whose number in the list "bbl" is 0; a header without the list has no bad band."""
    flags = _numbers(path, metadata, "bbl") or [1.0] * n_bands
    if len(flags) != n_bands:
        raise FileError(f"{path}: the bad bands list (bbl) has {len(flags)} numbers, but there are {n_bands} bands")
    if not any(flags):
        raise FileError(f"{path}: the bad bands list (bbl) calls all {n_bands} bands bad")
    return np.array(flags) != 0


def _numbers(path: str | os.PathLike[str], metadata: Mapping[str, Any], name: str) -> list[float]:
    """The numbers of a header field, which may be one, a list, or not there."""
    field = metadata.get(name, [])
    try:
        return [float(number) for number in (field if isinstance(field, list) else [field])]
    except ValueError as error:
        raise FileError(f"{path}: {name!r} in the header is not numeric ({reason(error)})") from error


def _stem(header: str | os.PathLike[str]) -> str:
    return str(Path(header).with_suffix(""))


def _data_file(header: str | os.PathLike[str], cube: Cube) -> Path:
    return Path(_stem(header) + cube.data_suffix)
