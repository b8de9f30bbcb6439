"""The package as a whole: what importing it brings in."""

from __future__ import annotations

import subprocess
import sys

import pytest

import advnmf

# Not rich: scikit-learn imports it where it is installed.
OPTIONAL = {"rich_click", "click", "matplotlib", "PIL", "tifffile", "torch", "array_api_compat", "hypothesis", "pytest"}


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_models_need_no_optional_dependency():
    assert not modules_after("from advnmf import NMF, NMFImputer, save") & OPTIONAL


def test_import_alone_is_light():
    assert not modules_after("import advnmf") & (OPTIONAL | {"numba", "sklearn", "scipy", "numpy"})


@pytest.mark.parametrize("name", advnmf.__all__)
def test_public_names_are_there(name):
    assert getattr(advnmf, name).__doc__
    assert name in dir(advnmf)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        advnmf.nothing  # noqa: B018
