"""Comparisons of results: what a part of a model gains, and how far variants of a method are from the printed values.

Effects of a part are paired differences.  For one draw (data, missing entries, candidates) and each setting of the
other parts there is a pair; the effect of the draw is the mean over its pairs of log(RMSE with / RMSE without).  Mean
and confidence interval are over draws, by Student's t.

Distance of a variant from the printed values, over the cases that it was run on: exp(mean |log(RMSE / printed)|) - 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

from .experiments import Variant
from .protocols import PAIRS
from .runs import Result
from .summaries import Case, ExperimentResults, printed_at

__all__ = ["Effect", "VariantDistance", "paired_effects", "variant_distances"]

_LEVEL = 0.95


@dataclass(frozen=True)
class Effect:
    """The change of the error by a part, in per cent (below 0 it helps), with its 95 % confidence interval.

    ``corruption`` is that of the observed entries ("" for none); ``fraction`` None stands for all draws without one;
    ``low`` and ``high`` are NaN with one draw.
    """

    dataset: str
    fraction: float | None
    corruption: str
    part: str
    mean: float
    low: float
    high: float
    n_draws: int


def paired_effects(results: Iterable[Result]) -> list[Effect]:
    """The effects of the parts, by data set, missing fraction and corruption.

    Draws count only if they have all pairs, with errors above 0.
    """
    draws: dict[tuple[str, float | None, str], dict[tuple[float, int], dict[str, float]]] = {}
    for result in results:
        corruption = result.mask.partition("+")[2]
        for fraction in (result.fraction,) if corruption else (result.fraction, None):
            place = draws.setdefault((result.dataset, fraction, corruption), {})
            place.setdefault((result.fraction, result.seed), {})[result.method] = result.rmse
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
    """Without corruption first, of these the one of all fractions last."""
    dataset, fraction, corruption = place
    return dataset, bool(corruption), np.inf if fraction is None else fraction


def _interval(changes: np.ndarray) -> tuple[float, float, float]:
    """Mean and ends of its confidence interval, in per cent, from changes of the logarithm."""
    mean, n = changes.mean(), len(changes)
    half = stats.t.ppf((1 + _LEVEL) / 2, n - 1) * changes.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    low, middle, high = (100 * np.expm1(value) for value in (mean - half, mean, mean + half))
    return float(middle), float(low), float(high)


# --- distances from the printed values -------------------------------------------------------------------------------


@dataclass(frozen=True)
class VariantDistance:
    """The distance of a variant of ``method`` from the printed values, in per cent, and RMSE / printed by case."""

    dataset: str
    protocol: str
    method: str
    variant: str
    ratios: Mapping[Case, float]
    distance: float


def variant_distances(results: ExperimentResults) -> list[VariantDistance]:
    """The distances of the variants, each method's nearest first; none if there is no table to compare them with.

    Of each method under each protocol, only the variants with the most cases count: with fewer it is easier to be near.
    """
    found = []
    for dataset, protocol in product(results.datasets, results.protocols):
        by_method: dict[str, list[VariantDistance]] = {}
        for variant in results.experiment.variants:
            if ratios := _ratios(results, dataset, protocol, variant):
                distance = float(100 * np.expm1(np.mean(np.abs(np.log(list(ratios.values()))))))
                near = VariantDistance(dataset, protocol, variant.method, variant.name, ratios, distance)
                by_method.setdefault(variant.method, []).append(near)
        for variants in by_method.values():
            most = max(len(near.ratios) for near in variants)
            found += sorted((near for near in variants if len(near.ratios) == most), key=lambda near: near.distance)
    return found


def _ratios(results: ExperimentResults, dataset: str, protocol: str, variant: Variant) -> dict[Case, float]:
    ratios = {}
    for case in results.cases:
        summary = results.summary(dataset, protocol, variant.name, case)
        printed = printed_at(results.experiment.printed_in, dataset, variant.method, case)
        if summary is not None and printed is not None and summary.rmse_mean > 0:
            ratios[case] = summary.rmse_mean / printed.mean
    return ratios
