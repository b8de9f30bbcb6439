"""Fixtures of the command line's tests."""

from __future__ import annotations

from functools import partial

import pytest

from advnmf import AutoImputer, AutoNMF


@pytest.fixture
def brief_search(monkeypatch) -> None:
    """Commands that choose look at four candidates only, or blend two imputers."""
    monkeypatch.setattr("advnmf.cli.fitting.AutoNMF", partial(AutoNMF, max_candidates=4))
    blend = partial(AutoImputer, candidates=["KNN", "IterativeImputer"])
    monkeypatch.setattr("advnmf.cli.fitting.AutoImputer", blend)


@pytest.fixture
def whole_search() -> None:
    """Commands that choose look at as many as they do for users."""
