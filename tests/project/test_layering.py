"""The rooms of the package: imports go one way, and what begins with an underscore stays at home."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import advnmf

PACKAGE = Path(advnmf.__file__).parent
CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"

# Lowest first.  A room imports from rooms that stand before it, and from itself; those of one line not from each other.
ORDER = [
    ["arrays"],
    ["kernels"],
    ["data"],
    ["metrics", "losses", "adversaries", "penalties"],
    ["engine"],
    ["solvers"],
    ["models"],
    ["model_selection"],
    ["io"],
    ["inspection"],
    ["datasets"],
    ["studies"],
    ["cli"],
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
# What stands above all rooms: the names of the package, and the program.
ROOT = {"__init__", "__main__"}


def modules(package: Path) -> Iterator[tuple[str, ast.Module]]:
    """(dotted name without that of the package, what it says) of each module; packages end in ``.__init__``."""
    for path in sorted(package.rglob("*.py")):
        yield ".".join(path.relative_to(package).with_suffix("").parts), ast.parse(path.read_text("utf-8"))


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, without the bodies of ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for other in node.orelse:
                yield from [other, *runtime_nodes(other)]
        else:
            yield from [node, *runtime_nodes(node)]


def imports(module: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) that is imported from this package at run time; the module without the name of the package."""
    for node in runtime_nodes(tree):
        if isinstance(node, ast.Import):
            names = [("", alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = ["advnmf", *module.split(".")][: -node.level] if node.level else []
            names = [(".".join([*parts, *(node.module or "").split(".")]).rstrip("."), a.name) for a in node.names]
        else:
            continue
        for source, name in names:
            top, _, rest = (source or name).partition(".")
            if top == "advnmf":
                yield rest, name


def room_of(module: str, name: str) -> str:
    """The room from which a name comes, "" for the package itself; its lazy names come from where they are defined."""
    room = module.partition(".")[0]
    if room or name in LEVEL:
        return room or name
    if name == "advnmf":
        return ""
    return getattr(getattr(advnmf, name), "__module__", "advnmf").partition(".")[2].partition(".")[0]


def upward(package: Path) -> list[str]:
    """Imports that go up the order, or between rooms of one level."""
    found = []
    for module, tree in modules(package):
        own = module.partition(".")[0]
        for source, name in imports(module, tree):
            room = room_of(source, name)
            if own not in ROOT and room not in ("", own) and LEVEL[room] >= LEVEL[own]:
                found.append(f"{module} imports {name} from {source or 'the package'}")
    return found


def test_imports_go_down():
    assert upward(PACKAGE) == []


def test_each_room_has_its_place():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - ROOT == set(LEVEL)


@pytest.mark.skipif(not CONTRIBUTING.exists(), reason="there is no CONTRIBUTING.md beside these tests")
def test_the_order_is_the_one_that_contributors_read():
    (line,) = re.findall(r"^ +(arrays < [\w ,<]+)$", CONTRIBUTING.read_text("utf-8"), re.MULTILINE)
    assert [level.split(", ") for level in line.split(" < ")] == ORDER


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in {"_", "_fields", "_replace", "_asdict"}


def own_names(tree: ast.Module) -> set[str]:
    """What the classes of a module define: methods, fields, attributes of self."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names |= {node.attr} if ast.unparse(node.value) == "self" else set()
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def reaches(package: Path) -> set[tuple[str, str]]:
    """(module, name) wherever a module uses a name with an underscore that is neither self's nor its own."""
    found = set()
    for module, tree in modules(package):
        own = own_names(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and private(node.attr) and node.attr not in own:
                if ast.unparse(node.value) not in ("self", "cls", "super()"):
                    found.add((module, node.attr))
            elif isinstance(node, ast.ImportFrom):
                found |= {(module, alias.name) for alias in node.names if private(alias.name)}
    return found


def test_underscores_stay_at_home():
    assert reaches(PACKAGE) == set(), "make the name public, or do without it"


# --- the checks notice what they are for ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("arrays/a.py", "from ..data import base"),
        ("arrays/a.py", "from .. import NMF"),
        ("arrays/a.py", "import advnmf.models.nmf"),
        ("losses.py", "from advnmf import metrics"),
        ("losses.py", "def f():\n    from .engine.loop import iterate"),
        ("models/compared/a.py", "from ...cli import app"),
    ],
)
def test_an_import_upwards_is_found(tmp_path, path, line):
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line)
    assert len(upward(tmp_path)) == 1
    file.write_text(f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {line.splitlines()[-1].strip()}")
    assert upward(tmp_path) == []


def test_imports_downwards_pass(tmp_path):
    (tmp_path / "cli.py").write_text("from . import __version__, NMF, losses\nfrom .studies import run\nimport numpy")
    assert upward(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("model._codes()", {("a", "_codes")}),
        ("def f(model):\n    model._state = 1", {("a", "_state")}),
        ("class A:\n    def f(self, other):\n        return self._x + super()._y + other._f", {("a", "_f")}),
        ("class A:\n    def _f(self, other):\n        return other._f()", set()),
        ("from .b import _hidden", {("a", "_hidden")}),
    ],
)
def test_a_reach_is_found(tmp_path, code, found):
    (tmp_path / "a.py").write_text(code)
    assert reaches(tmp_path) == found
