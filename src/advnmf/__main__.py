"""``python -m advnmf`` is the program `advnmf`."""

from .cli import main

main()
