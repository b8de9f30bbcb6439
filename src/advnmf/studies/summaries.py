"""Results summarised over their seeds, beside the printed values."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import resources
from typing import Any

import numpy as np

from .experiments import EXPERIMENTS, Experiment
from .protocols import PROTOCOLS
from .runs import Labelled, Result

__all__ = ["PRINT", "Case", "ExperimentResults", "PrintedValue", "Summary", "collect", "printed_values", "summarise"]

#: A mean agrees with a printed one if it is within so many printed deviations, or within this share of it.
DEVIATIONS, SHARE = 3, 0.03
#: Stands for the printed values among the protocols.
PRINT = "print"

_TABLES = "rmse_tables_2_to_8.csv"
_SLIDES = "atnmf_slides_synthetic.csv"
_PICTURES = "rmse_table_9.csv"
# The study shows its three masks without saying how they were made; these are similar ones.
_PICTURE_MASKS = {"rand": "random50", "small": "text_small", "large": "text_large"}

Case = tuple[float, str]


@dataclass(frozen=True)
class Summary(Labelled):
    """The results of one setup: means and sample deviations over the seeds, and the printed value if there is one.

    If there are results of several setups under the same labels, from other settings or another version, only the last
    one written is ``latest``.
    """

    setup: str
    config: Mapping[str, Any]
    point: Mapping[str, Any]
    latest: bool
    n_runs: int
    rmse_mean: float
    rmse_std: float
    mae_mean: float
    mae_std: float
    seconds_mean: float
    printed: PrintedValue | None

    @property
    def agrees(self) -> bool | None:
        """Whether the mean is within the larger of 3 printed deviations and 3 %; None without a printed value."""
        if self.printed is None:
            return None
        tolerance = max(DEVIATIONS * (self.printed.std or 0.0), SHARE * self.printed.mean)
        return abs(self.rmse_mean - self.printed.mean) <= tolerance


def summarise(results: Iterable[Result]) -> list[Summary]:
    """The summaries of some results, in their order."""
    groups: dict[tuple[Any, ...], dict[str, list[Result]]] = {}
    for result in results:
        place = (*result.labels, result.dataset, *result.case)
        groups.setdefault(place, {}).setdefault(result.setup, []).append(result)
    return [
        _summary(same, latest=same is list(setups.values())[-1])
        for setups in groups.values()
        for same in setups.values()
    ]


def _summary(results: list[Result], latest: bool) -> Summary:
    first = results[0]
    (rmse_mean, rmse_std), (mae_mean, mae_std) = (_moments(results, name) for name in ("rmse", "mae"))
    return Summary(
        **{name: getattr(first, name) for name in (*_SHARED, "setup", "config", "point")},
        latest=latest,
        n_runs=len(results),
        rmse_mean=rmse_mean,
        rmse_std=rmse_std,
        mae_mean=mae_mean,
        mae_std=mae_std,
        seconds_mean=_moments(results, "seconds")[0],
        printed=printed_at(first.experiment, first.dataset, first.method, first.case),
    )


_SHARED = [each.name for each in fields(Labelled)]


def _moments(results: list[Result], name: str) -> tuple[float, float]:
    """Mean and sample deviation (0 of a single value)."""
    values = [getattr(result, name) for result in results]
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


# --- printed values --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PrintedValue:
    """A printed root mean square error over missing entries; its deviation is over random starts (table9: unknown)."""

    experiment: str
    dataset: str
    method: str
    mean: float
    fraction: float | None = None
    mask: str | None = None
    std: float | None = None


@functools.cache
def printed_values(experiment: str) -> Mapping[tuple[str, str, float | str], PrintedValue]:
    """What the studies print for "table2" ... "table9" and "slides": {(data set, method, fraction or mask): value}.

    Empty for other experiments: the figures are printed without numbers.
    """
    if experiment == "slides":
        found = [_by_fraction("slides", row) for row in _read(_SLIDES)]
    elif experiment == "table9":
        found = [_by_mask(row) for row in _read(_PICTURES)]
    else:
        found = [_by_fraction(experiment, row) for row in _read(_TABLES) if row["table"] == experiment]
    return {(value.dataset, value.method, value.mask or value.fraction): value for value in found}


def printed_at(experiment: str, dataset: str, method: str, case: Case) -> PrintedValue | None:
    """The printed value, if there is one."""
    values = printed_values(experiment)
    return next((values[dataset, method, key] for key in case if (dataset, method, key) in values), None)


def _by_fraction(experiment: str, row: dict[str, str]) -> PrintedValue:
    return PrintedValue(
        experiment,
        row["dataset"],
        row["method"],
        float(row["rmse_mean"]),
        fraction=float(row["missing_fraction"]),
        std=float(row["rmse_std"]),
    )


def _by_mask(row: dict[str, str]) -> PrintedValue:
    mask = _PICTURE_MASKS[row["mask"]]
    return PrintedValue("table9", row["image"], row["method"], float(row["rmse_mean"]), mask=mask)


def _read(name: str) -> list[dict[str, str]]:
    with resources.files(__package__).joinpath("printed", name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# --- experiments -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExperimentResults:
    """An experiment and its results: the latest of each setup; quick ones only if there are no others.

    ``n_left_out`` counts the rest.
    """

    name: str
    experiment: Experiment
    results: Sequence[Result]
    summaries: Sequence[Summary]
    n_left_out: int

    @property
    def quick(self) -> bool:
        """Whether all results are from few iterations."""
        return self.results[0].quick

    @property
    def protocols(self) -> list[str]:
        """The protocols that have results."""
        return [name for name in PROTOCOLS if any(each.protocol == name for each in self.summaries)]

    @property
    def datasets(self) -> list[str]:
        """The data sets of the experiment, and any others that have results."""
        return _merged(self.experiment.datasets, (each.dataset for each in self.summaries))

    @property
    def methods(self) -> list[str]:
        """The methods of the experiment, and any others that have results."""
        return _merged((variant.name for variant in self.experiment.variants), (each.method for each in self.summaries))

    @property
    def cases(self) -> list[Case]:
        """The cases of the experiment, and any others that have results."""
        return _merged(self.experiment.cases, (each.case for each in self.summaries))

    @property
    def has_print(self) -> bool:
        """Whether there are printed values."""
        return bool(printed_values(self.name))

    def has_results(self, dataset: str, protocol: str) -> bool:
        """Whether there are results on a data set under a protocol."""
        return any((each.dataset, each.protocol) == (dataset, protocol) for each in self.summaries)

    def only(self, dataset: str, protocol: str) -> ExperimentResults:
        """The part on one data set under one protocol."""
        part = [each for each in self.summaries if (each.dataset, each.protocol) == (dataset, protocol)]
        return replace(self, summaries=part)

    def own(self, protocol: str) -> ExperimentResults:
        """The part under one protocol whose data sets, cases and methods are the experiment's own."""

        def belongs(each: Labelled) -> bool:
            return each.protocol == protocol and self.experiment.includes(each)

        return replace(
            self, results=list(filter(belongs, self.results)), summaries=list(filter(belongs, self.summaries))
        )

    def summary(self, dataset: str, protocol: str, method: str, case: Case) -> Summary | None:
        """The summary of this place, if it was run."""
        return self._by_place.get((dataset, protocol, method, case))

    def printed(self, dataset: str, method: str, case: Case) -> PrintedValue | None:
        """The printed value of this place, if there is one."""
        return printed_at(self.name, dataset, method, case)

    def means(self, dataset: str, protocol: str, case: Case) -> dict[str, float]:
        """The mean errors by method, of those that have one; ``protocol`` may be `PRINT`."""
        if protocol == PRINT:
            printed = {method: self.printed(dataset, method, case) for method in self.methods}
            return {method: value.mean for method, value in printed.items() if value}
        found = {method: self.summary(dataset, protocol, method, case) for method in self.methods}
        return {method: each.rmse_mean for method, each in found.items() if each}

    def results_of(self, protocol: str, method: str) -> list[Result]:
        """The results of a method under a protocol."""
        return [each for each in self.results if (each.protocol, each.method) == (protocol, method)]

    @functools.cached_property
    def _by_place(self) -> dict[tuple[Any, ...], Summary]:
        return {(each.dataset, each.protocol, each.method, each.case): each for each in self.summaries}


def collect(results: Iterable[Result]) -> list[ExperimentResults]:
    """The experiments that have results, in the order of `EXPERIMENTS`."""
    by_name: dict[str, list[Result]] = {name: [] for name in EXPERIMENTS}
    for result in results:
        by_name.setdefault(result.experiment, []).append(result)
    return [_collected(name, found) for name, found in by_name.items() if name in EXPERIMENTS and found]


def _collected(name: str, results: list[Result]) -> ExperimentResults:
    thorough = [each for each in results if not each.quick] or results
    summaries = [each for each in summarise(thorough) if each.latest]
    latest = {_place(each) for each in summaries}
    kept = [each for each in thorough if _place(each) in latest]
    return ExperimentResults(name, EXPERIMENTS[name], kept, summaries, len(results) - len(kept))


def _place(each: Result | Summary) -> tuple[Any, ...]:
    return each.protocol, each.method, each.dataset, each.case, each.setup


def _merged(known: Iterable[Any], found: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys([*known, *found]))


def smallest(means: dict[str, float]) -> list[str]:
    """The methods with the smallest mean; more than one if they are equal."""
    return [method for method, value in means.items() if value == min(means.values())]
