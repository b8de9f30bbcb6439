"""The data of a task: a complete matrix, and what of it is observed."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.utils import Bunch

from .. import DataWarning, datasets
from .corruptions import CORRUPTIONS
from .tasks import Task

__all__ = ["DATASETS", "instance"]

_PICTURES = ("img1", "img2", "img3", "img4")


def _picture(name: str) -> Bunch:
    """A picture as the matrix of its channels side by side, levels from 0 to 1, and the masks as such matrices."""
    from ..io.pictures import unfold

    data = datasets.fetch_inpainting_pictures()
    picture = data.pictures[name]
    masks = {key: unfold(np.repeat(mask[:, :, None], 3, axis=2)) for key, mask in data.masks.items()}
    return Bunch(X=unfold(picture / 255.0), masks=masks)


#: What gives the data of a run; only where images or the whole matrix are drawn do they depend on its number.
DATASETS: dict[str, Callable[[int], Bunch]] = {
    "synthetic": lambda run: datasets.fetch_synthetic(),
    "synthetic-drawn": lambda run: datasets.load_synthetic(random_state=run),
    "cbcl": lambda run: datasets.fetch_cbcl(),
    "moffet": lambda run: datasets.fetch_moffet(),
    "madonna": lambda run: datasets.fetch_madonna(),
    "mnist": lambda run: datasets.fetch_mnist(random_state=run),
    "fashion-mnist": lambda run: datasets.fetch_fashion_mnist(random_state=run),
    "ms-coco-2017": lambda run: datasets.fetch_coco2017(),
    **{name: functools.partial(lambda name, run: _picture(name), name) for name in _PICTURES},
}
_DRAWN = ("synthetic-drawn", "mnist", "fashion-mnist")


def instance(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """(X, complete; mask, True = observed).  Observed entries are wrong where the mask says so, see `CORRUPTIONS`."""
    data = _load(task.dataset, task.run if task.dataset in _DRAWN else 0)
    pattern, _, corruption = task.mask.partition("+")
    mask = _mask(task, pattern, data)
    if not corruption:
        return data.X, mask
    return CORRUPTIONS[corruption](data.X, mask, np.random.RandomState(task.run))


def _mask(task: Task, pattern: str, data: Bunch) -> np.ndarray:
    if pattern == "released":
        return data.masks[task.fraction]
    if pattern == "uniform":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # an empty row is part of what is to be met
            return datasets.make_missing(data.X, task.fraction, random_state=task.run)
    return data.masks[pattern]


@functools.lru_cache(maxsize=2)
def _load(dataset: str, run: int) -> Bunch:
    return DATASETS[dataset](run)
