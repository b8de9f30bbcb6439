"""The data of a run: a complete matrix, the mask of its observed entries, and corruptions of these."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.utils import Bunch

from .. import NMF, DataWarning, datasets
from .runs import Run

__all__ = ["CORRUPTIONS", "DATASETS", "load_input"]

Array = np.ndarray
Rng = np.random.RandomState
_PICTURES = ("img1", "img2", "img3", "img4")
# Share of the observed entries, or of the rows, that a corruption replaces.
_SHARE = 0.05


def load_input(run: Run) -> tuple[Array, Array]:
    """(X, complete; mask, True = observed) of a run, corrupted where its mask says so."""
    data = _load(run.dataset, run.seed if run.dataset in _DRAWN else 0)
    pattern, _, corruption = run.mask.partition("+")
    mask = _mask(run, pattern, data)
    if not corruption:
        return data.X, mask
    return CORRUPTIONS[corruption](data.X, mask, np.random.RandomState(run.seed))


def _mask(run: Run, pattern: str, data: Bunch) -> Array:
    if pattern == "released":
        return data.masks[run.fraction]
    if pattern == "uniform":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # empty rows are part of the task
            return datasets.make_missing(data.X, run.fraction, random_state=run.seed)
    return data.masks[pattern]


# --- data sets -------------------------------------------------------------------------------------------------------


def _picture(name: str) -> Bunch:
    """A picture as the matrix of its channels side by side, levels from 0 to 1, and the masks as such matrices."""
    from ..io.pictures import unfold

    data = datasets.fetch_inpainting_pictures()
    picture = data.pictures[name]
    masks = {key: unfold(np.repeat(mask[:, :, None], 3, axis=2)) for key, mask in data.masks.items()}
    return Bunch(X=unfold(picture / 255.0), masks=masks)


#: By name: the function that loads the data for a seed.  Only those of `_DRAWN` depend on the seed.
DATASETS: dict[str, Callable[[int], Bunch]] = {
    "synthetic": lambda seed: datasets.fetch_synthetic(),
    "synthetic-drawn": lambda seed: datasets.load_synthetic(random_state=seed),
    "cbcl": lambda seed: datasets.fetch_cbcl(),
    "moffet": lambda seed: datasets.fetch_moffet(),
    "madonna": lambda seed: datasets.fetch_madonna(),
    "mnist": lambda seed: datasets.fetch_mnist(random_state=seed),
    "fashion-mnist": lambda seed: datasets.fetch_fashion_mnist(random_state=seed),
    "ms-coco-2017": lambda seed: datasets.fetch_coco2017(),
    **{name: functools.partial(lambda name, seed: _picture(name), name) for name in _PICTURES},
}
_DRAWN = ("synthetic-drawn", "mnist", "fashion-mnist")


@functools.lru_cache(maxsize=2)
def _load(dataset: str, seed: int) -> Bunch:
    return DATASETS[dataset](seed)


# --- corruptions of observed entries; the missing ones stay as they are ----------------------------------------------


def outliers(X: Array, mask: Array, rng: Rng) -> tuple[Array, Array]:
    """One observed entry in twenty is replaced by a number between 0 and twice the largest."""
    hit = mask & (rng.random_sample(X.shape) < _SHARE)
    return np.where(hit, rng.uniform(0, 2 * X.max(), X.shape), X), mask


def rows(X: Array, mask: Array, rng: Rng) -> tuple[Array, Array]:
    """One row in twenty is replaced by random entries of X, all of them observed, as it cannot be completed."""
    hit = np.zeros((len(X), 1), bool)
    hit[rng.choice(len(X), max(1, round(_SHARE * len(X))), replace=False)] = True
    return np.where(hit, rng.choice(X[mask], X.shape), X), mask | hit


def attacked(X: Array, mask: Array, rng: Rng) -> tuple[Array, Array]:
    """X + max((X - P) / (lam - 1), -X) at lam = 2, where P is a completion by plain NMF of rank 5."""
    model = NMF(5, alpha_W=1e-3 * X[mask].mean(), random_state=rng.randint(2**31 - 1))
    P = model.fit(np.where(mask, X, np.nan)).reconstruct()
    return np.where(mask, np.maximum(2 * X - P, 0), X), mask


#: By name: (X, mask) with corrupted observed entries.
CORRUPTIONS: dict[str, Callable[[Array, Array, Rng], tuple[Array, Array]]] = {
    "outliers": outliers,
    "rows": rows,
    "attacked": attacked,
}
