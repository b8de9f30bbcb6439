"""The tables and figures of the studies, and the runs of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from .inputs import CORRUPTIONS
from .protocols import BIHARMONIC, HYPER_PARAMETERS, METHODS, PAIRS, PROTOCOLS, make_config, quickened
from .runs import Labelled, Run

__all__ = ["EXPERIMENTS", "HEAT_MAP", "Experiment", "Variant", "plan"]

_FRACTIONS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# The share of pixels that each mask of the pictures hides.
_PICTURE_MASKS = {"random50": 0.5, "text_small": 0.19, "text_large": 0.23}
_LAMBDAS = tuple(round(1 + tenth / 10, 1) for tenth in range(1, 10)) + tuple(range(2, 11))
_QUICK_CASES = 2


@dataclass(frozen=True)
class Variant:
    """A method with changes to the hyper-parameters of the data set, under a name of its own."""

    name: str
    method: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A table or figure: all combinations of data sets, cases (missing fraction, mask), protocols and variants.

    ``printed_in`` names a table with printed errors to compare its variants with, see `variant_distances`.
    """

    title: str
    datasets: Sequence[str]
    cases: Sequence[tuple[float, str]]
    variants: Sequence[Variant]
    protocols: Sequence[str] = tuple(PROTOCOLS)
    measurement: str = "completion"
    options: Mapping[str, Any] = field(default_factory=dict)
    printed_in: str = ""

    def includes(self, each: Labelled) -> bool:
        """Whether a result or summary has one of its data sets, cases and variants."""
        names = {variant.name for variant in self.variants}
        return each.dataset in self.datasets and each.case in self.cases and each.method in names


def _cases(mask: str, fractions: Sequence[float] = _FRACTIONS) -> tuple[tuple[float, str], ...]:
    return tuple((fraction, mask) for fraction in fractions)


def _plain(*methods: str, **changes: Any) -> tuple[Variant, ...]:
    return tuple(Variant(method, method, changes) for method in methods)


def _over(method: str, **grids: Sequence[Any]) -> tuple[Variant, ...]:
    """A variant for each point of a grid of hyper-parameters."""
    points = (dict(zip(grids, values, strict=True)) for values in product(*grids.values()))
    return tuple(Variant(f"{method} ({_words(point)})", method, point) for point in points)


def _words(point: Mapping[str, Any]) -> str:
    names = {"lam": "lambda"}
    return ", ".join(f"{names.get(name, name)}={_number(value)}" for name, value in point.items())


def _number(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


def _table(title: str, dataset: str, mask: str) -> Experiment:
    return Experiment(f"{title}: RMSE of the missing entries", (dataset,), _cases(mask), _plain(*METHODS))


_UNTUNED = ("published", "masked")
#: The printed grid of fig8.
HEAT_MAP = {"lam": [round(2 + i / 5, 1) for i in range(16)], "delta": [10.0**e for e in range(-3, 4)]}
# The attack is bounded for lambda > 1 + 1 / delta; the rest of the grid has no solution.
_BOUNDED = tuple(
    variant for variant in _over("EADNMF", **HEAT_MAP) if variant.changes["lam"] > 1 + 1 / variant.changes["delta"]
)
# Table, mask, and layers to try: the study does not say which layers, lambda and delta it used.
_LAYERS: dict[str, tuple[str, str, list[tuple[int, ...]]]] = {
    "synthetic": ("table2", "released", [(5,), (10, 5), (20, 10), (40, 20, 10)]),
    "cbcl": ("table3", "released", [(49,), (100, 50), (200, 100), (200, 150, 100)]),
    "moffet": ("table4", "released", [(5,), (10, 5), (20, 10), (80, 40, 20)]),
    "mnist": ("table6", "uniform", [(50,), (100, 50), (200, 100), (400, 300, 200)]),
}
_RIDGES = [1.0, 0.0]


def _search_over_layers(dataset: str) -> Experiment:
    """Layers x ridge x delta; and lambda x ridge x two values of delta with the second choice of layers."""
    table, mask, layers = _LAYERS[dataset]
    over_lambda = {"layers": layers[1:2], "lam": [1.75, 3.0, 5.0], "ridge": _RIDGES}
    return Experiment(
        f"RMSE over layers, lambda, delta and ridge, {dataset}",
        (dataset,),
        _cases(mask, [0.3, 0.5, 0.9]),
        (
            *_over("ADNMF", layers=layers, ridge=_RIDGES),
            *_over("ADNMF", **over_lambda),
            *_over("EADNMF", layers=layers, delta=[1.5, 2.0, 10.0], ridge=_RIDGES),
            *_over("EADNMF", delta=[2.0, 10.0], **over_lambda),
        ),
        _UNTUNED,
        printed_in=table,
    )


EXPERIMENTS: dict[str, Experiment] = {
    "table2": _table("Table 2, Synthetic", "synthetic", "released"),
    "table3": _table("Table 3, CBCL faces", "cbcl", "released"),
    "table4": _table("Table 4, Moffet", "moffet", "released"),
    "table5": _table("Table 5, Madonna", "madonna", "released"),
    "table6": _table("Table 6, MNIST", "mnist", "uniform"),
    "table7": _table("Table 7, Fashion-MNIST", "fashion-mnist", "uniform"),
    "table8": _table("Table 8, MS-COCO 2017", "ms-coco-2017", "uniform"),
    "table9": Experiment(
        "Table 9, pictures: RMSE of the missing pixels",
        ("img1", "img2", "img3", "img4"),
        tuple((fraction, mask) for mask, fraction in _PICTURE_MASKS.items()),
        _plain("NMF", "AT-NMF", "DMF", "ADNMF", "EADNMF", BIHARMONIC),
    ),
    "slides": Experiment(
        "Slides of AT-NMF, Synthetic: RMSE of the missing entries",
        ("synthetic",),
        _cases("released"),
        (*_plain("NMF", "ANMF"), *_over("AT-NMF", lam=[2, 3, 5])),
        _UNTUNED,
    ),
    "lambda": Experiment(
        "RMSE over lambda, Moffet", ("moffet",), _cases("released", [0.5]), _over("AT-NMF", lam=_LAMBDAS), _UNTUNED
    ),
    **{f"layers-{dataset}": _search_over_layers(dataset) for dataset in _LAYERS},
    **{
        f"ablation-{dataset.partition('-')[0]}": Experiment(
            f"What the parts of EADNMF gain, {dataset}",
            (dataset,),
            (*_cases(mask, [0.3, 0.6, 0.9]), *((0.5, f"{mask}+{name}") for name in CORRUPTIONS)),
            _plain(*dict.fromkeys(name for pairs in PAIRS.values() for pair in pairs for name in pair)),
            ("tuned",),
        )
        for dataset, mask in {
            "synthetic-drawn": "uniform",
            "cbcl": "released",
            "moffet": "released",
            "mnist": "uniform",
        }.items()
    },
    "fig6": Experiment(
        "Convergence, an attack every 10 iterations",
        ("mnist",),
        _cases("uniform", [0.3]),
        _plain("ADNMF", "EADNMF", every=10),
        ("published",),
        "convergence",
        {"every": 10},
    ),
    "fig7": Experiment(
        "RMSE over the missing fraction with delta = 0, 2 and infinity",
        ("mnist",),
        _cases("uniform"),
        _over("EADNMF", delta=[0.0, 2.0, float("inf")]),
        _UNTUNED,
    ),
    "fig8": Experiment(
        "RMSE over lambda and delta, where the adversary is bounded",
        ("mnist",),
        _cases("uniform", [0.3]),
        _BOUNDED,
        _UNTUNED,
        printed_in="table6",
    ),
    "parts": Experiment(
        "Parts of faces",
        ("cbcl",),
        _cases("uniform", [0.1]),
        _plain("NMF", "AT-NMF"),
        _UNTUNED,
        "components",
    ),
    "restoration": Experiment(
        "Faces: original, masked, R*, X + R*, completed",
        ("cbcl",),
        _cases("released", [0.5]),
        _plain("NMF", "AT-NMF"),
        _UNTUNED,
        "restoration",
        {"samples": [0, 500, 1000, 1500, 2000]},
    ),
}


def plan(
    experiment: str,
    protocols: Sequence[str] = ("published",),
    *,
    methods: Sequence[str] | None = None,
    missing: Sequence[float] | None = None,
    runs: int = 3,
    quick: bool = False,
) -> list[Run]:
    """The runs of an experiment: all with the first seed, then all with the second, and so on.

    Parameters
    ----------
    experiment : key of `EXPERIMENTS`
    protocols : names from `PROTOCOLS`; those that the experiment does not have are left out
    methods, missing : some of the methods, such as "AT-NMF", and missing fractions of the experiment; all unless given
    runs : seeds 0 to runs - 1
    quick : bool
        One seed of two cases on one data set, with few iterations: a check that it works; the errors mean little.
    """
    chosen = EXPERIMENTS[experiment]
    variants = _chosen_variants(chosen, methods)
    cases = _chosen_cases(chosen, missing)
    datasets = chosen.datasets
    if quick:
        runs, datasets, cases = 1, datasets[:1], cases[:_QUICK_CASES]
    return [
        _run(experiment, dataset, case, variant, protocol, seed, quick)
        for seed in range(runs)
        for dataset, case, protocol, variant in product(datasets, cases, protocols, variants)
        if protocol in chosen.protocols and not (variant.method == BIHARMONIC and seed)
    ]


def _run(
    experiment: str, dataset: str, case: tuple[float, str], variant: Variant, protocol: str, seed: int, quick: bool
) -> Run:
    chosen = EXPERIMENTS[experiment]
    config = make_config(variant.method, protocol, replace(HYPER_PARAMETERS[dataset], **variant.changes))
    return Run(
        experiment,
        dataset,
        *case,
        variant.name,
        protocol,
        seed,
        quickened(config) if quick else config,
        chosen.measurement,
        chosen.options,
        _point(variant.changes),
        quick=quick,
    )


def _point(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as JSON, which has no infinity: it becomes "inf"."""
    return {name: "inf" if value == float("inf") else value for name, value in changes.items()}


def _chosen_variants(experiment: Experiment, methods: Sequence[str] | None) -> list[Variant]:
    """The variants of these methods."""
    if methods is None:
        return list(experiment.variants)
    there = {variant.method.lower(): variant.method for variant in experiment.variants}
    for name in methods:
        if name.lower() not in there:
            raise ValueError(f"methods: {name!r} is not among {', '.join(dict.fromkeys(there.values()))}")
    wanted = {name.lower() for name in methods}
    return [variant for variant in experiment.variants if variant.method.lower() in wanted]


def _chosen_cases(experiment: Experiment, missing: Sequence[float] | None) -> list[tuple[float, str]]:
    if missing is None:
        return list(experiment.cases)
    there = [fraction for fraction, _ in experiment.cases]
    for fraction in missing:
        if fraction not in there:
            raise ValueError(f"missing: {fraction:g} is not among {', '.join(f'{value:g}' for value in there)}")
    return [case for case in experiment.cases if case[0] in missing]
