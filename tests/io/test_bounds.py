"""Cells such as <0.05 and >200: a bound in the matrix, and the very same text in the file."""

from __future__ import annotations

import numpy as np
import pytest

from advnmf.io.files import FileError
from advnmf.io.tables import bounds_missing, read_table, write_table
from advnmf.io.tables.bounds import bound_of
from advnmf.io.tables.numbers import Signs


def read(tmp_path, text, **options):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path, **options)


@pytest.mark.parametrize(
    ("text", "value", "side"),
    [
        *[("<0.05", 0.05, -1), ("< 0.05", 0.05, -1), ('"<0.05"', 0.05, -1), (" <.5 ", 0.5, -1), ("<1e-3", 0.001, -1)],
        *[("<=2", 2, -1), ("≤2", 2, -1), (">200", 200, 1), (">= 200", 200, 1), ("≥200", 200, 1), ("<-5", -5, -1)],
        *[("<LOD 0.05", 0.05, -1), ("<LOD(0.05)", 0.05, -1), ("ND<0.05", 0.05, -1), ("n.d. <0.05", 0.05, -1)],
    ],
)
def test_what_gives_a_bound(text, value, side):
    assert bound_of(text, Signs()) == (value, side)


@pytest.mark.parametrize(
    "text",
    ["0.05", "", "<", "<LOD", "<5>", "<18-65", "<0.05 mg", "a<5", "<a", "<(5", "<inf", "<nan", "<1_0", "5<", "<<5"],
)
def test_what_gives_none(text):
    assert bound_of(text, Signs()) is None


def test_bounds_are_written_with_the_signs_of_the_table(tmp_path):
    assert bound_of("<0,05", Signs(",")) == (0.05, -1)
    assert bound_of("<0,05", Signs()) is None
    assert bound_of(">1,234.5", Signs(".", ",")) == (1234.5, 1)
    table = read(tmp_path, "Pb;Cd\n<0,05;1,2\n0,12;< 0,5\n;>200\n0,31;ND\n;3\n")
    expected = [[0.05, 1.2], [0.12, 0.5], [np.nan, 200], [0.31, np.nan], [np.nan, 3]]
    np.testing.assert_array_equal(table.values, expected)
    np.testing.assert_array_equal(table.censored, [["<", ""], ["", "<"], ["", ">"], ["", ""], ["", ""]])
    # A comma that stands in bounds alone tells, too.
    table = read(tmp_path, "Pb;Cd\n<0,05;1\n2;<0,5\n3;4\n")
    np.testing.assert_array_equal(table.values, [[0.05, 1], [2, 0.5], [3, 4]])


def test_cells_with_bounds_come_back_as_they_are_unless_estimates_are_asked_for(tmp_path):
    table = read(tmp_path, 'site,Pb,Cd\na,"<0.05",1.2\nb,0.12,\nc,0.31,2.0\n')
    write_table(tmp_path / "b.csv", table, np.full((3, 2), 0.5))
    assert (tmp_path / "b.csv").read_text() == 'site,Pb,Cd\na,"<0.05",1.2\nb,0.12,0.5\nc,0.31,2.0\n'
    write_table(tmp_path / "c.csv", bounds_missing(table), np.full((3, 2), 0.02))
    assert (tmp_path / "c.csv").read_text() == "site,Pb,Cd\na,0.02,1.2\nb,0.12,0.0\nc,0.31,2.0\n"
    assert read(tmp_path, "a,b\n1,2\n3,\n").censored is None


def test_bounds_in_the_first_rows_are_data(tmp_path):
    for text in (
        "Pb,Cd\n<0.05,<0.1\n0.12,0.3\n0.2,0.4\n",
        "<0.05,<0.1\n0.12,0.3\n0.2,0.4\n",
        "<0.05,0.1\n0.12,0.3\n0.2,1\n",
    ):
        table = read(tmp_path, text)
        assert table.values.shape == (3, 2), text
        assert table.censored[0, 0] == "<"


def test_groups_are_no_bounds(tmp_path):
    table = read(tmp_path, "size,x,y\n<5,1,2\n>5,3,\n<5,5,7\n>5,1,2\n")
    assert table.names == ("x", "y")
    assert table.censored is None
    with pytest.raises(FileError, match="is not a number: 'oops'"):
        read(tmp_path, "x,y\n<5,1\n7,3\n8,5\n9,2\noops,2\n")
