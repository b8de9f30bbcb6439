"""The configuration of each method under each protocol.

- ``published``: as released by its authors.  NMF, ANMF and AT-NMF treat missing entries as observed zeros; the deep
  methods get the true masks, a ridge of one and an attack every 50 iterations; numbers of iterations are fixed.
- ``masked``: the same hyper-parameters with true masks for all, coordinate descent and the exact attack.
- ``tuned``: hyper-parameters, number of iterations and clipping chosen on held-out observed entries, with the same
  number of candidates for each method; each run draws its own.

Some values are neither in papers nor in released code, and were chosen here: the layers for all data sets but MS-COCO,
the ranks for data sets that the AT-NMF study does not have, the sizes of DMF's network, and most of ANMF (see its
docstring).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .runs import RunConfig

__all__ = [
    "BIHARMONIC",
    "HYPER_PARAMETERS",
    "METHODS",
    "PAIRS",
    "PROTOCOLS",
    "SEARCHED",
    "HyperParameters",
    "make_config",
    "quickened",
]

METHODS = ("NMF", "ANMF", "AT-NMF", "HQASD", "DMF", "ADNMF", "EADNMF")
BIHARMONIC = "Biharmonic"
_DEEP_OUTER, _DEEP_INNER, _PRETRAINING = 10, 50, 300
# Of the compared systems, under each protocol.
_ITERATIONS = {"ANMF": 500, "HQASD": 500, "DMF": 1000}
_QUICK_ITERATIONS, _QUICK_CANDIDATES = 200, 3


@dataclass(frozen=True)
class HyperParameters:
    """The hyper-parameters on a data set, as the studies name them.

    ``nmf_iter`` and ``outer`` x ``inner`` are the iterations of NMF and AT-NMF as released, ``masked_iter`` and
    ``tuned_iter`` the most sweeps of the other protocols.  ``every`` replaces the number of iterations between two
    attacks, for any method.
    """

    shape: tuple[int, int]
    rank: int
    layers: tuple[int, ...]
    nmf_iter: int
    outer: int
    inner: int
    lam: float = 2.0
    delta: float = 2.0
    # Of the deep methods.
    ridge: float = 1.0
    dtype: str = "float64"
    every: int | None = None
    # Whether the printed errors of NMF and AT-NMF are those of zeros for missing entries.
    zero_fill: bool = True
    # The two demonstrations of HQ-ASD, with drawn data and with pictures, have different tolerances.
    picture: bool = True
    masked_iter: int = 500
    tuned_iter: int = 200
    candidates: int = 16


_CUBE = HyperParameters((2500, 165), rank=3, layers=(10, 5), nmf_iter=1500, outer=15, inner=150, dtype="float32")
# With these layers both deep methods come near the printed errors, see the experiments layers-cbcl and layers-mnist.
_DIGITS = replace(_CUBE, shape=(1000, 784), rank=20, layers=(200, 100), nmf_iter=1000)
# The figures printed for NMF on pictures are a tenth of what zeros for missing pixels would give.
_PICTURE = replace(_DIGITS, shape=(300, 900), layers=(40, 20), zero_fill=False)
#: By the name of the data set.
HYPER_PARAMETERS = {
    # The data are small, so more sweeps cost little; after only 200 the methods have not converged.
    "synthetic": HyperParameters(
        (50, 100), rank=5, layers=(10, 5), nmf_iter=3000, outer=40, inner=300, picture=False, tuned_iter=1000
    ),
    # Released with 100000 and 100 x 999.  NMF is within 1 % of its end long before; AT-NMF swings from attack to
    # attack, and where it ends depends on their number and length: with these about where it was printed.
    "cbcl": replace(_DIGITS, shape=(2429, 361), rank=49, nmf_iter=3000, inner=200),
    "moffet": _CUBE,
    "madonna": replace(_CUBE, shape=(2500, 160)),
    "mnist": _DIGITS,
    "fashion-mnist": _DIGITS,
    "ms-coco-2017": replace(_DIGITS, shape=(5000, 4096), rank=200, layers=(400, 300, 200)),
    **dict.fromkeys(("img1", "img2", "img3", "img4"), _PICTURE),
}
HYPER_PARAMETERS["synthetic-drawn"] = HYPER_PARAMETERS["synthetic"]


# --- published -------------------------------------------------------------------------------------------------------


def _published(method: str, hyper: HyperParameters) -> RunConfig:
    shared = {"n_components": hyper.rank, "alpha_W": 0.0}
    multiplicative = {"solver": "mu", "tol": 0.0}
    shallow = {"zero_fill": hyper.zero_fill, "start": ("half-normal", 5), "dtype": hyper.dtype}
    if method == "NMF":
        return RunConfig("NMF", {**shared, **multiplicative, "max_iter": hyper.nmf_iter}, **shallow)
    if method == "AT-NMF":
        inner = hyper.every or hyper.inner
        attack = {"lam": hyper.lam, "attack": "alternating", "attack_every": inner}
        limits = {"max_iter": hyper.outer * hyper.inner}
        return RunConfig("ATNMF", {**shared, **attack, **multiplicative, **limits}, **shallow)
    if method == "ANMF":
        return RunConfig("ANMF", {"n_components": hyper.rank, "missing": "zero", "max_iter": _ITERATIONS[method]})
    if method in ("ADNMF", "EADNMF"):
        model, params = _deep(method, hyper)
        if model != "NMF":  # without an adversary there is nothing to freeze
            params |= {"attack": "alternating", "attack_every": hyper.every or _DEEP_INNER}
        limits = {"max_iter": _DEEP_OUTER * _DEEP_INNER}
        return RunConfig(
            model, {**params, **multiplicative, **limits}, start=("layers", _PRETRAINING), dtype=hyper.dtype
        )
    return _with_true_mask(method, hyper)


def _with_true_mask(method: str, hyper: HyperParameters) -> RunConfig:
    """HQASD, DMF and biharmonic inpainting, whose released versions use the mask."""
    if method == "HQASD":
        tolerances = {"switch_tol": 1e6, "tol": 1e-7} if hyper.picture else {}
        return RunConfig("HQASD", {"n_components": hyper.rank, "max_iter": _ITERATIONS[method], **tolerances})
    if method == "DMF":
        sizes = {"n_components": hyper.rank, "hidden": [5 * hyper.rank]}
        return RunConfig("DMF", {**sizes, "keep": "last", "max_iter": _ITERATIONS[method]})
    return RunConfig(BIHARMONIC, {})


def _deep(method: str, hyper: HyperParameters) -> tuple[str, dict[str, Any]]:
    """Class and parameters.  delta = infinity is ADNMF; with delta = 0 the attack is unbounded, so there is none."""
    params: dict[str, Any] = {"n_components": list(hyper.layers), **_ridge(hyper)}
    if method == "EADNMF" and hyper.delta == 0:
        return "NMF", {**params, "loss": "l21"}
    params["lam"] = hyper.lam
    if method == "ADNMF" or hyper.delta == float("inf"):
        return "ADNMF", params
    return "EADNMF", {**params, "delta": hyper.delta}


def _ridge(hyper: HyperParameters) -> dict[str, float]:
    """ridge sum_l ||F_l||^2 (1 in the released code); alpha_W is multiplied by n_features, alpha_H by n_samples."""
    n_samples, n_features = hyper.shape
    return {"alpha_W": hyper.ridge / n_features, "alpha_H": hyper.ridge / n_samples}


# --- masked ----------------------------------------------------------------------------------------------------------


def _masked(method: str, hyper: HyperParameters) -> RunConfig:
    limits = {"max_iter": hyper.masked_iter, "tol": 1e-6}
    shallow = {"n_components": hyper.rank, "alpha_W": 0.0, **limits}
    if method == "NMF":
        return RunConfig("NMF", shallow)
    if method == "AT-NMF":
        return RunConfig("ATNMF", {**shallow, "lam": hyper.lam})
    if method == "ANMF":
        return RunConfig("ANMF", {"n_components": hyper.rank, "max_iter": _ITERATIONS[method]})
    if method in ("ADNMF", "EADNMF"):
        model, params = _deep(method, hyper)
        return RunConfig(model, {**params, **limits})
    return _with_true_mask(method, hyper)


# --- tuned -----------------------------------------------------------------------------------------------------------

#: By method: the class, and the space of its hyper-parameters.
SEARCHED = {
    "NMF": ("NMF", "plain"),
    "ANMF": ("ANMF", "bilevel"),
    "AT-NMF": ("ATNMF", "adversary"),
    "HQASD": ("HQASD", "robust"),
    "DMF": ("DMF", "network"),
    "ADNMF": ("ADNMF", "deep+adversary"),
    "EADNMF": ("EADNMF", "deep+elastic+adversary"),
    # Not in the studies: the parts of EADNMF one by one.
    "Deep NMF": ("NMF", "deep"),
    "Elastic NMF": ("NMF", "elastic"),
    "Elastic deep NMF": ("NMF", "deep+elastic"),
    "Elastic AT-NMF": ("EADNMF", "elastic+adversary"),
}

#: By part: pairs of methods without it and with it that are otherwise equal.
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


def _tuned(method: str, hyper: HyperParameters) -> RunConfig:
    if method == BIHARMONIC:
        return _with_true_mask(method, hyper)
    factorised = {"max_iter": hyper.tuned_iter, "tol": 1e-5}
    params = {"max_iter": _ITERATIONS[method]} if method in _ITERATIONS else factorised
    model, space = SEARCHED[method]
    return RunConfig(model, params, unit_scale=True, space=space, candidates=hyper.candidates)


#: By name: the configuration of a method.
PROTOCOLS: dict[str, Callable[[str, HyperParameters], RunConfig]] = {
    "published": _published,
    "masked": _masked,
    "tuned": _tuned,
}


def make_config(method: str, protocol: str, hyper: HyperParameters) -> RunConfig:
    """The configuration of a method under a protocol."""
    return PROTOCOLS[protocol](method, hyper)


def quickened(config: RunConfig) -> RunConfig:
    """The configuration with fewer iterations, proportionally fewer of them between attacks, and fewer candidates."""
    params, start = dict(config.params), config.start
    if "max_iter" in params:
        share = min(1.0, _QUICK_ITERATIONS / params["max_iter"])
        params["max_iter"] = min(params["max_iter"], _QUICK_ITERATIONS)
        if "attack_every" in params:
            params["attack_every"] = max(1, round(share * params["attack_every"]))
    if start is not None:
        start = start[0], min(start[1], _QUICK_ITERATIONS // 2)
    return replace(config, params=params, start=start, candidates=min(config.candidates, _QUICK_CANDIDATES))
