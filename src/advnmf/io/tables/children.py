"""Readers that are processes of their own, since damaged files can end them: the programs ``*_child.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..files import FileError

__all__ = ["ask_child"]

# After which a reader is given up.
_LONGEST_SECONDS = 600
# What an interpreter with its libraries and threads reserves beside the data.
_OVERHEAD = 4 * 10**9


def ask_child(
    path: str | os.PathLike[str], program: str, arguments: list[str], kind: str, memory: int
) -> dict[str, Any]:
    """The answer of one of the programs beside this module, which may die of the file, or of more `memory` than this.

    `memory` are bytes beside those that an interpreter with its libraries reserves.
    """
    beside = Path(__file__).parent
    # -P: the modules beside the program are not those of the standard library that are called like them.
    start = [sys.executable, "-P", str(beside / "limited_child.py"), str(memory + _OVERHEAD)]
    command = [*start, str(beside / program), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=_LONGEST_SECONDS
        )
        return json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as error:
        raise FileError(f"{path} cannot be read as {kind}: it took more than {_LONGEST_SECONDS} s") from error
    except (ValueError, IndexError) as error:
        raise FileError(f"{path} cannot be read as {kind}: its reader died of it (code {done.returncode})") from error
