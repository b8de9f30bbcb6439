"""A matrix of an HDF5 file, by a process of its own, which a damaged file may end.

    hdf_child.py read FILE KEY ARRAYS MAX_BYTES UNSTORED     writes the matrix to the npz file ARRAYS
    hdf_child.py write FILE KEY ARRAYS COPY UNSTORED         copies FILE with the matrix of ARRAYS in it

Plain HDF5 files hold data sets, MATLAB 7.3 files the transposes of their variables, and h5ad files the matrix X, dense
or sparse, with names in obs and var. It imports nothing of the package. One line of JSON on standard output says what
became of it.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import h5py
import numpy as np

_SPARSE = ("csr_matrix", "csc_matrix")


class Refused(Exception):
    """What is said of a file that holds no such matrix."""


def main(what: str, *arguments: str) -> dict[str, Any]:
    """Read or write; the answer to be printed."""
    try:
        return read(*arguments) if what == "read" else write(*arguments)
    except Refused as error:
        return error.args[0]
    except OSError as error:
        return {"error": str(error).partition("(")[2].rstrip(")") or str(error)}
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"[:2000]}


def read(file: str, key: str, arrays: str, max_bytes: str, unstored: str) -> dict[str, Any]:
    """Write the matrix, and the labels of its rows and columns."""
    limit = int(max_bytes)
    with h5py.File(file, "r") as h5:
        annotated = _text(h5.attrs.get("encoding-type", "")) == "anndata" or {"X", "obs", "var"} <= set(h5)
        matlab = _is_matlab(file)
        name = _chosen(h5, key, annotated)
        node = h5[name]
        sparse = isinstance(node, h5py.Group)
        n_stored = 0
        if sparse:
            values, n_stored, unstored = _sparse(node, limit, unstored or ("zero" if annotated else ""))
        else:
            _check(8 * int(np.prod(node.shape, dtype=float)), limit)
            values = node[()].T if matlab else node[()]
        labels: dict[str, Any] = {}
        if annotated and name == "X":
            labels = {axis: _labels(h5[axis], limit) for axis in ("obs", "var") if axis in h5}
        np.savez(arrays, values=np.ascontiguousarray(values), **labels)
    return {"done": True, "key": name, "sparse": sparse, "stored": n_stored, "unstored": unstored}


def write(file: str, key: str, arrays: str, copy: str, unstored: str) -> dict[str, Any]:
    """Copy the file with another matrix in the place of the one it has."""
    shutil.copyfile(file, copy)
    with np.load(arrays) as given:
        values = given["values"]
    with h5py.File(copy, "r+") as h5:
        node = h5[key]
        if isinstance(node, h5py.Dataset):
            node[...] = values.T if _is_matlab(file) else values
        elif unstored == "zero":
            row, column = _places(node)
            node["data"][...] = values[row, column]
        else:  # all of it is known now
            attributes = {name: value for name, value in node.attrs.items() if name not in ("shape", "h5sparse_shape")}
            del h5[key]
            node = h5.create_dataset(key, data=values, compression="gzip", shuffle=True)
            for name, value in {**attributes, "encoding-type": "array", "encoding-version": "0.2.0"}.items():
                node.attrs[name] = value
    return {"done": True}


def _is_matlab(file: str) -> bool:
    with open(file, "rb") as stream:
        return stream.read(10) == b"MATLAB 7.3"


def _chosen(h5: Any, key: str, annotated: bool) -> str:
    """The name of the matrix: as told, X of an annotated one, or the only one of numbers with two dimensions."""
    found = _matrices(h5)
    if not key and annotated and "X" in found:
        return "X"
    if not key and len(found) == 1:
        return found[0]
    if not key:
        raise Refused({"names": found})
    name = key.strip("/")
    if name not in found:
        raise Refused({"names": found, "wrong": key})
    return name


def _matrices(h5: Any) -> list[str]:
    """The names of all matrices of numbers, dense and sparse."""
    found: list[str] = []

    def look(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            if node.dtype.kind in "fiu" and len(node.shape) == 2 and min(node.shape) > 0:
                found.append(name)
        elif _text(node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", ""))).startswith(("csr", "csc")):
            found.append(name)

    h5.visititems(look)
    return [name for name in found if not name.startswith(("#refs#/", "#subsystem#/", "obs/", "var/", "uns/"))]


def _shape(node: Any) -> tuple[int, int]:
    shape = node.attrs["shape"] if "shape" in node.attrs else node.attrs["h5sparse_shape"]
    return int(shape[0]), int(shape[1])


def _places(node: Any) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each stored value; checked, since they are the indices of memory."""
    shape = _shape(node)
    by_rows = not _text(node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", "csr"))).startswith("csc")
    pointers, indices = node["indptr"][()].astype(np.int64), node["indices"][()].astype(np.int64)
    lines, across = shape if by_rows else shape[::-1]
    n_stored = node["data"].shape[0]
    good = len(pointers) == lines + 1 and pointers[0] == 0 and pointers[-1] == n_stored == len(indices)
    if not good or (np.diff(pointers) < 0).any() or (len(indices) and not 0 <= indices.min() <= indices.max() < across):
        raise Refused({"error": "its sparse matrix is damaged: the indices do not fit its shape"})
    major = np.repeat(np.arange(lines), np.diff(pointers))
    return (major, indices) if by_rows else (indices, major)


def _sparse(node: Any, limit: int, unstored: str) -> tuple[np.ndarray, int, str]:
    """A sparse matrix as a full one, what is not stored being missing or zero."""
    shape = _shape(node)
    _check(8 * shape[0] * shape[1] + 24 * int(node["data"].shape[0]), limit)
    row, column = _places(node)
    stored = node["data"][()]
    unstored = unstored or ("zero" if stored.dtype.kind == "f" and np.isnan(stored).any() else "missing")
    dtype = stored.dtype if stored.dtype.kind == "f" else np.dtype(np.float64)
    values = np.full(shape, 0.0 if unstored == "zero" else np.nan, dtype)
    values[row, column] = stored
    return values, len(stored), unstored


def _labels(group: Any, limit: int) -> np.ndarray:
    """The names of the rows or columns of an annotated matrix; none where they are stored in a way unknown here."""
    name = _text(group.attrs.get("_index", "_index")) if isinstance(group, h5py.Group) else ""
    if not name or name not in group or not isinstance(group[name], h5py.Dataset):
        return np.zeros(0, "U1")
    _check(64 * int(group[name].shape[0]), limit)
    return np.array([_text(label) for label in group[name][()].tolist()], str)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _check(n_bytes: int, limit: int) -> None:
    if n_bytes > limit:
        raise Refused({"too_large": n_bytes})


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
