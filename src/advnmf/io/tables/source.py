"""The bytes of a file as they come: from a path or standard input, packed or not, and what their content says they are.

A packed file is unpacked piece by piece and never further than the limit of `advnmf.io.limits`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import STANDARD, FileError, describe, read_bytes, reason, suffix
from ..limits import check_size, max_bytes_of

__all__ = ["KINDS", "PACKINGS", "Source", "name_of", "named_kind", "pack", "packing_of", "read_source"]

#: How a file may be packed, by the last extension of its name.
PACKINGS = {"gz": "gz", "bz2": "bz2", "xz": "xz", "lzma": "xz", "zip": "zip"}
#: Formats by extension; any other name is that of a text table, if the content is text.
KINDS = {
    **{"csv": "text", "tsv": "text", "npy": "npy", "npz": "npz", "mat": "mat", "hdr": "hdr", "xlsx": "xlsx"},
    **{"xlsm": "xlsx", "parquet": "parquet", "pq": "parquet", "feather": "feather", "arrow": "feather"},
    **{"ipc": "feather", "h5": "hdf5", "hdf5": "hdf5", "hdf": "hdf5", "h5ad": "hdf5", "mtx": "mtx"},
}
_PIECE = 1 << 20
# What the strongest usual compression by xz needs.
_DICTIONARY = 1 << 28
_MAGIC = ((b"\x1f\x8b", "gz"), *((b"BZh%d1AY&SY" % level, "bz2") for level in range(1, 10)), (b"\xfd7zXZ\0", "xz"))
_STARTS = (
    (b"\x93NUMPY", "npy"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "feather"),
    (b"FEA1", "feather"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"MATLAB 7.3", "hdf5"),
    (b"MATLAB 5.0", "mat"),
    (b"%%MatrixMarket", "mtx"),
)
_WORKBOOK, _NUMPY = "xl/workbook.xml", ".npy"


@dataclass(frozen=True)
class Source:
    """An unpacked file."""

    path: str
    data: bytes
    kind: str  # one of the values of KINDS
    packing: str = ""
    member: str = ""  # its name within a zip archive


def read_source(path: str | os.PathLike[str], max_bytes: int | None = None) -> Source:
    """The content of a file, or of standard input for ``-``, unpacked; FileError where it is damaged or too large."""
    name = str(path)
    data = _read_standard_input(max_bytes_of(max_bytes)) if name == STANDARD else read_bytes(path)
    limit = max_bytes_of(max_bytes, None if name == STANDARD else path)
    packing = next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")
    member = ""
    if packing:
        data = b"".join(_unpacked(name, data, packing, limit))
    elif data.startswith((b"PK\x03\x04", b"PK\x05\x06")) and not _zip_kind(data):
        data, member = _only_member(name, data, limit)
        packing = "zip"
    if packing and not data:
        raise FileError(f"{name} is empty")
    return Source(name, data, _kind(name, data, member), packing, member)


def named_kind(path: str | os.PathLike[str]) -> str:
    """The format that a name promises, packed or not; empty where it promises none."""
    return KINDS.get(name_of(path), "")


def name_of(path: str | os.PathLike[str]) -> str:
    """The extension of a name, packed or not, in lower case and without the dot."""
    return suffix(Path(path).with_suffix("") if packing_of(path) else path)


def packing_of(path: str | os.PathLike[str]) -> str:
    """How a file of this name is packed; empty where it is not."""
    return PACKINGS.get(suffix(path), "")


def pack(content: bytes, packing: str, member: str) -> bytes:
    """The bytes of a packed file; in a zip archive under the name `member`."""
    if packing == "zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, content)
        return stream.getvalue()
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gz": lambda content: gzip.compress(content, mtime=0),
        "bz2": bz2.compress,
        "xz": lzma.compress,
    }
    return packers[packing](content) if packing else content


def _read_standard_input(limit: int) -> bytes:
    data = sys.stdin.buffer.read(limit + 1)
    check_size("standard input", len(data), limit)
    if not data:
        raise FileError("standard input is empty")
    return data


def _unpacked(path: str, data: bytes, packing: str, limit: int) -> Iterator[bytes]:
    """The pieces of a packed file, up to the limit."""
    size = 0
    try:
        while data:
            unpack = _decompressor(packing, limit)
            piece = unpack.decompress(data, _PIECE)
            while True:
                size += len(piece)
                check_size(path, size, limit)
                yield piece
                if unpack.eof:
                    break
                # zlib keeps what it has not used for itself; the others hold it back.
                rest = unpack.unconsumed_tail if packing == "gz" else b""
                if not piece and not rest and (packing == "gz" or unpack.needs_input):
                    raise EOFError("it ends early")
                piece = unpack.decompress(rest, _PIECE)
            data = unpack.unused_data.lstrip(b"\0")  # a packed file may have several parts, and padding
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, MemoryError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} is a damaged {packing} file: {reason(error)}") from error


def _decompressor(packing: str, limit: int) -> Any:
    if packing == "gz":
        return zlib.decompressobj(wbits=31)
    return bz2.BZ2Decompressor() if packing == "bz2" else lzma.LZMADecompressor(memlimit=max(limit, _DICTIONARY))


def _only_member(path: str, data: bytes, limit: int) -> tuple[bytes, str]:
    """The one file in a zip archive, and its name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if _is_file(member)]
            if len(members) != 1:
                names = ", ".join(member.filename for member in members[:6])
                raise FileError(
                    f"{path} is a zip archive of {len(members)} files ({names}): unpack the one to complete"
                )
            check_size(path, members[0].file_size, limit)
            with archive.open(members[0]) as stream:
                content = stream.read(min(members[0].file_size, limit) + 1)
    except FileError:
        raise
    except Exception as error:  # damaged bytes can raise anything
        raise FileError(f"{path} is a damaged zip file: {reason(error)}") from error
    if content.startswith(b"PK\x03\x04"):
        raise FileError(f"{path} is a zip archive of an archive: unpack it first")
    return content, members[0].filename


def _is_file(member: zipfile.ZipInfo) -> bool:
    return not member.is_dir() and not member.filename.startswith("__MACOSX/")


def _zip_kind(data: bytes) -> str:
    """What a zip archive is besides an archive: a workbook, arrays of NumPy, or nothing."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except Exception:  # damaged: whoever reads it says so
        return "npz" if b".npy" in data[:300] else ""
    if _WORKBOOK in names:
        return "xlsx"
    return "npz" if not names or any(name.endswith(_NUMPY) for name in names) else ""


def _kind(path: str, data: bytes, member: str) -> str:
    """The format, by the content or else by the name."""
    told = named_kind(member or path)
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
    if data.startswith(b"PK"):
        return _zip_kind(data) or "npz"
    if told == "hdr" and data.lstrip().startswith(b"ENVI"):
        return "hdr"
    if told in ("", "text") or (told not in ("mat", "hdr") and _looks_like_text(data)):
        _refuse_foreign(path, data)
        return "text"
    return told


def _looks_like_text(data: bytes) -> bool:
    return describe(data) is None and b"\0" not in data[:4096]


def _refuse_foreign(path: str, data: bytes) -> None:
    """FileError where a table of text is something else."""
    found = describe(data)
    if found == "UTF-16 text":
        return
    if data[257:262] == b"ustar":
        found = "a tar archive: unpack the one file to complete"
    if found == "an old Excel workbook":
        found += ": save it as xlsx or csv"
    if found is not None:
        raise FileError(f"{path} is no table: it is {found}")
