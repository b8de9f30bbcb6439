"""Locks between processes: a file that one of them holds, and that the system takes from it when it ends.

The content of the file, which stays empty, says nothing.  Two objects in one process exclude each other as two
processes do.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Self

from ..io.files import FileError, reason

__all__ = ["Lock", "sweep"]

_SECONDS_BETWEEN_TRIES = 0.005

if os.name == "nt":
    import msvcrt

    def _lock(descriptor: int, wait: bool) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        while True:  # its own way to wait gives up after ten seconds
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                return True
            except PermissionError:
                if not wait:
                    return False
            time.sleep(_SECONDS_BETWEEN_TRIES)
else:
    import fcntl

    def _lock(descriptor: int, wait: bool) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True


class Lock:
    """A lock at ``path``, in a folder that is there; as a context it waits until nobody else holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, *, wait: bool = False) -> bool:
        """Whether it is held now: not where somebody else holds it and is not waited for.

        FileError where the file system has no such locks, or the file cannot be made.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                held = _lock(descriptor, wait)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise FileError(f"{self.path} cannot be locked: {reason(error)}") from error
        if held:
            self._descriptor = descriptor
        else:
            os.close(descriptor)
        return held

    def drop(self) -> None:
        """Let go of it; nothing happens where it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.take(wait=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self.drop()


def sweep(folder: Path) -> None:
    """Remove the lock files of a folder that nobody holds, and the folder where none is left.

    Whoever takes a lock in it meanwhile may find that another one does, too: this is to be kept away by a lock of
    the whole.
    """
    for path in folder.glob("*.lock"):
        lock = Lock(path)
        if lock.take():
            lock.drop()
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
