"""`advnmf complete` on a table of several units: the blend, standard deviations and the page."""

import csv

import numpy as np
import pytest

from commands import refused, run


@pytest.fixture
def table(tmp_path):
    """Columns of units far apart, some below zero, beside text; one name is a tag of HTML."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 3)) + 0.1 * rng.normal(size=(40, 3))
    rows = [[f"s{i}", f"{1013 + 5 * a:.2f}", f"{b:.3f}", f"{1e4 * c:.0f}"] for i, (a, b, c) in enumerate(Z)]
    for i in range(0, 40, 7):
        rows[i][1 + i % 3] = ""
    path = tmp_path / "in.csv"
    path.write_text("\n".join(",".join(row) for row in [["who", "hPa", "<b>t</b>", "n"], *rows]) + "\n")
    return path


@pytest.mark.usefixtures("brief_search")
def test_the_blend_is_the_default_and_writes_what_is_asked(table):
    out, std, page = (table.with_name(name) for name in ("out.csv", "std.csv", "page.html"))
    told = run("complete", table, out, "--std", std, "--report", page).stderr
    assert "blend: " in told
    assert "column mean 1.0" in told
    assert "typical errors of filled cells: " in told
    before, after, errors = (list(csv.reader(path.read_text().splitlines())) for path in (table, out, std))
    for old, new, error in zip(before[1:], after[1:], errors[1:], strict=True):
        assert [b for a, b in zip(old, new, strict=True) if a] == [a for a in old if a]
        assert error[0] == old[0]
        assert [float(e) > 0 for e in error[1:]] == [cell == "" for cell in old[1:]]
    text = page.read_text()
    assert "<b>t</b>" not in text
    assert "&lt;b&gt;t&lt;/b&gt;" in text
    assert text.count("data:image/png") == 2
    assert "http" not in text.replace("http-equiv", "")


def test_errors_need_held_out_values(table):
    out, std = table.with_name("out.csv"), table.with_name("std.csv")
    assert "--std needs held-out values" in refused("complete", table, out, "--std", std, "--model", "hqasd")
    assert "is OUT as well" in refused("complete", table, out, "--report", out)
