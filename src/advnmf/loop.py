"""The one loop: outer attacks, inner sweeps, tolerance, history, callback, time limit and interruption."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .factors import Factors
from .problem import Problem
from .solvers import Solver


@dataclass(frozen=True)
class Progress:
    """What a callback is told: the objective after `n_iter` sweeps.

    `start` counts the random starts from 0; `phase` is "pretrain" (layer by layer, deep chains only) or "train".
    """

    n_iter: int
    max_iter: int
    objective: float
    seconds: float
    start: int = 0
    n_init: int = 1
    phase: str = "train"


Callback = Callable[[Progress], object]


@dataclass(frozen=True)
class Limits:
    """When to stop, and whom to tell.

    `deadline` is in seconds of `time.monotonic`.  `attack_every` None lets every factor update meet the exact
    adversary; a number freezes the perturbation for that many sweeps, as the studies print it.
    """

    max_iter: int = 200
    tol: float = 1e-4
    deadline: float = np.inf
    callback: Callback | None = None
    attack_every: int | None = None
    start: int = 0
    n_init: int = 1
    phase: str = "train"


@dataclass(frozen=True)
class Result:
    """Factors, and how they came about.

    `history` holds the objective at the start and after each sweep; `stop_reason` is "tol", "max_iter", "time_limit",
    "callback" or "interrupted".
    """

    factors: Factors
    n_iter: int
    stop_reason: str
    history: np.ndarray

    @property
    def converged(self) -> bool:
        """Whether the tolerance ended it."""
        return self.stop_reason == "tol"

    @property
    def stopped_early(self) -> bool:
        """Whether somebody or the clock ended it."""
        return self.stop_reason in ("interrupted", "callback", "time_limit")

    @property
    def objective(self) -> float:
        """The objective reached."""
        return float(self.history[-1])


def minimise(problem: Problem, factors: Factors, solver: Solver, limits: Limits) -> Result:
    """Sweep over `factors`, in place, until a limit is hit.

    The objective is the robust one in either way of attack; only the exact adversary keeps it from rising.  An
    interruption (Ctrl-C) ends the loop like a limit: the factors are valid after every update.
    """
    began = time.monotonic()
    history: list[float] = []
    n_iter, reason, learner = 0, "", problem
    try:
        while not reason and n_iter < limits.max_iter:
            if limits.attack_every is None:
                history.append(solver.sweep(problem, factors))
            else:
                history.append(problem.objective(factors))
                if n_iter % limits.attack_every == 0:
                    learner = problem  # lets go of the last attacked copy before the next is made
                    learner = problem.attacked(factors, one_step=True)
                solver.sweep(learner, factors)
            n_iter += 1
            reason = _stop_reason(history, limits, began, problem)
    except KeyboardInterrupt:
        reason = "interrupted"
    # Sweeps report on entry, so the last one is still to be looked at.
    history.append(problem.objective(factors))
    if reason in ("", "tol"):
        reason = _stop_reason(history, limits, began, problem) or reason
    return Result(factors, n_iter, reason or "max_iter", np.array(history))


def _stop_reason(history: list[float], limits: Limits, began: float, problem: Problem) -> str:
    """Why to stop now, or the empty string."""
    now = time.monotonic()
    if limits.callback is not None and limits.callback(
        Progress(
            len(history) - 1,
            limits.max_iter,
            history[-1],
            now - began,
            limits.start,
            limits.n_init,
            limits.phase,
        )
    ):
        return "callback"
    if now > limits.deadline:
        return "time_limit"
    if len(history) > 1 and abs(history[-2] - history[-1]) <= limits.tol * history[-1]:
        return "tol"
    # A perfect fit: what is left is rounding.
    exact = (10 * np.finfo(problem.data.dtype).eps) ** 2 * history[0]
    return "tol" if history[-1] <= exact else ""
