"""The command line `advnmf`: complete tables, inpaint pictures, see a demonstration."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

__all__ = ["main"]

_THREADS = "NUMBA_NUM_THREADS"


def main() -> None:
    """Run the command line; the entry point of the program `advnmf`."""
    _occupy_standard_streams()
    threads = os.environ.get(_THREADS, "").strip()
    if threads and not (threads.isdecimal() and int(threads) > 0):
        _stop(f"the environment variable {_THREADS}={threads!r} must be a number of threads, at least 1, or not set", 2)
    try:
        from .app import program
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("advnmf"):
            raise
        _stop(f"the command line needs {error.name}, which is not installed: pip install 'advnmf[cli]'", 1)
    except KeyboardInterrupt:  # numpy and its company take a second or two to load
        sys.stderr.write("Interrupted; nothing was written\n")
        sys.exit(130)
    program(prog_name="advnmf")


def _stop(line: str, code: int) -> NoReturn:
    if sys.stderr is not None:
        sys.stderr.write(f"Error: {line}\n")
    sys.exit(code)


def _occupy_standard_streams() -> None:
    """Have something at the places of stdin, stdout and stderr where they are closed.

    Else the next files that are opened stand there, and what a library prints goes into one of them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
