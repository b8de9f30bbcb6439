"""What stands in a table is tested: it has cases in `cases.py`, and it is what its base class asks for."""

from __future__ import annotations

import csv
import pickle
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from advnmf import NMF
from advnmf import data as storages
from advnmf.adversaries import ADVERSARIES, Adversary, NoAdversary, get_adversary
from advnmf.data import ObservedData
from advnmf.engine.problem import Problem
from advnmf.losses import LOSSES, Loss, get_loss
from advnmf.penalties import NO_PENALTY
from advnmf.solvers import SOLVERS, Solver, get_solver
from cases import ADVERSARY_CASES, CENSORED, LOSS_CASES, STORAGES, all_adversaries, all_losses, censored, pairs, stored

PARTS = [case.loss for case in all_losses()] + [case.adversary for case in all_adversaries()] + [*SOLVERS.values()]


@pytest.mark.parametrize(("table", "cases"), [(LOSSES, LOSS_CASES), (ADVERSARIES, ADVERSARY_CASES)])
def test_every_entry_has_cases(table, cases):
    assert {cls for cls in table.values() if not cases.get(cls)} == set()
    assert all(name == cls.name for name, cls in table.items())
    assert all(type(vars(case)[kind]) is cls for cls in cases for case in cases[cls] for kind in list(vars(case))[:1])


def test_every_storage_has_cases():
    exported = {vars(storages)[name] for name in storages.__all__}
    known = {
        cls for cls in exported if isinstance(cls, type) and issubclass(cls, ObservedData) and cls is not ObservedData
    }
    tested = [stored(storage).data for storage in STORAGES] + [censored(storage).data for storage in CENSORED]
    assert set(map(type, tested)) >= {cls for cls in known if not cls.__abstractmethods__}


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_a_part_is_a_frozen_value(part):
    assert pickle.loads(pickle.dumps(part)) == part
    assert clone(part, safe=False) == part
    with pytest.raises(FrozenInstanceError):
        part.name = "another"
    for field in fields(part):
        with pytest.raises(FrozenInstanceError):
            setattr(part, field.name, None)


@pytest.mark.parametrize(("get", "table", "base"), [(get_loss, LOSSES, Loss), (get_solver, SOLVERS, Solver)])
def test_names_stand_for_objects(get, table, base):
    for name in table:
        assert get(name).name == name
        assert isinstance(get(name), base)
        assert get(get(name)) == get(name)
    with pytest.raises(ValueError, match=", ".join(f"'{name}'" for name in table)):
        get("no such name")


def test_adversaries_are_objects_or_none():
    assert get_adversary(None) == NoAdversary()
    for case in all_adversaries():
        assert get_adversary(case.adversary) is case.adversary
    with pytest.raises(ValueError, match="FrobeniusPenalty"):
        get_adversary("penalty")


@pytest.mark.parametrize(("loss", "adversary"), pairs(refused=True))
def test_a_refused_pair_is_refused_when_it_is_posed(loss, adversary):
    for pose in (
        lambda: Problem(stored("mask").data, loss.loss, adversary.adversary, (NO_PENALTY, NO_PENALTY)),
        lambda: NMF(2, loss=loss.loss, adversary=adversary.adversary).fit(np.ones((4, 3))),
    ):
        with pytest.raises(ValueError, match=r"must exceed|half-quadratic") as refused:
            pose()
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("base", [Loss, Adversary, Solver])
def test_bases_are_abstract(base):
    with pytest.raises(TypeError, match="abstract"):
        base()


def test_every_mutant_can_be_planted():
    """Their table names places in the source; it would rot where nobody runs it."""
    root = Path(__file__).parents[2]
    with open(root / "tests" / "tools" / "mutants.csv", encoding="utf-8", newline="") as stream:
        mutants = list(csv.DictReader(stream))
    assert len(mutants) > 40
    lost = [m for m in mutants if (root / "src" / "advnmf" / m["file"]).read_text("utf-8").count(m["old"]) != 1]
    assert lost == []
