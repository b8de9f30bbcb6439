"""The package as a whole: what importing it brings in."""

from __future__ import annotations

import subprocess
import sys

import pytest

import advnmf

# Not rich, pandas and pyarrow: scikit-learn imports them where they are installed.
OPTIONAL = {"rich_click", "click", "matplotlib", "PIL", "tifffile", "torch", "hypothesis", "pytest", "polars"}
OPTIONAL |= {"pooch", "requests", "tqdm", "spectral"}


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_models_need_no_optional_dependency():
    assert not modules_after("from advnmf import NMF, NMFImputer, read_triplets, save") & OPTIONAL


def test_displays_load_matplotlib_when_they_plot():
    assert "matplotlib" not in modules_after("from advnmf import CompletionDisplay, trace")


def test_data_sets_need_no_optional_dependency_before_they_are_fetched():
    assert not modules_after("from advnmf import datasets; datasets.load_synthetic()") & (OPTIONAL | {"numba"})


def test_import_alone_is_light():
    assert not modules_after("import advnmf") & (OPTIONAL | {"numba", "sklearn", "scipy", "numpy"})


@pytest.mark.parametrize("name", advnmf.__all__)
def test_public_names_are_there(name):
    assert getattr(advnmf, name).__doc__
    assert name in dir(advnmf)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        advnmf.nothing  # noqa: B018
