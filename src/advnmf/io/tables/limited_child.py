"""Run another program with a limit of its memory.

    limited_child.py BYTES PROGRAM ARGUMENT...

What a damaged or hostile file makes it allocate then ends this process alone.  It imports nothing of the package.
"""

from __future__ import annotations

import runpy
import sys


def limit_memory(most: int) -> None:
    """Let this process have no more bytes; not on Windows, which has no such limit."""
    try:
        import resource
    except ModuleNotFoundError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


if __name__ == "__main__":
    limit_memory(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
