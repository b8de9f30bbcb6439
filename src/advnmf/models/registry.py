"""The models, one line each: `advnmf`, model files and the command line take what they need from here.

A class is imported when it is asked for, so that this table costs nothing.
"""

from __future__ import annotations

from importlib import import_module

#: By class: its module within the package, and its name on the command line, if it has one.
MODELS: dict[str, tuple[str, str | None]] = {
    "NMF": ("models.nmf", "nmf"),
    "ATNMF": ("models.presets", "atnmf"),
    "DeepNMF": ("models.presets", "deep"),
    "ADNMF": ("models.presets", "adnmf"),
    "EADNMF": ("models.presets", "eadnmf"),
    "HQASD": ("models.compared.hqasd", "hqasd"),
    "DMF": ("models.compared.dmf", "dmf"),
    "ANMF": ("models.compared.anmf", "anmf"),
    "AutoNMF": ("model_selection.auto", "auto"),
    "NMFImputer": ("model_selection.auto.imputer", None),
}


def model_class(name: str) -> type:
    """The class of a name."""
    return getattr(import_module(f"...{MODELS[name][0]}", __name__), name)
