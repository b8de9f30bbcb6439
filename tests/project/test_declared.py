"""What the source imports is what pyproject.toml declares: for all who install the package, or for an extra."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import advnmf
from advnmf import metrics, model_selection

PACKAGE = Path(advnmf.__file__).parent
PROJECT = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text("utf-8"))["project"]
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "skimage": "scikit-image"}
# Data frames are those of the user; polars reads parquet files too where pyarrow is not there.
OF_THE_USER = {"pandas", "polars"}
# Versions of urllib3 before 2 take a download that broke off for a whole one; tensors are those of the user.
NOT_IMPORTED = {"urllib3", "torch"}
# What a room may import as it is loaded, beside the dependencies; elsewhere an import waits until it is needed.
ROOMS = {"cli": "cli"}


def closure(extra: str) -> set[str]:
    """The distributions that an extra brings, those of the extras that it names included."""
    found = set()
    for requirement in PROJECT["optional-dependencies"][extra]:
        name, extras = re.match(r"([\w.-]+)(?:\[([\w,-]+)\])?", requirement).groups()
        found |= set().union(*map(closure, extras.split(","))) if name == "advnmf" else {name}
    return found


DEPENDENCIES = {re.match(r"[\w.-]+", requirement)[0] for requirement in PROJECT["dependencies"]}
EXTRAS = {extra: closure(extra) for extra in PROJECT["optional-dependencies"] if not extra.startswith("test")}


def distribution(module: str) -> str:
    top = module.partition(".")[0]
    return DISTRIBUTIONS.get(top, top.replace("_", "-"))


def is_foreign(module: str) -> bool:
    return module.partition(".")[0] not in {*sys.stdlib_module_names, "advnmf"}


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """(module, whether it is imported as the file is loaded) for what is not of the standard library."""
    inside = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.Lambda) for n in ast.walk(f)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        for name in names:
            if is_foreign(name) and not name.startswith("."):
                yield name, id(node) not in inside


def required(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, extra that the message names) of the calls of `require`."""
    constants = {
        node.targets[0].id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "require":
            module, *extra = node.args
            # f"PIL.{name}" begins by what matters.
            text = module.values[0].value if isinstance(module, ast.JoinedStr) else module.value
            yield text, "cli" if not extra else getattr(extra[0], "value", None) or constants[extra[0].id]


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_are_declared(path):
    room, tree = path.relative_to(PACKAGE).parts[0], ast.parse(path.read_text("utf-8"))
    at_once = DEPENDENCIES | EXTRAS.get(ROOMS.get(room, ""), set())
    in_time = at_once.union(*EXTRAS.values(), OF_THE_USER)
    alone = path.name.endswith("_child.py")  # a program that is started when it is needed
    for module, loaded in imports(tree):
        assert distribution(module) in (at_once if loaded and not alone else in_time), (
            f"{module} is imported and not declared"
        )
    for module, extra in required(tree):
        assert distribution(module) in EXTRAS[extra], f"{module} does not come with advnmf[{extra}]"


def test_what_is_declared_is_imported():
    trees = [ast.parse(path.read_text("utf-8")) for path in FILES]
    used = {distribution(module) for tree in trees for module, _ in (*imports(tree), *required(tree))}
    declared = DEPENDENCIES.union(*EXTRAS.values())
    assert declared - used == NOT_IMPORTED


def test_the_typed_client_uses_every_public_name():
    """What `.ci/run` checks the types of."""
    client = Path(__file__).parents[1].joinpath("typing_client.py").read_text("utf-8")
    names = {*advnmf.__all__, *metrics.__all__, *model_selection.__all__}
    assert {name for name in names if not re.search(rf"\b{name}\b", client)} == set()
