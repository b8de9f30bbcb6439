"""One registry of models, and presets with the parameters of `NMF`."""

from __future__ import annotations

import inspect

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
