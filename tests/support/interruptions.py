"""Interruptions at any line of the package, and what must be true of a model after one."""

from __future__ import annotations

import sys
from typing import Self

import numpy as np


class InterruptAt:
    """A tracer that raises KeyboardInterrupt at the n-th line of this package that is run."""

    def __init__(self, at: int) -> None:
        self.at, self.lines = at, 0

    def __enter__(self) -> Self:
        self.before = sys.gettrace()
        sys.settrace(self.trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)

    def trace(self, frame: object, event: str, arg: object) -> object:
        if "advnmf" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                raise KeyboardInterrupt
        return self.trace


def valid_state(model: object, X: np.ndarray) -> None:
    """Whether the model is that of one fit: its arrays fit together, and it completes these data."""
    codes = model.transform(X)
    assert codes.shape == (len(X), model.n_components_)
    assert model.training_codes().shape[1] == model.n_components_
    assert model.loss_curve_.shape == (model.n_iter_ + 1,)
    assert model.reconstruct().shape[1] == X.shape[1] == model.n_features_in_
    assert np.isfinite(model.complete(X)).all()
