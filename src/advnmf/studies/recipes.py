"""How each method is run under each protocol.

- ``published``: as its authors released it.  NMF, ANMF and AT-NMF take missing entries for observed zeros; the deep
  methods see true masks, have a ridge of one and attack once every 50 iterations; all have fixed numbers of iterations.
- ``masked``: the same hyper-parameters with true masks for all, coordinate descent and the exact attack.
- ``tuned``: hyper-parameters, the number of iterations and whether to clip to the range of the data from a search on
  held-out observed entries, with as many candidates for each method; each run draws its own.

What no text or code tells was chosen here: the layers for all sets but MS-COCO, the ranks for the sets that the AT-NMF
study does not have, the sizes of DMF's network, and most of ANMF (see its docstring).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .tasks import Recipe

__all__ = ["METHODS", "PROTOCOLS", "SEARCHED", "SETTINGS", "Setting", "make_recipe", "quickened"]

METHODS = ("NMF", "ANMF", "AT-NMF", "HQASD", "DMF", "ADNMF", "EADNMF")
BIHARMONIC = "Biharmonic"
_DEEP_OUTER, _DEEP_INNER, _PRETRAINING = 10, 50, 300
# Of the systems that are compared with, under each protocol.
_ITERATIONS = {"ANMF": 500, "HQASD": 500, "DMF": 1000}
_QUICK_ITERATIONS, _QUICK_CANDIDATES = 200, 3


@dataclass(frozen=True)
class Setting:
    """The hyper-parameters on a data set, in the words of the studies.

    ``nmf_iter`` and ``outer`` x ``inner`` are the iterations of NMF and AT-NMF as released, ``masked_iter`` and
    ``tuned_iter`` the most sweeps of the other protocols.  ``every`` replaces the number of iterations between two
    attacks of any method.
    """

    shape: tuple[int, int]
    rank: int
    layers: tuple[int, ...]
    nmf_iter: int
    outer: int
    inner: int
    lam: float = 2.0
    delta: float = 2.0
    # Of the deep methods, beside the sum of squares.
    ridge: float = 1.0
    dtype: str = "float64"
    every: int | None = None
    # Whether NMF and AT-NMF take missing entries for zeros, as the study's own figures say.
    zero_fill: bool = True
    # HQ-ASD's two demonstrations, of drawn data and of pictures, have other tolerances.
    picture: bool = True
    masked_iter: int = 500
    tuned_iter: int = 200
    candidates: int = 16


_CUBE = Setting((2500, 165), rank=3, layers=(10, 5), nmf_iter=1500, outer=15, inner=150, dtype="float32")
# These layers come near to the print for both deep methods, see the targets layers-cbcl and layers-mnist.
_DIGITS = replace(_CUBE, shape=(1000, 784), rank=20, layers=(200, 100), nmf_iter=1000)
# The figures printed for NMF on pictures are a tenth of what zeros for missing pixels would give.
_PICTURE = replace(_DIGITS, shape=(300, 900), layers=(40, 20), zero_fill=False)
#: By the name of the data set.
SETTINGS = {
    # Small, so that more sweeps cost little: with 200 whoever makes most of them wins.
    "synthetic": Setting(
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
SETTINGS["synthetic-drawn"] = SETTINGS["synthetic"]


# --- as released -----------------------------------------------------------------------------------------------------


def _published(method: str, setting: Setting) -> Recipe:
    shared = {"n_components": setting.rank, "alpha_W": 0.0}
    multiplicative = {"solver": "mu", "tol": 0.0}
    shallow = {"zero_fill": setting.zero_fill, "start": ("half-normal", 5), "dtype": setting.dtype}
    if method == "NMF":
        return Recipe("NMF", {**shared, **multiplicative, "max_iter": setting.nmf_iter}, **shallow)
    if method == "AT-NMF":
        inner = setting.every or setting.inner
        attack = {"lam": setting.lam, "attack": "alternating", "attack_every": inner}
        limits = {"max_iter": setting.outer * setting.inner}
        return Recipe("ATNMF", {**shared, **attack, **multiplicative, **limits}, **shallow)
    if method == "ANMF":
        return Recipe("ANMF", {"n_components": setting.rank, "missing": "zero", "max_iter": _ITERATIONS[method]})
    if method in ("ADNMF", "EADNMF"):
        model, params = _deep(method, setting)
        if model != "NMF":  # without an adversary there is nothing to freeze
            params |= {"attack": "alternating", "attack_every": setting.every or _DEEP_INNER}
        limits = {"max_iter": _DEEP_OUTER * _DEEP_INNER}
        return Recipe(
            model, {**params, **multiplicative, **limits}, start=("layers", _PRETRAINING), dtype=setting.dtype
        )
    return _with_true_mask(method, setting)


def _with_true_mask(method: str, setting: Setting) -> Recipe:
    """HQASD, DMF, and what knows pictures: as released is masked already."""
    if method == "HQASD":
        tolerances = {"switch_tol": 1e6, "tol": 1e-7} if setting.picture else {}
        return Recipe("HQASD", {"n_components": setting.rank, "max_iter": _ITERATIONS[method], **tolerances})
    if method == "DMF":
        sizes = {"n_components": setting.rank, "hidden": [5 * setting.rank]}
        return Recipe("DMF", {**sizes, "keep": "last", "max_iter": _ITERATIONS[method]})
    return Recipe(BIHARMONIC, {})


def _deep(method: str, setting: Setting) -> tuple[str, dict[str, Any]]:
    """Class and parameters; delta = infinity is ADNMF.  delta = 0 bounds no adversary: there is none then."""
    params: dict[str, Any] = {"n_components": list(setting.layers), **_ridge(setting)}
    if method == "EADNMF" and setting.delta == 0:
        return "NMF", {**params, "loss": "l21"}
    params["lam"] = setting.lam
    if method == "ADNMF" or setting.delta == float("inf"):
        return "ADNMF", params
    return "EADNMF", {**params, "delta": setting.delta}


def _ridge(setting: Setting) -> dict[str, float]:
    """ridge sum_l ||F_l||^2, in the released code with 1: alpha_W counts n_features times, alpha_H n_samples times."""
    n_samples, n_features = setting.shape
    return {"alpha_W": setting.ridge / n_features, "alpha_H": setting.ridge / n_samples}


# --- with true masks -------------------------------------------------------------------------------------------------


def _masked(method: str, setting: Setting) -> Recipe:
    limits = {"max_iter": setting.masked_iter, "tol": 1e-6}
    shallow = {"n_components": setting.rank, "alpha_W": 0.0, **limits}
    if method == "NMF":
        return Recipe("NMF", shallow)
    if method == "AT-NMF":
        return Recipe("ATNMF", {**shallow, "lam": setting.lam})
    if method == "ANMF":
        return Recipe("ANMF", {"n_components": setting.rank, "max_iter": _ITERATIONS[method]})
    if method in ("ADNMF", "EADNMF"):
        model, params = _deep(method, setting)
        return Recipe(model, {**params, **limits})
    return _with_true_mask(method, setting)


# --- tuned -----------------------------------------------------------------------------------------------------------

#: By method: the class and the space that is searched.
SEARCHED = {
    "NMF": ("NMF", "plain"),
    "ANMF": ("ANMF", "bilevel"),
    "AT-NMF": ("ATNMF", "adversary"),
    "HQASD": ("HQASD", "robust"),
    "DMF": ("DMF", "network"),
    "ADNMF": ("ADNMF", "deep+adversary"),
    "EADNMF": ("EADNMF", "deep+elastic+adversary"),
    # What the studies do not have: the parts of EADNMF by themselves.
    "Deep NMF": ("NMF", "deep"),
    "Elastic NMF": ("NMF", "elastic"),
    "Elastic deep NMF": ("NMF", "deep+elastic"),
    "Elastic AT-NMF": ("EADNMF", "elastic+adversary"),
}


def _tuned(method: str, setting: Setting) -> Recipe:
    if method == BIHARMONIC:
        return _with_true_mask(method, setting)
    factorised = {"max_iter": setting.tuned_iter, "tol": 1e-5}
    params = {"max_iter": _ITERATIONS[method]} if method in _ITERATIONS else factorised
    model, space = SEARCHED[method]
    return Recipe(model, params, unit_scale=True, space=space, candidates=setting.candidates)


PROTOCOLS: dict[str, Callable[[str, Setting], Recipe]] = {"published": _published, "masked": _masked, "tuned": _tuned}


def make_recipe(method: str, protocol: str, setting: Setting) -> Recipe:
    """The recipe of a method under a protocol."""
    return PROTOCOLS[protocol](method, setting)


def quickened(recipe: Recipe) -> Recipe:
    """The recipe with fewer iterations, a fair number of attacks among them, and fewer candidates."""
    params, start = dict(recipe.params), recipe.start
    if "max_iter" in params:
        share = min(1.0, _QUICK_ITERATIONS / params["max_iter"])
        params["max_iter"] = min(params["max_iter"], _QUICK_ITERATIONS)
        if "attack_every" in params:
            params["attack_every"] = max(1, round(share * params["attack_every"]))
    if start is not None:
        start = start[0], min(start[1], _QUICK_ITERATIONS // 2)
    return replace(recipe, params=params, start=start, candidates=min(recipe.candidates, _QUICK_CANDIDATES))
