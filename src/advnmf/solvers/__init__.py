"""Solvers: one sweep over the factors, in place, that never raises the objective.

A solver is an object with a name, the answers to whether it copes with coordinates of any sign (``signed``) and needs
NumPy arrays (`numpy_only`), and

    session(problem) -> context manager               what the sweeps of a fit are done within
    update_codes(problem, factors) -> (values, d)     renew F_1 alone
    sweep(problem, factors) -> objective              renew all factors

Both report on the factors as they were *on entry* (the prediction is at hand there, so it costs nothing): the loss of
each sample with its half-quadratic weight, and the objective.  A sweep takes its weights ``d`` once and its target
anew for each factor.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from ..engine.factors import Factors
from ..engine.problem import Problem
from .hals import HALS
from .mu import MU


class Solver(Protocol):
    """What the loop needs of a solver."""

    name: str
    signed: bool
    # Whether it needs NumPy arrays; else it takes those of any namespace.
    numpy_only: bool

    def session(self, problem: Problem) -> AbstractContextManager:
        """What the sweeps of a fit are done within."""

    def update_codes(self, problem: Problem, factors: Factors) -> tuple[np.ndarray, np.ndarray | None]:
        """Renew F_1."""

    def sweep(self, problem: Problem, factors: Factors) -> float:
        """Renew every factor."""


SOLVERS: dict[str, Solver] = {solver.name: solver for solver in (HALS(), MU())}


def get_solver(solver: object) -> Solver:
    """Return the solver that a name or an object stands for."""
    if isinstance(solver, tuple(type(known) for known in SOLVERS.values())):
        return solver
    if isinstance(solver, str) and solver in SOLVERS:
        return SOLVERS[solver]
    raise ValueError(f"solver={solver!r} is unknown: give one of {', '.join(map(repr, SOLVERS))}")


__all__ = ["HALS", "MU", "SOLVERS", "Solver", "get_solver"]
