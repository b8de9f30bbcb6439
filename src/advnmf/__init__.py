"""advnmf: complete nonnegative matrices that have holes.

minimise over F_1, ..., F_L >= 0   max over R    sum over observed (i, j) of loss(X + R, F_1 ... F_L)  +  penalties
"""

from __future__ import annotations

from . import metrics
from .adversaries import FrobeniusPenalty
from .imputer import NMFImputer
from .losses import L21, Elastic, Frobenius
from .models import NMF, DataWarning
from .persistence import load, save
from .presets import ADNMF, ATNMF, EADNMF, DeepNMF

__version__ = "0.1.0"

__all__ = [
    "ADNMF",
    "ATNMF",
    "EADNMF",
    "L21",
    "NMF",
    "DataWarning",
    "DeepNMF",
    "Elastic",
    "Frobenius",
    "FrobeniusPenalty",
    "NMFImputer",
    "load",
    "metrics",
    "save",
]
