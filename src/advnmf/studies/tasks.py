"""What one run is: a recipe on an instance of a data set, and under which heading it is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import __version__

__all__ = ["Recipe", "Task"]

#: To be raised when the code of this subpackage gives another result for the same recipe: old rows are then left alone.
RECIPES_VERSION = 1
#: To be raised when only `search` finds something else: rows of what is not searched stay.
SEARCH_VERSION = 2


@dataclass(frozen=True)
class Recipe:
    """How a matrix with holes is completed; plain JSON all through.

    ``model`` is a class of `advnmf` (or "Biharmonic") with parameters ``params``; ``start`` names one of
    `starts.STARTS` and its number of sweeps; ``zero_fill`` tells the model that missing entries are observed zeros;
    ``dtype`` is the precision of the fit; with ``unit_scale`` it sees the data divided by the root mean square of what
    is observed; with ``candidates`` further parameters are searched in that many draws from ``space`` (see `search`).
    """

    model: str
    params: Mapping[str, Any]
    start: tuple[str, int] | None = None
    zero_fill: bool = False
    dtype: str = "float64"
    unit_scale: bool = False
    space: str | None = None
    candidates: int = 0


@dataclass(frozen=True)
class Task:
    """One run.  Of what follows, target, method, protocol, point and quick are headings; the rest decides the result.

    ``mask`` is "released", "uniform" (drawn by the seed) or the name of a picture's mask, with "+outliers" or another
    of `corruptions.CORRUPTIONS` if observed entries are to be wrong; ``fraction`` the share that is missing.  ``run``
    is the seed of all that is random.  ``kind`` names one of `kinds.KINDS`, with its options.
    ``point`` is where in a figure the run stands, such as {"lam": 3, "delta": "inf"}.
    """

    target: str
    dataset: str
    fraction: float
    mask: str
    method: str
    protocol: str
    run: int
    recipe: Recipe
    kind: str = "completion"
    options: Mapping[str, Any] = field(default_factory=dict)
    point: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False

    @property
    def setup(self) -> str:
        """A hash of all that decides the result, but for the seed."""
        return _hash(
            dataset=self.dataset,
            fraction=self.fraction,
            mask=self.mask,
            recipe=asdict(self.recipe),
            kind=self.kind,
            options=dict(self.options),
            version=__version__,
            recipes_version=RECIPES_VERSION,
            **({} if self.recipe.space is None else {"search_version": SEARCH_VERSION}),
        )

    @property
    def key(self) -> str:
        """A hash of all that decides the result: tasks of one key are computed once."""
        return _hash(setup=self.setup, run=self.run)

    @property
    def heading(self) -> tuple[str, str, str, bool]:
        """Where the result is told; one result may be told under several."""
        return self.target, self.protocol, self.method, self.quick


def _hash(**parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
