"""A fit in progress: the object behind `fit`, the searches and `trace`, for callers who step a fit themselves.

fit = model.begin(X)          parameters and data are checked
while fit.step():             one iteration; False after the last
    fit.n_iter, fit.look()    the model as things stand
model = fit.finish()          the fitted model
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import wraps
from typing import Any, Self, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator

from ..arrays.namespaces import Array
from ..engine.factors import Factors
from ..engine.loop import IterativeProcess, Loop, Result, StoppingCriteria

Outcome = tuple[int, str, np.ndarray]
Fit = TypeVar("Fit", bound=Callable[..., Any])


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a fit that has ended in order: what it has learnt is whole."""


def blank_copy(model: BaseEstimator) -> Any:
    """A copy with the same parameters, and nothing that a fit has set."""
    blank = object.__new__(type(model))
    vars(blank).update({name: value for name, value in vars(model).items() if not name.endswith("_")})
    return blank


def at_once(fit: Fit) -> Fit:
    """A `fit` that learns on a blank copy of the model, which takes over what was learnt in a single step.

    So a model is never half fitted, whatever interrupts it: it is what it was before, or wholly new.  Nothing of an
    earlier fit outlives a new one.
    """

    @wraps(fit)
    def fit_at_once(self: BaseEstimator, *args: object, **kwargs: object) -> BaseEstimator:
        blank = blank_copy(self)
        try:
            fit(blank, *args, **kwargs)
        except Interrupted:
            self.__dict__ = vars(blank)
            raise KeyboardInterrupt from None
        self.__dict__ = vars(blank)
        return self

    return cast(Fit, fit_at_once)


class Training(ABC):
    """How a model learns from some data: it draws one start after another, and reads off where each has come to."""

    def gaps(self) -> list[str]:
        """What the data leave open, in words."""
        return []

    @abstractmethod
    def start(self, criteria: StoppingCriteria) -> tuple[IterativeProcess, str]:
        """The process of the next start, and why preparing it was cut short ("" if it was not)."""

    @abstractmethod
    def result(self, process: Any, outcome: Outcome, take: Callable[[Array], Array]) -> Result:
        """What the model stores of a process with this outcome; `take` says whether arrays are its own or copied."""

    def key(self, result: Result) -> float:
        """What is least for the best of several starts."""
        return result.objective


class FitInProgress:
    """A fit that is stepped, looked at and finished by its owner, or run as a whole.

    Parameters
    ----------
    model : estimator
        What `finish` fits; it has a method ``store(training, result)``.
    training : Training
        Its problem, over checked data.
    criteria : StoppingCriteria
        Those of each start.
    n_init : int, default=1
        Starts that `run` makes; `step` makes one.
    """

    def __init__(self, model: Any, training: Training, criteria: StoppingCriteria, n_init: int = 1) -> None:
        self.model = model
        self.training = training
        self.criteria = criteria
        self.n_init = n_init
        self._loop: Loop | None = None
        self._cut = ""
        self._best: Result | None = None

    # --- step by step ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Draw the start, layer-wise pre-training included.  `step` does it where that was not done."""
        self._draw(0)
        if self._cut == "interrupted":  # pre-training has caught it, which `run` reports as the stop reason
            raise KeyboardInterrupt

    def step(self) -> bool:
        """One iteration; whether more are to come.  An interruption (Ctrl-C) goes through."""
        if self._loop is None:
            self.begin()
        if not self.ended:
            self._loop.step()
        return not self.ended

    def session(self) -> AbstractContextManager:
        """The context in which steps are fastest, once the fit has begun."""
        return self._loop.process.session()

    @property
    def ended(self) -> bool:
        """Whether a stopping criterion is met."""
        return bool(self._cut or self._loop.stop_reason)

    @property
    def converged(self) -> bool:
        """Whether the tolerance has ended it."""
        return self._loop.stop_reason == "tol"

    @property
    def n_iter(self) -> int:
        """Iterations made."""
        return 0 if self._loop is None else self._loop.n_iter

    @property
    def factors(self) -> Factors:
        """The factors of the moment, of a model that has some; the next step changes them in place."""
        return self._loop.process.factors

    def look(self) -> Any:
        """The model as things stand, fitted: a copy that later steps do not change."""
        copy = object.__new__(type(self.model))
        vars(copy).update(vars(self.model))
        copy.store(self.training, self._result(lambda F: F + 0))
        return copy

    # --- as a whole ------------------------------------------------------------------------------------------------

    def run(self) -> Self:
        """Run all starts to their ends and keep the best.

        An interruption ends the start at hand like a stopping criterion; between starts, the best so far is kept.
        """
        for start in range(self.n_init):
            try:
                result = self._whole(start)
            except KeyboardInterrupt:  # outside the loop, which catches its own
                if self._best is None:
                    raise
                self._best = replace(self._best, stop_reason="interrupted")
                break
            if self._best is None or self.training.key(result) < self.training.key(self._best):
                self._best = result
            if result.stopped_early:
                # Why it ended is told even where an earlier start was better.
                self._best = replace(self._best, stop_reason=result.stop_reason)
                break
        return self

    def finish(self) -> Any:
        """Set the fitted attributes of the model, and return it."""
        self.model.store(self.training, self._best or self._result(lambda F: F))
        return self.model

    # --- parts -----------------------------------------------------------------------------------------------------

    def _draw(self, start: int) -> None:
        criteria = replace(self.criteria, start=start, n_init=self.n_init)
        process, self._cut = self.training.start(criteria)
        self._loop = Loop(process, replace(criteria, max_iter=0) if self._cut else criteria)

    def _whole(self, start: int) -> Result:
        """One start, run to its end; its process is let go."""
        self._draw(start)
        self._loop.run()
        result, self._loop = self._result(lambda F: F), None
        return result

    def _result(self, take: Callable[[Array], Array]) -> Result:
        result = self.training.result(self._loop.process, self._loop.outcome(), take)
        return replace(result, stop_reason=self._cut or result.stop_reason)
