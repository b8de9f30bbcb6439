"""The package as a whole: what importing it brings in."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import advnmf

# Not rich, pandas and pyarrow: scikit-learn imports them where they are installed.
OPTIONAL = {"rich_click", "click", "matplotlib", "PIL", "tifffile", "torch", "hypothesis", "pytest", "polars"}
OPTIONAL |= {"array_api_compat", "pooch", "requests", "tqdm", "spectral"}


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


# --- what pyproject.toml says ----------------------------------------------------------------------------------------

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
NAMES = {"sklearn": "scikit-learn", "PIL": "pillow", "skimage": "scikit-image", "yaml": "pyyaml"}
# Frames of these are taken from those who have them.
USERS = {"pandas", "polars"}


def declared():
    """Name and lowest version of each dependency, in all groups."""
    read = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    groups = [read["dependencies"], *read["optional-dependencies"].values()]
    return [requirement.partition(">=")[::2] for group in groups for requirement in group if "[" not in requirement]


def imported():
    """Top names of all modules that the package imports, by statement, by `require` or by importlib."""
    called = {"require", "import_module", "importorskip"}
    for path in Path(advnmf.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                yield node.module.partition(".")[0]
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in called and isinstance(node.args[0].value, str):
                    yield node.args[0].value.partition(".")[0]


@pytest.mark.skipif(not PROJECT.exists(), reason="there is no pyproject.toml beside these tests")
def test_what_is_imported_is_declared():
    found = {NAMES.get(name, name) for name in imported()} - set(sys.stdlib_module_names) - USERS - {"advnmf", ""}
    known = {re.sub("[-_.]+", "-", name) for name, _ in declared()}
    assert {re.sub("[-_.]+", "-", name) for name in found} <= known
    assert {"numpy", "joblib", "llvmlite", "requests", "jinja2"} <= found  # the walk sees them


@pytest.mark.skipif(not PROJECT.exists(), reason="there is no pyproject.toml beside these tests")
def test_each_dependency_has_one_lowest_version():
    """So that `.ci/lowest` installs what each extra promises."""
    versions = {}
    for name, version in declared():
        assert re.fullmatch(r"[\d.]+", version), name
        assert versions.setdefault(name, version) == version
