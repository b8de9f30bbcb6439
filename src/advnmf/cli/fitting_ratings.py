"""One fit to ratings on behalf of a command; what it predicts, as ratings."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from .. import NMF, AutoNMF
from ..io.triplets import Triplets
from ..models.base import DataWarning
from .fitting import fit_model, was_interrupted
from .options import Settings
from .progress import warnings_as_notes

Array = np.ndarray


@dataclass(frozen=True)
class RatingsFit:
    """A model fitted to ratings that were divided by `scale`, and how the fit went."""

    model: NMF | AutoNMF
    scale: float
    bounds: tuple[float, float]
    summary: str

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the fit."""
        return was_interrupted(self.model)

    def predict(self, row: Array, column: Array) -> Array:
        """Ratings of pairs (-1: unknown), within the range of the observed ones."""
        return self.in_units(self.model.predict_pairs(row, column, unseen="mean"))

    def in_units(self, predictions: Array) -> Array:
        """Predictions of the model as ratings."""
        return np.clip(predictions * self.scale, *self.bounds)


def fit_ratings(triplets: Triplets, settings: Settings, quiet: bool) -> RatingsFit:
    """`AutoNMF`, or NMF with offsets to ratings that are divided by their standard deviation: its ridge has no unit.

    Ctrl-C ends the fit with what it has; where it has nothing yet the KeyboardInterrupt goes on.
    """
    X = triplets.matrix
    scale = 1.0 if settings.model == "auto" else _scale(X.data)
    with warnings_as_notes(quiet):
        # The command names unknown users and items itself, by their labels in the file.
        warnings.simplefilter("ignore", DataWarning)
        model, summary = fit_model(X / scale, settings, quiet)
    return RatingsFit(model, scale, (float(X.data.min()), float(X.data.max())), summary)


def _scale(values: Array) -> float:
    """The standard deviation; the mean where all are equal, but for rounding."""
    deviation, mean = float(values.std()), float(values.mean())
    return deviation if deviation > 1e-6 * mean else mean or 1.0
