"""`advnmf complete` on tables with cells such as <0.05."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from commands import refused, run

BOUND = 3.0


@pytest.fixture
def table(tmp_path):
    """A table of rank one, below whose limit a cell in four lies, with some empty cells."""
    rng = np.random.default_rng(0)
    X = np.outer(rng.uniform(1, 9, 24), [1, 0.5, 2, 3])
    cells = np.where((X < BOUND) & (np.arange(4) < 2), f"<{BOUND}", np.char.mod("%.2f", X))
    cells[::5, 3] = ""
    path = tmp_path / "in.csv"
    path.write_text("As,Cd,Pb,Zn\n" + "\n".join(",".join(row) for row in cells) + "\n", encoding="utf-8")
    return path, X, cells


def cells_of(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return np.array(list(csv.reader(stream))[1:])


@pytest.mark.parametrize("options", [["--rank", "1"], ["--model", "auto", "--time-limit", "2"]], ids=["rank", "auto"])
def test_bounds_are_used_and_stay(table, tmp_path, brief_search, options):
    path, X, cells = table
    result = run("complete", path, tmp_path / "out.csv", *options)
    assert "cells such as <0.05 or >200: Cd" in result.stderr
    found = cells_of(tmp_path / "out.csv")
    np.testing.assert_array_equal(found[cells != ""], cells[cells != ""])
    holes = cells == ""
    np.testing.assert_allclose(found[holes].astype(float), X[holes], rtol=0.1)


def test_bounds_are_filled_on_demand(table, tmp_path):
    path, X, cells = table
    run("complete", path, tmp_path / "out.csv", "--rank", "1", "--fill-censored")
    found, censored = cells_of(tmp_path / "out.csv"), np.char.startswith(cells, "<")
    filled = found[censored].astype(float)
    assert (filled <= BOUND).all()
    np.testing.assert_allclose(filled, X[censored], rtol=0.15, atol=0.02)
    measured = (cells != "") & ~censored
    np.testing.assert_array_equal(found[measured], cells[measured])


def test_nothing_missing_but_bounds(table, tmp_path):
    path, _, cells = table
    kept = tmp_path / "whole.csv"
    kept.write_text("\n".join(line for line in path.read_text().splitlines() if not line.endswith(",")) + "\n")
    run("complete", kept, tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_bytes() == kept.read_bytes()
    run("complete", kept, tmp_path / "filled.csv", "--rank", "1", "--fill-censored")
    assert "<" not in (tmp_path / "filled.csv").read_text()
    assert (cells != "").any()


def test_models_that_do_not_know_bounds_are_refused(table, tmp_path):
    path, *_ = table
    assert "which HQASD does not take: leave out --model" in refused(
        "complete", path, tmp_path / "out.csv", "--model", "hqasd", "--rank", "1"
    )
