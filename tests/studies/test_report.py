"""The report: what it says of rows that are known, what it says of rows that are not there."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from advnmf.cli.app import program
from advnmf.io.files import FileError
from advnmf.studies import (
    HYPER_PARAMETERS,
    Result,
    Store,
    plan,
    printed_values,
    read_results,
    variant_distances,
    write_report,
)
from advnmf.studies.summaries import collect


class Page(HTMLParser):
    """Tables by the label of their box, as rows of (classes, text); pictures; identifiers and links; all text."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.pictures, self.identifiers, self.links, self.text = {}, [], set(), set(), ""
        self._open, self._cell = [], None
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in ("meta", "img"):
            self.pictures += [attrs["src"]] if tag == "img" else []
            return
        self._open.append(tag)
        self.identifiers |= {attrs["id"]} if "id" in attrs else set()
        self.links |= {attrs["href"]} if "href" in attrs else set()
        if attrs.get("class") == "box":
            self._rows = self.tables.setdefault(attrs["aria-label"], [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = ["", attrs.get("class") or ""]
        elif self._cell is not None:
            self._cell[0] += {"b": "**", "small": "; "}.get(tag, "")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag in ("td", "th"):
            text, kind = self._cell
            self._rows[-1].append((text.strip(), kind))
            self._cell = None
        elif tag == "b" and self._cell is not None:
            self._cell[0] += "**"

    def handle_data(self, data):
        if "style" in self._open:
            return
        self.text += data
        if self._cell is not None:
            self._cell[0] += data

    def line(self, table, head):
        """The texts of the row that begins so, without the words at its head; the printed ones of the next row."""
        rows = self.tables[table]
        at = next(k for k, row in enumerate(rows) if row[0][0] == head)
        return [cell for cell in rows[at][1:] if cell[1] != "source"], [cell[0] for cell in rows[at + 1][1:]]


def keep(folder, tasks, rmse=1.0, arrays=None, **changes):
    """Rows of tasks as if they had been run; ``rmse`` is a number, or a function of the task."""
    store = Store(folder)
    for task in tasks:
        error = rmse(task) if callable(rmse) else rmse
        row = Result.of(task, rmse=error, mae=error / 2, seconds=2.0, n_iter=5, stop_reason="max_iter")
        store.append(replace(row, **changes), arrays(task) if arrays else None)
    return folder


def page_of(folder, **options):
    """The page of a folder of results, taken apart."""
    page = Page(write_report(folder, **options)[0].read_text(encoding="utf-8"))
    assert {link.removeprefix("#") for link in page.links} <= page.identifiers
    return page


def lines_of(file):
    """A .csv as dicts."""
    return list(csv.DictReader(io.StringIO(file.read_text())))


@pytest.fixture
def table2(tmp_path):
    """Three runs of two methods on two fractions of Table 2: NMF as printed, AT-NMF not; its last run is better."""
    errors = {"NMF": 5.36, "AT-NMF": 4.9}
    tasks = plan("table2", methods=list(errors), missing=[0.3, 0.5])
    return keep(tmp_path, tasks, lambda task: errors[task.method] + (task.fraction == 0.5) - 0.02 * task.seed)


# --- tables ----------------------------------------------------------------------------------------------------------


def test_cells_stand_beside_what_was_printed(table2):
    page = page_of(table2)
    label = "table2 synthetic published"
    assert [head for head, _ in page.tables[label][0]] == ["missing", "", *(f"0.{k}" for k in range(3, 10))]
    found, printed = page.line(label, "NMF")
    assert found[0] == ("5.340 ✓; ±0.02, 3 runs", "agrees")
    assert found[1:3] == [("not run", "missing"), ("6.340 ✓; ±0.02, 3 runs", "agrees")]
    assert printed[:2] == ["5.37 ±0.02", "5.62 ±0.03"]
    found, printed = page.line(label, "AT-NMF")
    assert found[0] == ("**4.880** ✗; ±0.02, 3 runs", "differs")
    assert printed[0] == "5.41 ±0.12"
    assert page.line(label, "EADNMF") == ([("not run", "missing")] * 7, page.line(label, "EADNMF")[1])
    assert page.line(label, "ADNMF")[1][0] == "**0.42** ±0.04"


def test_only_the_published_protocol_is_asked_whether_it_agrees(table2):
    keep(table2, plan("table2", ["masked"], methods=["NMF"], missing=[0.3], runs=1), 5.37)
    page = page_of(table2)
    assert page.line("table2 synthetic masked", "NMF")[0][0] == ("5.370; 1 run", "")
    assert "Not run: synthetic, tuned." in page.text


def test_winners(table2):
    keep(table2, plan("table2", ["tuned"], missing=[0.3], runs=1), lambda task: len(task.method) + 0.5)
    rows = [[text for text, _ in row] for row in page_of(table2).tables["winners"]]
    assert rows[0][2:] == [f"0.{k}" for k in range(3, 10)]
    assert rows[1][:3] == ["table2, synthetic", "print", "ADNMF = EADNMF; 0.42"]
    assert rows[2][:4] == ["published", "AT-NMF; 4.880, of 2", "not run", "AT-NMF; 5.880, of 2"]
    assert rows[3][0] == "masked"
    assert set(rows[3][1:]) == {"not run"}
    assert rows[4][:3] == ["tuned", "NMF = DMF; 3.500", "not run"]


def test_methods_without_printed_figures_and_masks_by_name(tmp_path):
    tasks = plan("table9", methods=["EADNMF", "Biharmonic"], runs=1)
    page = page_of(keep(tmp_path, [task for task in tasks if task.dataset == "img1"], 0.02))
    rows = page.tables["table9 img1 published"]
    assert [text for text, _ in rows[0][2:]] == ["random50", "text_small", "text_large"]
    assert [text for text, _ in rows[-1]] == ["Biharmonic", "here", *["**0.02000**; 1 run"] * 3]
    assert "Not run: img1, masked; img1, tuned; img2, published;" in page.text


def test_csv_has_a_line_for_each_cell(table2):
    write_report(table2)
    lines = lines_of(table2 / "report" / "table2.csv")
    assert len(lines) == 4
    first = lines[0]
    assert (first["method"], first["fraction"], first["n_runs"], first["agrees"]) == ("NMF", "0.3", "3", "True")
    assert float(first["rmse_mean"]) == pytest.approx(5.34)
    assert float(first["mae_std"]) == pytest.approx(0.01)
    assert (first["printed_mean"], first["printed_std"]) == ("5.37", "0.02")
    assert [line["agrees"] for line in lines if line["method"] == "AT-NMF"] == ["False", "False"]


# --- which rows are told ---------------------------------------------------------------------------------------------


def test_quick_rows_are_told_where_there_are_no_others(tmp_path):
    quick = plan("table2", methods=["NMF"], quick=True)
    page = page_of(keep(tmp_path, quick, 9.0))
    assert "Quick runs" in page.text
    assert page.line("table2 synthetic published", "NMF")[0][0][0] == "9.000 ✗; 1 run"
    page = page_of(keep(tmp_path, plan("table2", methods=["NMF"], missing=[0.5], runs=1), 6.41), overwrite=True)
    assert "Quick runs" not in page.text
    assert [text for text, _ in page.line("table2 synthetic published", "NMF")[0][:3]] == [
        "not run",
        "not run",
        "6.410 ✓; 1 run",
    ]
    assert [text for text, _ in page.tables["effort"][1]] == ["table2", "1", "2.0", "0.1.0", "2"]


def test_only_the_last_settings_are_told(tmp_path):
    tasks = plan("table2", methods=["NMF"], missing=[0.3], runs=2)
    keep(tmp_path, tasks, 9.0, setup="earlier", key="earlier")
    page = page_of(keep(tmp_path, tasks, 5.37))
    assert page.line("table2 synthetic published", "NMF")[0][0][0] == "5.370 ✓; ±0, 2 runs"
    assert [text for text, _ in page.tables["effort"][1]][1::3] == ["2", "2"]


def test_targets_and_names_of_others(tmp_path):
    """Rows of a target that is no longer there are named; names are text, not markup."""
    tasks = plan("table2", methods=["NMF"], missing=[0.3], runs=1)
    keep(tmp_path, tasks, experiment="table<0>")
    page = page_of(keep(tmp_path, tasks, method="<i>mine</i> & yours", key="mine"))
    assert "does not know them: table<0>." in page.text
    found, _ = page.line("table2 synthetic published", "EADNMF")
    assert found[0][0] == "not run"
    rows = page.tables["table2 synthetic published"]
    assert [text for text, _ in rows[-1]][:3] == ["<i>mine</i> & yours", "here", "1.000; 1 run"]


HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'><b>", "{{ 7 * 7 }}", "$\\frac{", "[/red]")
TAGS = "html head meta title style body h1 h2 h3 p dl dt dd em b span nav ul li a section div table thead tbody tr th"
TAGS += " td small figure img figcaption details summary"
ATTRIBUTES = "id class href src alt width height title scope rowspan tabindex role lang charset name aria-label content"
ATTRIBUTES += " http-equiv"


class Strict(HTMLParser):
    """Tags, attributes and texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts = set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def hostile(words):
    """What replaces all text of a row that is shown where its target and protocol are known."""
    named = {words: words, "nested": {words: [words]}}
    same = dict.fromkeys(("dataset", "mask", "method", "stop_reason", "version", "setup", "key", "measurement"), words)
    settings = {"model": words, "params": named, "space": words}
    return {**same, "config": settings, "options": named, "point": named, "tuned": named}


@pytest.mark.parametrize("target", ["table2", "ablation-synthetic", "fig7", "parts", "unknown"])
def test_no_value_of_a_row_is_markup(tmp_path, target):
    known = "table2" if target == "unknown" else target
    tasks = plan(known, ["published", "tuned"], runs=1)[:3]
    keep(tmp_path, tasks)
    for words in HOSTILE:
        named = {"experiment": words, "protocol": words} if target == "unknown" else {}
        keep(tmp_path, tasks[:1], curves={words: [1.0]}, **hostile(words), **named)
    files = write_report(tmp_path)
    found = Strict(files[0].read_text(encoding="utf-8"))
    assert found.tags <= set(TAGS.split())
    assert {name for name, _ in found.attributes} <= set(ATTRIBUTES.split())
    assert {value.partition(",")[0] for name, value in found.attributes if name == "src"} <= {"data:image/png;base64"}
    for words in HOSTILE:  # all of them are there, as text
        assert any(words in text for text in found.texts)
    if target == known:
        assert set(HOSTILE) <= {line["method"] for line in lines_of(tmp_path / "report" / f"{target}.csv")}


def test_nothing_runs_and_nothing_is_fetched(table2):
    page = write_report(table2)[0].read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    rules = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert rules.keys() == {"default-src", "img-src", "style-src", "base-uri", "form-action"}
    assert {rules[name] for name in ("default-src", "base-uri", "form-action")} == {"'none'"}
    assert rules["img-src"] == "data:"
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert rules["style-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
    assert " style=" not in page


def test_a_table_computes_nothing(tmp_path):
    keep(tmp_path, plan("table2", methods=["NMF"], missing=[0.3], runs=1), method="=1+1", point={"@x": "-1"})
    write_report(tmp_path)
    (line,) = lines_of(tmp_path / "report" / "table2.csv")
    assert line["method"] == "'=1+1"
    assert line["'@x"] == "'-1"


@pytest.mark.parametrize("target", ["lambda", "fig6", "fig7", "fig8", "parts", "restoration"])
def test_rows_that_fit_no_figure_hide_no_other(tmp_path, target):
    """Wrong methods, points, curves and arrays leave the picture of the good rows as it is; alone they give none."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    tasks = plan(target, runs=1)[:5]
    curved = {"curves": curves(1)} if target == "fig6" else {}
    keep(good, tasks, arrays=faces, **curved)
    before = page_of(good).pictures
    for folder in (good, bad):
        keep(folder, tasks[:1], method="$\\frac{", key="1", point={"lam": "x", "delta": []}, curves={"objective": []})
        keep(folder, tasks[:1], dataset="elsewhere", key="2", point={})
    keep(good, tasks[:1], arrays=faces, key="3", seed=9, curves={"iteration": [1.0, 2.0, 3.0], "objective": [2.0]})
    assert page_of(good, overwrite=True).pictures == before
    page = page_of(bad)
    assert page.pictures == []
    assert "no figure. none of its rows is of its own" in page.text


@pytest.mark.parametrize("name", ["components", "none", "text", "shape", "nan", "large", "empty"])
def test_arrays_of_others(tmp_path, name):
    array = {
        "components": {"components": np.ones((5, 361))},
        "none": {"others": np.ones((5, 361))},
        "text": {"components": np.full((5, 361), "x")},
        "shape": {"components": np.ones((5, 3))},
        "nan": {"components": np.full((5, 361), np.nan)},
        "large": {"components": np.full((5, 361), 1e300)},
        "empty": {"components": np.zeros((0, 361))},
    }[name]
    keep(tmp_path, plan("parts", runs=1), arrays=lambda _: array)
    page = page_of(tmp_path)
    assert len(page.pictures) == (name == "components")
    assert ("has no components of 19 x 19 pixels" in page.text) == (name != "components")


def test_arrays_that_would_not_fit_into_memory(tmp_path, monkeypatch):
    keep(tmp_path, plan("parts", runs=1), arrays=faces)
    monkeypatch.setattr("advnmf.studies.folder._LARGEST_ARRAYS", 10_000)
    assert re.search(r"it holds [\d,]+ bytes, more than 10,000", page_of(tmp_path).text)


def test_settings_and_what_was_found(tmp_path):
    tasks = plan("table2", ["tuned"], methods=["AT-NMF"], missing=[0.3], runs=2)
    keep(tmp_path, tasks[:1], tuned={"lam": 1.5, "layers": [5, 2]})
    page = page_of(keep(tmp_path, tasks[1:], tuned={"lam": 3.0, "layers": [5, 2]}))
    method, protocol, settings, found = (text for text, _ in page.tables["settings of table2"][1])
    assert (method, protocol) == ("AT-NMF", "tuned")
    assert settings.startswith(f"ATNMF(max_iter={HYPER_PARAMETERS['synthetic'].tuned_iter}, tol=1e-05); ")
    assert "candidates 16" in settings
    assert found == "lam 1.5 … 3; layers [5, 2]"


# --- effects ---------------------------------------------------------------------------------------------------------


def test_effects_of_the_parts(tmp_path):
    """Depth halves every error; an adversary raises those of the second run by a tenth; corruption comes last."""
    deep, attacked = ("eep", "ADNMF"), ("AT-NMF", "ADNMF")

    def error(task):
        halved = any(word in task.method for word in deep)
        return 0.5**halved * 1.1 ** (task.seed * any(word in task.method for word in attacked))

    tasks = plan("ablation-synthetic", ["tuned"], missing=[0.3, 0.5], runs=2)
    lines = page_of(keep(tmp_path, tasks, error)).tables["ablation-synthetic effects"]
    assert [cell[0] for cell in lines[0]] == ["missing", "adversary", "elastic loss", "second layer"]
    assert [line[0][0] for line in lines[1:]] == [
        "0.3",
        "all without corruption",
        "0.5, outliers",
        "0.5, rows",
        "0.5, attacked",
    ]
    adversary, elastic, depth = (cell[0] for cell in lines[1][1:])
    assert adversary.startswith("+4.9 %; -42.8 … +92.2, 2 draws")
    assert elastic.startswith("+0.0 %")
    assert depth == "**-50.0 %**; -50.0 … -50.0, 2 draws"


# --- figures ---------------------------------------------------------------------------------------------------------


def curves(number):
    """Of three looks."""
    return {name: [3.0 + number, 2.0, 1.0] for name in ("iteration", "objective", "train_rmse", "test_rmse")}


def faces(task):
    """What runs of "restoration" and "parts" keep; AT-NMF alone has an attack."""
    rng = np.random.default_rng(0)
    x = rng.random((5, 361))
    arrays = {"components": x, "original": x, "observed": x > 0.3, "completed": x / 2}
    return arrays | ({"perturbation": 0.1 * x, "attacked": 1.1 * x} if task.method == "AT-NMF" else {})


@pytest.mark.parametrize("target", ["lambda", "fig6", "fig7", "fig8", "parts", "restoration"])
@pytest.mark.parametrize("whole", [True, False])
def test_figures(tmp_path, target, whole):
    """Of all rows, and of the first alone; the file is the picture in the page."""
    tasks = plan(target, runs=2) if whole else plan(target, runs=1)[:1]
    results = {"curves": curves(1)} if target == "fig6" else {}
    keep(tmp_path, tasks, lambda task: 0.1 + len(task.method) / 100, faces, **results)
    page = page_of(tmp_path)
    (source,) = page.pictures
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    assert data == (tmp_path / "report" / f"{target}-published.png").read_bytes()
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert picture.std() > 10
    assert len(lines_of(tmp_path / "report" / f"{target}.csv")) == len({task.setup for task in tasks})
    assert "table2" not in page.identifiers


def test_heat_map_leaves_unbounded_cells_blank(tmp_path):
    from advnmf.studies.figures import heat_map

    tasks = plan("fig8", runs=1)
    keep(tmp_path, tasks[:-2], lambda task: task.point["lam"])
    ax = heat_map(collect(read_results(tmp_path))[0].own("published"), str(tmp_path)).axes[0]
    shown = ax.images[0].get_array()
    assert shown.shape == (7, 16)
    assert shown.count() == len(tasks) - 2
    assert shown.mask[:3].all()  # delta below 1
    assert shown[4, 5] == 3.0
    assert sum(text.get_text() == "?" for text in ax.texts) == 2


def test_lines_have_the_order_of_the_target(tmp_path):
    from advnmf.studies.figures import over_fraction

    keep(tmp_path, plan("fig7", runs=1)[::-1])
    (study,) = collect(read_results(tmp_path))
    legend = over_fraction(study.own("published"), str(tmp_path)).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["δ = 0", "δ = 2", "δ = ∞"]


def test_studies_without_printed_figures_have_their_numbers_folded_away(tmp_path):
    keep(tmp_path, plan("layers-synthetic", missing=[0.5], runs=1), 0.5)
    text = write_report(tmp_path)[0].read_text(encoding="utf-8")
    assert text.index("<summary>The numbers") < text.index('aria-label="layers-synthetic synthetic published"')
    assert "winners" not in Page(text).identifiers
    assert Page(text).line("layers-synthetic synthetic published", "ADNMF (layers=5, ridge=1)")[0][1][0] == (
        "**0.5000**; 1 run"
    )


def test_variants_are_held_against_the_print(tmp_path):
    factors = {"ADNMF (layers=5, ridge=1)": 1.1, "ADNMF (layers=10-5, ridge=1)": 0.5, "ADNMF (layers=5, ridge=0)": 2.5}
    printed = printed_values("table2")
    once = "ADNMF (layers=20-10, ridge=1)"
    tasks = [
        task
        for task in plan("layers-synthetic", runs=1)
        if task.method in factors or (task.method == once and task.fraction == 0.5)
    ]

    def error(task):
        return factors.get(task.method, 1) * printed["synthetic", "ADNMF", task.fraction].mean

    keep(tmp_path, tasks, error)
    (study,) = collect(read_results(tmp_path))
    found = variant_distances(study)
    # A half is as far as the double; what was run on fewer cases is not compared.
    assert [near.variant for near in found] == list(factors)
    assert [near.distance for near in found] == pytest.approx([10, 100, 150])
    assert found[1].ratios == pytest.approx(dict.fromkeys([(a, "released") for a in (0.3, 0.5, 0.9)], 0.5))
    line, _ = page_of(tmp_path).line("synthetic published nearest", "ADNMF (layers=5, ridge=1)")
    assert [text for text, _ in line] == ["1.1", "1.1", "1.1", "10.0 %"]


def test_tables_are_not_held_against_others(table2):
    (study,) = collect(read_results(table2))
    assert variant_distances(study) == []


def test_points_are_columns(tmp_path):
    keep(tmp_path, plan("fig7", missing=[0.3], runs=1))
    write_report(tmp_path)
    assert [line["delta"] for line in lines_of(tmp_path / "report" / "fig7.csv")] == ["0.0", "2.0", "inf"]


def test_arrays_that_were_not_copied(tmp_path):
    keep(tmp_path, plan("parts", runs=1), arrays=faces)
    for file in (tmp_path / "arrays").iterdir():
        file.write_bytes(b"PK")
    page = page_of(tmp_path)
    assert page.pictures == []
    assert re.search(r"published: no figure\. .*\.npz cannot be read", page.text)
    assert not list((tmp_path / "report").glob("*.png"))


# --- the page as a file, and errors ----------------------------------------------------------------------------------


def test_page_needs_nothing_else(table2):
    keep(table2, plan("lambda", runs=1))
    text = write_report(table2, table2 / "out")[0].read_text(encoding="utf-8")
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    assert sorted(file.name for file in (table2 / "out").iterdir()) == [
        "index.html",
        "lambda-published.png",
        "lambda.csv",
        "table2.csv",
    ]


def test_what_is_in_the_way_is_left_alone(table2):
    out = table2 / "out"
    out.mkdir()
    write_report(table2, out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match=r"out exists and is not empty: .*--force"):
        write_report(table2, out)
    (out / "index.html").write_text("old")
    page_of(table2, out=out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    with pytest.raises(FileError, match=r"notes.txt cannot take a report: File exists"):
        write_report(table2, out / "notes.txt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "holds no results"),
        (b"", "holds no results yet"),
        (b'{"target": "table2"', "holds no results yet"),  # a line without its end
        (b"[1]\n", "line 1 is no row"),
        (b"\xff\xfe\n", "line 1 is no row"),
    ],
)
def test_folders_without_rows(tmp_path, content, words):
    if content is not None:
        (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(FileError, match=words):
        write_report(tmp_path)
    assert not (tmp_path / "report").exists()


def test_command_names_spoilt_lines_in_one_line(table2):
    with open(table2 / "rows.jsonl", "ab") as stream:
        stream.write(b'{"rmse": "0.5"}\n[]\n')
    result = CliRunner().invoke(program, ["report", str(table2)])
    assert result.exit_code == 0
    told, _ = result.stderr.splitlines()
    assert told == (
        f"Warning: {table2}/rows.jsonl, line 13 is no row of results: target is missing (nor is 1 more: 14); left out"
    )
    page = Page((table2 / "report" / "index.html").read_text(encoding="utf-8"))
    assert page.line("table2 synthetic published", "NMF")[0][0][0] == "5.340 ✓; ±0.02, 3 runs"


def test_command(table2):
    result = CliRunner().invoke(program, ["report", str(table2)])
    assert result.exit_code == 0
    assert "index.html" in result.stderr
    again = CliRunner().invoke(program, ["report", str(table2)])
    assert again.exit_code == 2
    assert re.fullmatch(r"Error: .*report exists and is not empty: .*\n", again.stderr)
    assert CliRunner().invoke(program, ["report", str(table2), "--force", "--quiet"]).stderr == ""
    nowhere = CliRunner().invoke(program, ["report", str(table2 / "nowhere")])
    assert (nowhere.exit_code, nowhere.stderr.count("\n")) == (2, 1)
