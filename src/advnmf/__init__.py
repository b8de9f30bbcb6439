"""advnmf: complete nonnegative matrices that have holes.

minimise over F_1, ..., F_L >= 0   max over R    sum over observed (i, j) of loss(X + R, F_1 ... F_L)  +  penalties

Names are imported on first use: scikit-learn and Numba take a second that ``import advnmf`` need not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import datasets, metrics, model_selection
    from .adversaries import FrobeniusPenalty
    from .inspection import CompletionDisplay, ComponentsDisplay, ConvergenceDisplay, SensitivityDisplay, trace
    from .io.model_file import load, save
    from .io.triplets import Triplets, read_triplets
    from .losses import L21, Correntropy, Elastic, Frobenius
    from .model_selection.auto import AutoNMF
    from .model_selection.auto.auto_imputer import AutoImputer
    from .model_selection.auto.imputer import NMFImputer
    from .models.base import DataWarning
    from .models.compared.anmf import ANMF
    from .models.compared.dmf import DMF
    from .models.compared.hqasd import HQASD
    from .models.nmf import NMF
    from .models.presets import ADNMF, ATNMF, EADNMF, DeepNMF

__version__ = "0.1.0"

__all__ = [
    "ADNMF",
    "ANMF",
    "ATNMF",
    "DMF",
    "EADNMF",
    "HQASD",
    "L21",
    "NMF",
    "AutoImputer",
    "AutoNMF",
    "CompletionDisplay",
    "ComponentsDisplay",
    "ConvergenceDisplay",
    "Correntropy",
    "DataWarning",
    "DeepNMF",
    "Elastic",
    "Frobenius",
    "FrobeniusPenalty",
    "NMFImputer",
    "SensitivityDisplay",
    "Triplets",
    "datasets",
    "load",
    "metrics",
    "model_selection",
    "read_triplets",
    "save",
    "trace",
]

_HOMES = {
    "adversaries": ["FrobeniusPenalty"],
    "inspection": ["CompletionDisplay", "ComponentsDisplay", "ConvergenceDisplay", "SensitivityDisplay", "trace"],
    "io.model_file": ["load", "save"],
    "io.triplets": ["Triplets", "read_triplets"],
    "losses": ["Correntropy", "L21", "Elastic", "Frobenius"],
    "model_selection.auto.auto_imputer": ["AutoImputer"],
    "models.base": ["DataWarning"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    from .models.registry import MODELS, model_class

    if name in MODELS:
        return model_class(name)
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in ("datasets", "metrics", "model_selection"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
