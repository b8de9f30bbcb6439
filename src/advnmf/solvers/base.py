"""What the loop needs of a solver: one sweep over the factors, in place, that never raises the objective.

Both methods of `Solver` report on the factors as they were *on entry* (the prediction is at hand there, so it costs
nothing): the loss of each sample with its half-quadratic weight, and the objective.  A sweep takes its weights ``d``
once and its target anew for each factor.

To add a solver: derive a frozen dataclass from `Solver`; see ``docs/extending.md``.  One that is to belong to the
package gets a line in `SOLVERS`; the contract tests run over that table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from ..arrays.namespaces import Array
from ..engine.factors import Factors
from ..engine.problem import Problem
from ..losses import Loss


class Solver(ABC):
    """One sweep over the factors."""

    name: ClassVar[str]
    # Whether it needs a loss that a quadratic touches from above; else gradient parts will do.
    half_quadratic_only: ClassVar[bool] = True
    # Whether it moves coordinates of any sign, such as offsets.
    signed: ClassVar[bool] = False
    # Whether it needs NumPy arrays; else it takes those of any namespace.
    numpy_only: ClassVar[bool] = True

    @abstractmethod
    def update_codes(self, problem: Problem, factors: Factors) -> tuple[Array, Array | None]:
        """Renew F_1 alone, each row from its own sample; on entry: the loss of each sample, and the weights kept."""

    @abstractmethod
    def sweep(self, problem: Problem, factors: Factors) -> float:
        """Renew every factor; the objective on entry."""

    def session(self, problem: Problem) -> AbstractContextManager:
        """What the sweeps of a fit are done within: nothing, unless there is something to prepare."""
        return nullcontext()

    def check(self, loss: Loss) -> None:
        """Refuse, by a ValueError of one line, a loss that it cannot minimise."""
        if self.half_quadratic_only and not loss.half_quadratic:
            raise ValueError(
                f"solver={self.name!r} needs a half-quadratic loss, which {loss!r} is not: set solver='mu'"
            )
