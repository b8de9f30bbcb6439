"""What a part of a model gains: paired differences of errors with the part and without it.

For one draw (data, holes, candidates) and each setting of the other parts there is a pair; the draw's effect is the
mean over its pairs of log(RMSE with / RMSE without).  Mean and confidence interval are over draws, by Student's t.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from .rows import Row

__all__ = ["PAIRS", "Effect", "paired_effects"]

#: By part: methods without it and with it, the rest equal.
PAIRS = {
    "adversary": [
        ("NMF", "AT-NMF"),
        ("Deep NMF", "ADNMF"),
        ("Elastic NMF", "Elastic AT-NMF"),
        ("Elastic deep NMF", "EADNMF"),
    ],
    "elastic loss": [
        ("NMF", "Elastic NMF"),
        ("Deep NMF", "Elastic deep NMF"),
        ("AT-NMF", "Elastic AT-NMF"),
        ("ADNMF", "EADNMF"),
    ],
    "second layer": [
        ("NMF", "Deep NMF"),
        ("Elastic NMF", "Elastic deep NMF"),
        ("AT-NMF", "ADNMF"),
        ("Elastic AT-NMF", "EADNMF"),
    ],
}
_LEVEL = 0.95


@dataclass(frozen=True)
class Effect:
    """The change of the error by a part, in per cent (below 0 it helps), with its 95 % confidence interval.

    ``corruption`` is what was wrong with observed entries ("" for nothing); ``fraction`` None stands for all draws of
    right data; ``low`` and ``high`` are NaN with one draw.
    """

    dataset: str
    fraction: float | None
    corruption: str
    part: str
    mean: float
    low: float
    high: float
    n_draws: int


def paired_effects(rows: Iterable[Row]) -> list[Effect]:
    """The effects of the parts, by data set, missing fraction and corruption.

    Only draws count that have all pairs, with errors above 0.
    """
    draws: dict[tuple[str, float | None, str], dict[tuple[float, int], dict[str, float]]] = {}
    for row in rows:
        corruption = row.mask.partition("+")[2]
        for fraction in (row.fraction,) if corruption else (row.fraction, None):
            place = draws.setdefault((row.dataset, fraction, corruption), {})
            place.setdefault((row.fraction, row.run), {})[row.method] = row.rmse
    effects = []
    for place in sorted(draws, key=_order):
        found = draws[place]
        for part, pairs in PAIRS.items():
            names = {name for pair in pairs for name in pair}
            whole = [errors for errors in found.values() if all(errors.get(name, 0) > 0 for name in names)]
            if whole:
                changes = [np.mean([np.log(errors[b] / errors[a]) for a, b in pairs]) for errors in whole]
                effects.append(Effect(*place, part, *_interval(np.array(changes)), len(changes)))
    return effects


def _order(place: tuple[str, float | None, str]) -> tuple[str, bool, float]:
    """Right data first, all of them together last among these."""
    dataset, fraction, corruption = place
    return dataset, bool(corruption), np.inf if fraction is None else fraction


def _interval(changes: np.ndarray) -> tuple[float, float, float]:
    """Mean and ends of its confidence interval, from logarithms to per cent."""
    mean, n = changes.mean(), len(changes)
    half = stats.t.ppf((1 + _LEVEL) / 2, n - 1) * changes.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    low, middle, high = (100 * np.expm1(value) for value in (mean - half, mean, mean + half))
    return float(middle), float(low), float(high)
