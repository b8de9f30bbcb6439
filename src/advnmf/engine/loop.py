"""The one loop: iterations of a process, one by one or until a stopping criterion is met."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..arrays.namespaces import finfo
from .factors import Factors
from .problem import Problem

if TYPE_CHECKING:
    from ..solvers import Solver


@dataclass(frozen=True)
class Progress:
    """What a callback is given: the objective after `n_iter` iterations.

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
class StoppingCriteria:
    """Stopping criteria, and a callback that may stop too; it is also given `start`, `n_init` and `phase`.

    `deadline` is in seconds of `time.monotonic`.
    """

    max_iter: int = 200
    tol: float = 1e-4
    deadline: float = np.inf
    callback: Callback | None = None
    start: int = 0
    n_init: int = 1
    phase: str = "train"


@dataclass(frozen=True)
class Result:
    """Factors, and the course of the fit.

    `history` holds the objective at the start and after each iteration; `stop_reason` is "tol", "max_iter",
    "time_limit", "callback" or "interrupted".
    """

    factors: Factors
    n_iter: int
    stop_reason: str
    history: np.ndarray

    @property
    def stopped_early(self) -> bool:
        """Whether an interrupt, the callback or the time limit ended it."""
        return self.stop_reason in EARLY

    @property
    def objective(self) -> float:
        """The objective reached."""
        return float(self.history[-1])


# Reasons that end all starts, not only the one at hand.
EARLY = ("interrupted", "callback", "time_limit")


class IterativeProcess(ABC):
    """What the loop runs: a state that `step` moves on.  It is valid after every update."""

    factors: Factors

    def session(self) -> AbstractContextManager:
        """The context in which steps are made."""
        return nullcontext()

    @abstractmethod
    def step(self) -> float:
        """One iteration, in place; the objective *on entry*, where the prediction is at hand."""

    @abstractmethod
    def objective(self) -> float:
        """The objective as things stand."""

    @abstractmethod
    def converged(self, history: Sequence[float], tol: float) -> bool:
        """Whether the last of these objectives is good enough to end."""


class Loop:
    """Iterations of a process under stopping criteria.

    `history` holds the objective on entry of each step, hence at the start and after all steps but the last.
    `stop_reason` is empty until a criterion is met.
    """

    def __init__(self, process: IterativeProcess, criteria: StoppingCriteria) -> None:
        self.process = process
        self.criteria = criteria
        self.history: list[float] = []
        self.n_iter = 0
        self.stop_reason = ""
        self._began = time.monotonic()

    def step(self) -> None:
        """One iteration, then a look at the criteria; an interruption (Ctrl-C) goes through."""
        self.history.append(self.process.step())
        self.n_iter += 1
        self.stop_reason = self._reason() or ("max_iter" if self.n_iter >= self.criteria.max_iter else "")

    def run(self) -> None:
        """Step until a criterion is met; an interruption is one."""
        with self.process.session():
            try:
                while not self.stop_reason and self.n_iter < self.criteria.max_iter:
                    self.step()
                # Steps report on entry, so the last one is still to be looked at.
                self.history.append(self.process.objective())
                if self.stop_reason not in EARLY:
                    self.stop_reason = self._reason() or self.stop_reason
            except KeyboardInterrupt:
                # Whatever was being done when it came, these are the factors now.
                self.stop_reason, self.history[self.n_iter :] = "interrupted", [self.process.objective()]

    def outcome(self) -> tuple[int, str, np.ndarray]:
        """Iterations made, why they ended, and the objective at the start and after each."""
        ended = len(self.history) > self.n_iter
        history = self.history if ended else [*self.history, self.process.objective()]
        return self.n_iter, self.stop_reason or "max_iter", np.array(history)

    def _reason(self) -> str:
        """Why to stop now, or the empty string."""
        criteria, now = self.criteria, time.monotonic()
        if criteria.callback is not None and criteria.callback(self._progress(now)):
            return "callback"
        if now > criteria.deadline:
            return "time_limit"
        return "tol" if self.process.converged(self.history, criteria.tol) else ""

    def _progress(self, now: float) -> Progress:
        of = self.criteria
        seconds = now - self._began
        return Progress(len(self.history) - 1, of.max_iter, self.history[-1], seconds, of.start, of.n_init, of.phase)


class Sweeps(IterativeProcess):
    """Sweeps of a solver against the exact adversary, or against one that is frozen for `attack_every` sweeps."""

    def __init__(self, problem: Problem, factors: Factors, solver: Solver, attack_every: int | None = None) -> None:
        solver.check(problem.loss)
        # As posed, and as it has adapted to the factors of the moment (the same unless loss or adversary do).
        self.posed = self.problem = self.learner = problem
        self.factors = factors
        self.solver = solver
        self.attack_every = attack_every
        self.n_iter = 0

    def session(self) -> AbstractContextManager:
        """That of the solver."""
        return self.solver.session(self.posed)

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


def minimise(
    problem: Problem,
    factors: Factors,
    solver: Solver,
    criteria: StoppingCriteria,
    attack_every: int | None = None,
) -> Result:
    """Sweep over `factors`, in place, until a criterion is met.

    With `attack_every` None each factor update meets the exact adversary; a number freezes the perturbation for so many
    sweeps, as the studies print it.  The objective is the robust one either way; only the exact adversary keeps it from
    rising.
    """
    loop = Loop(Sweeps(problem, factors, solver, attack_every), criteria)
    loop.run()
    return Result(factors, *loop.outcome())
