"""Files that are written whole or not at all, and the error that says in one line what is wrong with one.

A result may be hours of computing and the file it replaces may be the only copy of the data. Hence two
rules: whether a file can be written is checked before the computing starts (`check_target`), and bytes
reach their name only when all of them are on the disk (`replacing`).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

__all__ = [
    *("STANDARD", "FileError", "check_source", "check_target", "read_bytes", "replacing", "require", "suffix"),
    "write_bytes",
]

#: The name that stands for standard input, or output.
STANDARD = "-"

# The first bytes of formats that people hand over under a wrong name.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"II+\0", "a TIFF picture"),
    (b"MM\0+", "a TIFF picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x93NUMPY", "a NumPy .npy array"),
    (b"PK\x03\x04", "a zip archive (such as .npz or .xlsx)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"MATLAB 5.0", "a MATLAB .mat file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"MATLAB 7.3", "a MATLAB 7.3 .mat file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
)


# Characters of a message, and of what a foreign library says within one.
_LONGEST, _LONGEST_REASON = 600, 200


class FileError(ValueError):
    """A file cannot be read as what it should hold, or cannot be written; the message is one printable line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str, longest: int = _LONGEST) -> str:
    """One line that a terminal can be shown: what is no printable character is escaped, a long text cut in its middle.

    Messages quote file names and contents, and these may hold anything.
    """
    if len(text) > longest:
        text = f"{text[: longest * 2 // 3]} ... {text[-longest // 3 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def require(module: str, extra: str = "cli") -> ModuleType:
    """The module of that name, or an ImportError that names the extra of this package which brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = module.partition(".")[0].replace("PIL", "Pillow")
        raise ImportError(f"this needs {name}, which is not installed: pip install 'advnmf[{extra}]'") from error


def suffix(path: str | os.PathLike[str]) -> str:
    """The format that a file name promises: its last extension in lower case, without the dot."""
    return Path(path).suffix.lower().removeprefix(".")


def describe(data: bytes) -> str | None:
    """What the first bytes of a file say it is, in words; None where they say nothing."""
    return next((words for start, words in _SIGNATURES if data.startswith(start)), None)


def reason(error: BaseException) -> str:
    """The first line of an exception's message, shortened, or its kind where it has none."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip()
    return printable(text.splitlines()[0], _LONGEST_REASON) if text else type(error).__name__


def check_source(path: str | os.PathLike[str]) -> None:
    """FileError where no regular file with any content is at `path`: a pipe could keep a reader waiting for ever."""
    path = Path(path)
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL character
        raise FileError(f"{path} cannot be read: {reason(error)}") from error
    if stat.S_ISDIR(found.st_mode):
        raise FileError(f"{path} is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise FileError(f"{path} is a pipe or a device, not a regular file: save what it gives to a file first")
    if not found.st_size:
        raise FileError(f"{path} is empty")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, not empty; FileError where it cannot be read."""
    check_source(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {reason(error)}") from error


def check_target(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Whether a file of this name can be written, by trying; FileError says why not.

    Nothing is changed: a probe file is made in the same folder and removed again.
    """
    target = _target(path)
    try:
        _check_kind(Path(path), target, overwrite)
        probe = _temporary(target)
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()
    except OSError as error:
        raise FileError(f"{path} cannot be written: {reason(error)}") from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary name beside `path`, moved onto `path` when the block ends without an exception.

    The move is one rename in one folder, so a reader sees the old content or the new, never a part. After an
    exception, Ctrl-C included, the temporary file is removed and `path` is as it was. Links are
    followed, permissions kept.
    """
    check_target(path, overwrite=overwrite)
    target = _target(path)
    temporary = _temporary(target)
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield temporary
        _flush(temporary)
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        if overwrite:
            os.replace(temporary, target)
        else:
            _move_new(temporary, target)
    except FileError:
        _remove(temporary)
        raise
    except OSError as error:
        _remove(temporary)
        raise FileError(f"{path} cannot be written: {reason(error)}") from error
    except BaseException:
        _remove(temporary)
        raise


def write_bytes(path: str | os.PathLike[str], content: bytes, *, overwrite: bool = False) -> None:
    """A file with this content, written whole or not at all."""
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)


def _target(path: str | os.PathLike[str]) -> Path:
    """The file behind a name, so that a link stays a link."""
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:  # a NUL character
        raise FileError(f"{str(path)!r} is no file name") from error


def _check_kind(path: Path, target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise FileError(f"{path} is a folder, not a file")
    if target.exists() and not target.is_file():
        raise FileError(f"{path} is not a regular file")
    if not target.parent.is_dir():
        raise FileError(f"{path} cannot be written: there is no folder {target.parent}")
    if target.exists() and not overwrite:
        raise FileError(f"{path} exists already (--force, or overwrite=True, replaces it)")
    # os.replace would not mind a write-protected file, but whoever protected it does.
    if target.exists() and not os.access(target, os.W_OK):
        raise FileError(f"{path} cannot be written: it is write-protected")


def _temporary(target: Path) -> Path:
    # The extension stays last, because numpy and the picture writers choose or change the format by it. The
    # name is cut, because file systems limit a name to 255 bytes.
    return target.with_name(f".{target.stem[:40]}-{secrets.token_hex(4)}.part{target.suffix}")


def _flush(path: Path) -> None:
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def _move_new(temporary: Path, target: Path) -> None:
    """Rename that never lands on a file which came into being while the result was computed."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        kept = temporary.with_name(temporary.name.removeprefix("."))
        os.replace(temporary, kept)
        raise FileError(f"{target} has appeared meanwhile and was left alone; the result is in {kept}") from None
    except OSError:  # a file system without hard links
        os.replace(temporary, target)
    else:
        temporary.unlink()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
