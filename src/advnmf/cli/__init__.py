"""The command line `advnmf`: complete tables, inpaint pictures, see a demonstration."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; the entry point of the program `advnmf`."""
    try:
        from .app import program
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("advnmf"):
            raise
        sys.stderr.write(
            f"Error: the command line needs {error.name}, which is not installed: pip install 'advnmf[cli]'\n"
        )
        sys.exit(1)
    except KeyboardInterrupt:  # numpy and its company take a second or two to load
        sys.stderr.write("Interrupted; nothing was written\n")
        sys.exit(130)
    program(prog_name="advnmf")
