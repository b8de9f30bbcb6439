"""Solvers: one sweep over the factors, in place, that never raises the objective (see `base`)."""

from __future__ import annotations

from .base import Solver
from .hals import HALS
from .mu import MU

SOLVERS: dict[str, Solver] = {solver.name: solver for solver in (HALS(), MU())}


def get_solver(solver: str | Solver) -> Solver:
    """Return the solver that a name or an object stands for."""
    if isinstance(solver, Solver):
        return solver
    if isinstance(solver, str) and solver in SOLVERS:
        return SOLVERS[solver]
    raise ValueError(
        f"solver={solver!r} is unknown: give one of {', '.join(map(repr, SOLVERS))} or an object of advnmf.solvers"
    )


__all__ = ["HALS", "MU", "SOLVERS", "Solver", "get_solver"]
