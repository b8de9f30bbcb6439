"""What modules and models may know of one another: public names, one registry, one signature."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import advnmf
from advnmf import ADNMF, ATNMF, EADNMF, NMF, DeepNMF
from advnmf.adversaries import FrobeniusPenalty
from advnmf.cli import options
from advnmf.losses import Elastic
from advnmf.models.presets import preset
from advnmf.models.registry import MODELS, model_class

# --- private names ---------------------------------------------------------------------------------------------------

# Public methods of named tuples, and what scikit-learn asks of a transformer.
PUBLIC = {"_fields", "_asdict", "_replace"}
OWN = {"self", "cls", "super"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def reached(source):
    """Private names of other modules that a module reads."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)} | PUBLIC
    own |= {node.id for node in nodes if isinstance(node, ast.Name)}
    own |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.Attribute):
            owner = node.value.func if isinstance(node.value, ast.Call) else node.value
            if is_private(node.attr) and node.attr not in own and getattr(owner, "id", "") not in OWN:
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.level + (node.module or "").startswith("advnmf"):
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant) and is_private(name.value) and name.value not in own:
                yield name.value


@pytest.mark.parametrize("path", sorted(Path(advnmf.__file__).parent.rglob("*.py")), ids=lambda path: path.stem)
def test_no_module_reads_private_names_of_another(path):
    assert not list(reached(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "line", ["model._fit(X)", "from .nmf import _scale", "hasattr(model, '_steps')", "found.best._codes()", "f()._x"]
)
def test_a_private_name_of_another_module_is_seen(line):
    assert list(reached(line))


# --- one registry ----------------------------------------------------------------------------------------------------


def test_every_model_is_in_the_registry_and_public():
    assert set(MODELS) <= set(advnmf.__all__)
    classes = {name: getattr(advnmf, name) for name in advnmf.__all__}
    models = {name for name, cls in classes.items() if hasattr(cls, "fitted_rules")}
    assert models == set(MODELS)
    assert all(model_class(name) is classes[name] for name in MODELS)


def test_the_command_line_has_the_models_of_the_registry():
    assert {command: cls.__name__ for command, cls in options.MODELS.items()} == {
        command: name for name, (_, command) in MODELS.items() if command is not None
    }


# --- presets ---------------------------------------------------------------------------------------------------------

# By preset: its own parameters, and those of NMF that they stand for.
PRESETS = {
    ATNMF: ({"lam"}, {"adversary"}),
    DeepNMF: (set(), set()),
    ADNMF: ({"lam"}, {"adversary"}),
    EADNMF: ({"lam", "delta"}, {"adversary", "loss"}),
}


@pytest.mark.parametrize("cls", PRESETS)
def test_presets_have_every_parameter_of_nmf(cls):
    own, replaced = PRESETS[cls]
    expected = set(inspect.signature(NMF).parameters) - replaced | own
    signature = inspect.signature(cls)
    assert set(signature.parameters) == expected == set(cls().get_params())
    assert {name: each.default for name, each in signature.parameters.items()} == cls().get_params()
    assert next(iter(signature.parameters)) == "n_components"


@pytest.mark.parametrize("cls", PRESETS)
def test_presets_take_what_nmf_takes(cls):
    given = {"alpha_scale": "observed", "biases": True, "n_components": 2, "max_iter": 3, "tol": 0, "random_state": 0}
    model = clone(cls(**given))
    assert {name: model.get_params()[name] for name in given} == given
    X = np.random.default_rng(0).random((12, 7))
    loss = {} if cls is EADNMF else {"loss": "frobenius"}
    loss = {"loss": Elastic(model.delta)} if cls is EADNMF else loss
    adversary = FrobeniusPenalty(model.lam) if hasattr(model, "lam") else None
    plain = NMF(**given, adversary=adversary, **loss)
    np.testing.assert_array_equal(model.fit(X).reconstruct(), plain.fit(X).reconstruct())


def test_a_new_parameter_of_nmf_is_one_of_a_preset(monkeypatch):
    def with_more(self, n_components=10, *, adversary=None, penalty_of_tests: float = 1.5):
        """As NMF may be one day."""

    monkeypatch.setattr(NMF, "__init__", with_more)

    @preset(lam=3.0, n_components=4)
    class Later(NMF):
        """A preset of that day."""

        adversary = ATNMF.adversary

    shown = "(n_components=4, *, lam: 'float' = 3.0, penalty_of_tests: 'float' = 1.5) -> 'None'"
    assert str(inspect.signature(Later)) == shown
    assert Later(5, penalty_of_tests=2.0).get_params() == {"n_components": 5, "lam": 3.0, "penalty_of_tests": 2.0}


def test_presets_refuse_what_they_compute():
    with pytest.raises(TypeError, match=r"EADNMF\(\) got an unexpected keyword argument 'loss'"):
        EADNMF(loss="l21")
    assert ATNMF(lam=3.0).set_params(lam=5.0).adversary == FrobeniusPenalty(5.0)
