"""The text of a file in whatever encoding it is, and back into the very same bytes."""

from __future__ import annotations

from ..files import FileError

__all__ = ["decode_text", "encode_text"]

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# What is tried in this order; the last one takes any bytes.
_ENCODINGS = ("utf-8", "cp1252", "latin-1")


def decode_text(path: str, data: bytes) -> tuple[str, str, str]:
    """The text of a file, its encoding, and the byte order mark it began with; FileError where it is binary."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "") or _unmarked_utf16(data)
    text = None
    for name in (encoding,) if encoding else _ENCODINGS:
        try:
            text = data.decode(name)
        except UnicodeDecodeError as error:
            if encoding.startswith("utf-16"):
                raise FileError(f"{path} is damaged: it is no {encoding} text at byte {error.start}") from error
            encoding = ""
            continue
        encoding = name
        break
    if text is None:  # a byte order mark of UTF-8, and no UTF-8 behind it
        text, encoding = data.decode("latin-1"), "latin-1"
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix(mark)
    if "\0" in text:
        raise FileError(f"{path} is no table of text: it is a binary file")
    if not text.strip():
        raise FileError(f"{path} is empty")
    return text, encoding, mark


def encode_text(text: str, encoding: str) -> bytes:
    """The bytes of a text."""
    return text.encode(encoding)


def _unmarked_utf16(data: bytes) -> str:
    """UTF-16 by the zeros in every other byte; empty where it is none."""
    head = data[:4096]
    if not head or len(data) % 2 or b"\0" not in head:
        return ""
    for name, zeros, letters in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if zeros.count(0) > 0.7 * len(zeros) and letters.count(0) == 0:
            return name
    return ""
