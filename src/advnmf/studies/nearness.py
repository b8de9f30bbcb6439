"""How near the variants of a method come to what was printed for it, with hyper-parameters that were not.

For a variant and the cases that it was run on, distance = exp(mean |log(RMSE here / RMSE printed)|) - 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from .collecting import Case, Study
from .printed import printed_at

__all__ = ["Nearness", "nearness"]


@dataclass(frozen=True)
class Nearness:
    """A variant of ``method`` on a data set under a protocol: RMSE here / printed by case, and how far that is from 1.

    ``distance`` is in per cent, 0 where every case came out as printed.
    """

    dataset: str
    protocol: str
    method: str
    variant: str
    ratios: Mapping[Case, float]
    distance: float


def nearness(study: Study) -> list[Nearness]:
    """The variants of a study, each method's nearest first; none of a target that is not held against a table.

    Of each method under each protocol, those count that were run on the most cases: on fewer it is easier to be near.
    """
    found = []
    for dataset, protocol in product(study.datasets, study.protocols):
        by_method: dict[str, list[Nearness]] = {}
        for variant in study.target.variants:
            if ratios := _ratios(study, dataset, protocol, variant.name, variant.method):
                distance = 100 * np.expm1(np.mean(np.abs(np.log(list(ratios.values())))))
                near = Nearness(dataset, protocol, variant.method, variant.name, ratios, float(distance))
                by_method.setdefault(variant.method, []).append(near)
        for variants in by_method.values():
            most = max(len(near.ratios) for near in variants)
            whole = (near for near in variants if len(near.ratios) == most)
            found += sorted(whole, key=lambda near: near.distance)
    return found


def _ratios(study: Study, dataset: str, protocol: str, variant: str, method: str) -> dict[Case, float]:
    ratios = {}
    for case in study.cases:
        cell = study.cell(dataset, protocol, variant, case)
        printed = printed_at(study.target.printed_in, dataset, method, *case)
        if cell is not None and printed is not None and cell.rmse_mean > 0:
            ratios[case] = cell.rmse_mean / printed.mean
    return ratios
