"""The one loop: outer attacks, inner sweeps, tolerance, history, callback, time limit and interruption."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..arrays.namespaces import finfo
from .factors import Factors
from .problem import Problem

if TYPE_CHECKING:
    from ..solvers import Solver


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
    def stopped_early(self) -> bool:
        """Whether somebody or the clock ended it."""
        return self.stop_reason in ("interrupted", "callback", "time_limit")

    @property
    def objective(self) -> float:
        """The objective reached."""
        return float(self.history[-1])


class Process(Protocol):
    """What the loop runs: a state that `step` moves on."""

    def step(self) -> float:
        """One iteration, in place; the objective *on entry*, where the prediction is at hand."""

    def objective(self) -> float:
        """The objective as things stand."""

    def converged(self, history: Sequence[float], tol: float) -> bool:
        """Whether the last of these objectives is good enough to end."""


def iterate(process: Process, limits: Limits) -> tuple[int, str, np.ndarray]:
    """Step until a limit is hit: the number of steps, why it ended, and the objective at the start and after each.

    An interruption (Ctrl-C) ends the loop like a limit: a process is valid after every update.
    """
    began = time.monotonic()
    history: list[float] = []
    n_iter, reason = 0, ""
    try:
        while not reason and n_iter < limits.max_iter:
            history.append(process.step())
            n_iter += 1
            reason = _stop_reason(history, limits, began, process)
        # Steps report on entry, so the last one is still to be looked at.
        history.append(process.objective())
        if reason in ("", "tol"):
            reason = _stop_reason(history, limits, began, process) or reason
    except KeyboardInterrupt:
        # Whatever was being done when it came, these are the factors now.
        reason, history[n_iter:] = "interrupted", [process.objective()]
    return n_iter, reason or "max_iter", np.array(history)


def minimise(problem: Problem, factors: Factors, solver: Solver, limits: Limits) -> Result:
    """Sweep over `factors`, in place, until a limit is hit.

    The objective is the robust one in either way of attack; only the exact adversary keeps it from rising.
    """
    solver.check(problem.loss)
    with solver.session(problem):
        n_iter, reason, history = iterate(Sweeps(problem, factors, solver, limits.attack_every), limits)
    return Result(factors, n_iter, reason, history)


class Sweeps:
    """Sweeps of a solver against the exact adversary, or against one that is frozen for `attack_every` sweeps."""

    def __init__(self, problem: Problem, factors: Factors, solver: Solver, attack_every: int | None) -> None:
        # As posed, and with the loss that the residuals of the moment make of it (the same unless that is adaptive).
        self.posed = self.problem = self.learner = problem
        self.factors = factors
        self.solver = solver
        self.attack_every = attack_every
        self.n_iter = 0

    def step(self) -> float:
        """One sweep; the objective on entry."""
        if self.posed.adaptive:
            self.problem = self.learner = self.posed.adapted(self.factors)
        if self.attack_every is None:
            return self.solver.sweep(self.problem, self.factors)
        objective = self.objective()
        if self.n_iter % self.attack_every == 0:
            self.learner = self.problem  # lets go of the last attacked copy before the next is made
            self.learner = self.problem.attacked(self.factors, one_step=True)
        self.solver.sweep(self.learner, self.factors)
        self.n_iter += 1
        return objective

    def objective(self) -> float:
        """The objective as things stand."""
        return self.problem.objective(self.factors)

    def converged(self, history: Sequence[float], tol: float) -> bool:
        """Hardly lower than before, or a perfect fit."""
        if len(history) > 1 and abs(history[-2] - history[-1]) <= tol * history[-1]:
            return True
        # A perfect fit: what is left is rounding.
        return history[-1] <= (10 * float(finfo(self.problem.data.values).eps)) ** 2 * history[0]


def _stop_reason(history: list[float], limits: Limits, began: float, process: Process) -> str:
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
    return "tol" if process.converged(history, limits.tol) else ""
