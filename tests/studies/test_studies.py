"""The studies: rows that survive, runs that resume, protocols that do what they say."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import numpy as np
import pytest
from click.testing import CliRunner

from advnmf import HQASD, NMF, DataWarning, metrics, studies
from advnmf.cli.app import program
from advnmf.io.files import FileError
from advnmf.model_selection import EntryShuffleSplit, cross_val_score_entries
from advnmf.studies import (
    METHODS,
    PROTOCOLS,
    Experiment,
    HyperParameters,
    Result,
    Run,
    RunConfig,
    Store,
    execute,
    experiments,
    load_input,
    paired_effects,
    plan,
    printed_values,
    read_results,
    runs,
    summarise,
)
from advnmf.studies.execution import execute_one
from advnmf.studies.experiments import Variant
from advnmf.studies.fits import fit, make_model, starting_factors
from advnmf.studies.inputs import CORRUPTIONS
from advnmf.studies.protocols import PAIRS, SEARCHED, make_config, quickened
from advnmf.studies.tuning import SPACES, Tuned, as_parameters, tune

TINY = HyperParameters((14, 10), 2, (3, 2), nmf_iter=6, outer=2, inner=3, masked_iter=5, tuned_iter=5, candidates=2)

TUNED = [make_config(method, "tuned", TINY) for method in SEARCHED]


@pytest.fixture(scope="module")
def holed():
    """(X, mask): 14 x 10, nothing empty."""
    rng = np.random.default_rng(0)
    X = rng.random((14, 2)) @ rng.random((2, 10))
    mask = rng.random(X.shape) > 0.3
    assert mask.any(axis=0).all()
    assert mask.any(axis=1).all()
    return X, mask


def make_run(method="NMF", number=0, **changes):
    """A run of a few iterations on a drawn matrix."""
    config = RunConfig("NMF", {"n_components": 2, "max_iter": 3, "tol": 0.0})
    plain = Run("table2", "synthetic-drawn", 0.5, "uniform", method, "masked", number, config)
    return replace(plain, **changes)


def others(number_of_iterations):
    """A config with another number of iterations."""
    return RunConfig("NMF", {"n_components": 2, "max_iter": number_of_iterations, "tol": 0.0})


def done(tasks, folder, **options):
    """What running the tasks yields."""
    return list(execute(tasks, Store(folder), jobs=1, **options))


def results(folder):
    """All rows, without what differs from time to time."""
    return sorted(json.dumps({**asdict(row), "seconds": 0}, sort_keys=True) for row in read_results(folder))


# --- printed figures -------------------------------------------------------------------------------------------------


def test_all_printed_figures_are_there():
    assert [len(printed_values(f"table{number}")) for number in range(2, 10)] == [49] * 7 + [60]
    assert len(printed_values("slides")) == 35
    assert printed_values("fig6") == {}
    value = printed_values("table4")["moffet", "AT-NMF", 0.5]
    assert (value.mean, value.std) == (0.064, 0.0)
    assert printed_values("table9")["img1", "EADNMF", "random50"].mean == 0.0292
    assert printed_values("slides")["synthetic", "AT-NMF (lambda=3)", 0.5].mean == 6.05


@pytest.mark.parametrize("experiment", [*(f"table{number}" for number in range(2, 10)), "slides"])
def test_each_printed_figure_has_a_run(experiment):
    places = {(t.dataset, t.method, place) for t in plan(experiment, runs=1) for place in (t.fraction, t.mask)}
    assert set(printed_values(experiment)) <= places


# --- plan ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", studies.EXPERIMENTS)
def test_tasks_differ_and_are_json(experiment):
    tasks = plan(experiment, list(PROTOCOLS), runs=2)
    assert len({(t.labels, t.key) for t in tasks}) == len(tasks)
    assert all(json.loads(json.dumps(asdict(t.config), allow_nan=False)) for t in tasks)
    assert tasks == sorted(tasks, key=lambda t: t.seed)


def test_plan_chooses():
    assert len(plan("table2", runs=1)) == 7 * 7
    few = plan("table2", ["masked", "tuned"], methods=["at-nmf"], missing=[0.3, 0.9], runs=3)
    assert len(few) == 2 * 2 * 3
    assert {t.method for t in few} == {"AT-NMF"}
    quick = plan("table2", quick=True, runs=3)
    assert len(quick) == 2 * 7
    assert not {t.key for t in quick} & {t.key for t in plan("table2")}
    assert {t.method for t in plan("slides", methods=["AT-NMF"])} == {f"AT-NMF (lambda={lam})" for lam in (2, 3, 5)}


def test_figures_know_their_points():
    points = [t.point for t in plan("fig8", runs=1)]
    assert {"lam": 2.2, "delta": 1.0} in points
    assert {"lam": 2.0, "delta": 1.0} not in points  # not bounded
    assert [t.point["delta"] for t in plan("fig7", missing=[0.3], runs=1)] == [0.0, 2.0, "inf"]


@pytest.mark.parametrize(
    ("wrong", "words"), [({"methods": ["SVD"]}, "'SVD' is not among"), ({"missing": [0.35]}, "0.35")]
)
def test_plan_refuses(wrong, words):
    with pytest.raises(ValueError, match=words):
        plan("table2", **wrong)


def test_key_covers_what_decides_the_result(monkeypatch):
    plain = make_run()
    same = [replace(plain, experiment="slides"), replace(plain, protocol="tuned"), replace(plain, method="another")]
    assert {t.key for t in same} == {plain.key}
    changed = [
        make_run(number=1),
        make_run(fraction=0.4),
        make_run(dataset="cbcl"),
        make_run(measurement="components"),
        make_run(mask="released"),
    ]
    changed += [
        make_run(config=others(4)),
        make_run(config=replace(plain.config, zero_fill=True)),
        make_run(options={"every": 3}),
    ]
    keys = {plain.key, *(t.key for t in changed)}
    assert len(keys) == 1 + len(changed)
    monkeypatch.setattr(runs, "CONFIG_VERSION", runs.CONFIG_VERSION + 1)
    assert plain.key not in keys
    monkeypatch.undo()
    monkeypatch.setattr(runs, "__version__", "another")
    assert plain.key not in keys


def test_another_search_leaves_rows_alone_that_were_not_searched(monkeypatch):
    plain, searched = make_run(), make_run(config=TUNED[0])
    before = plain.key, searched.key
    monkeypatch.setattr(runs, "TUNING_VERSION", runs.TUNING_VERSION + 1)
    assert plain.key == before[0]
    assert searched.key != before[1]


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rows_come_back_whole(tmp_path):
    (row,) = done([make_run(measurement="components")], tmp_path)
    assert [row] == read_results(tmp_path)
    assert row.seed == 0
    assert row.config["params"]["max_iter"] == row.n_iter == 3
    assert row.stop_reason == "max_iter"
    assert 0 < row.mae <= row.rmse
    assert studies.load_arrays(tmp_path, row)["components"].shape == (2, 100)


def test_nothing_is_computed_twice(tmp_path, monkeypatch):
    assert len(done([make_run(), make_run(number=1)], tmp_path)) == 2
    monkeypatch.setattr("advnmf.studies.execution.execute_one", lambda *_: pytest.fail("computed again"))
    assert done([make_run(), make_run(number=1)], tmp_path) == []


def test_one_result_is_stored_under_several_labels(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("advnmf.studies.execution.execute_one", lambda run: calls.append(run) or execute_one(run))
    assert len(done([make_run(), make_run(experiment="slides")], tmp_path)) == 2
    (late,) = done([make_run(protocol="published")], tmp_path)
    assert late.protocol == "published"
    assert len(calls) == 1
    assert len({row.rmse for row in read_results(tmp_path)}) == 1


def test_changed_settings_are_a_cell_of_their_own(tmp_path):
    done([make_run(number=number) for number in (0, 1)], tmp_path)
    done([make_run(config=others(9))], tmp_path)
    old, new = summarise(read_results(tmp_path))
    assert (old.n_runs, old.latest) == (2, False)
    assert (new.n_runs, new.latest) == (1, True)
    assert new.config["params"]["max_iter"] == 9


def test_cell_is_mean_and_sample_deviation(tmp_path):
    rows = done([make_run(number=number) for number in range(3)], tmp_path)
    (cell,) = summarise(rows)
    errors = [row.rmse for row in rows]
    assert cell.rmse_mean == pytest.approx(np.mean(errors))
    assert cell.rmse_std == pytest.approx(np.std(errors, ddof=1))
    assert cell.printed is None
    assert cell.agrees is None


@pytest.mark.parametrize(("value", "agrees"), [(6.41, True), (6.59, True), (6.62, False), (6.2, False)])
def test_agreement_with_the_printed_figure(tmp_path, value, agrees):
    (row,) = done([make_run()], tmp_path)
    row = replace(row, dataset="synthetic", rmse=value)  # printed: 6.41, deviation 0.01
    (cell,) = summarise([row])
    assert cell.printed.mean == 6.41
    assert cell.agrees is agrees


def test_broken_last_line_is_no_row_and_is_repaired(tmp_path):
    done([make_run(), make_run(number=1)], tmp_path)
    file = tmp_path / "rows.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert len(read_results(tmp_path)) == 1
    (again,) = done([make_run(), make_run(number=1)], tmp_path)
    assert again.seed == 1
    assert len(file.read_bytes().splitlines()) == len(read_results(tmp_path)) == 2


def test_a_whole_row_without_the_end_of_its_line_is_kept(tmp_path):
    done([make_run()], tmp_path)
    file = tmp_path / "rows.jsonl"
    file.write_bytes(file.read_bytes()[:-1])  # as editors do
    assert len(read_results(tmp_path)) == 1
    done([make_run(), make_run(number=1)], tmp_path)
    assert [row.seed for row in read_results(tmp_path)] == [0, 1]


STORED = (
    b'{"target": "table2", "dataset": "synthetic-drawn", "fraction": 0.5, "mask": "uniform", "method": "NMF", '
    b'"protocol": "masked", "run": 1, "seed": 1, "settings": {"model": "NMF", "params": {"n_components": 2, '
    b'"max_iter": 3, "tol": 0.0}, "start": null, "zero_fill": false, "dtype": "float64", "unit_scale": false, '
    b'"space": null, "candidates": 0}, "rmse": 1.351962330910969, "mae": 0.9619241636810202, "seconds": 0.5, '
    b'"n_iter": 3, "stop_reason": "max_iter", "version": "0.1.0", "setup": "892f432a71c8ce7e", "key": '
    b'"3c0255704a09b9db", "kind": "completion", "options": {}, "point": {}, "quick": false, "found": {}, '
    b'"curves": {}, "arrays": null}\n'
)


def test_results_of_the_first_version_are_those_of_todays_runs(tmp_path, monkeypatch):
    """A line that it wrote is read, written again as the same bytes, and found by the run that made it."""
    monkeypatch.setattr(runs, "__version__", "0.1.0")
    (tmp_path / "rows.jsonl").write_bytes(STORED)
    (result,) = read_results(tmp_path)
    assert result.line == STORED
    assert (result.experiment, result.seed, result.config["model"]) == ("table2", 1, "NMF")
    assert Store(tmp_path).results([make_run(number=1)]) == [result]


def wrong(**changes):
    """The line of a row in which something is wrong; ... stands for a field that is missing."""
    values = {**execute_one(make_run())[0].stored, **changes}
    return json.dumps({name: value for name, value in values.items() if value is not ...}).encode()


def deep(levels):
    return [deep(levels - 1)] if levels else []


SPOILT = {
    "text for a number": (lambda: wrong(rmse="0.5"), "rmse is text, not a number"),
    "NaN": (lambda: wrong(rmse=float("nan")), "rmse is not finite"),
    "infinity": (lambda: wrong(mae=0).replace(b'"mae": 0', b'"mae": 1e999'), "mae is not finite"),
    "too large": (lambda: wrong(seconds=1e300), "seconds is too large a number"),
    "negative": (lambda: wrong(rmse=-0.5), "rmse is negative"),
    "no share": (lambda: wrong(fraction=3), "fraction is not between 0 and 1"),
    "true for a number": (lambda: wrong(run=True), "run is true or false, not a whole number"),
    "3.5 for a whole number": (lambda: wrong(n_iter=3.5), "n_iter is a number, not a whole number"),
    "a large integer": (lambda: wrong(seed=10**4000), "seed is too large a number"),
    "a huge integer": (
        lambda: wrong(seed=0).replace(b'"seed": 0', b'"seed": ' + b"9" * 10**6),
        "cannot be read as JSON",
    ),
    "missing": (lambda: wrong(rmse=...), "rmse is missing"),
    "nothing": (lambda: wrong(method=None), "method is null, not text"),
    "a list for text": (lambda: wrong(dataset=["a"]), "dataset is a list, not text"),
    "a list for an object": (lambda: wrong(point=[1]), "point is a list, not an object"),
    "too deep": (lambda: wrong(found={"a": deep(30)}), "found holds a value that"),
    "far too deep": (
        lambda: wrong(found=0).replace(b'"found": 0', b'"found": ' + b"[" * 10**5),
        "cannot be read as JSON",
    ),
    "settings without a model": (lambda: wrong(settings={"params": {}}), "settings has no model"),
    "settings without parameters": (lambda: wrong(settings={"model": "NMF"}), "settings has no params"),
    "a curve of text": (lambda: wrong(curves={"objective": ["a"]}), "curves has a curve that is not a list of numbers"),
    "a path": (lambda: wrong(arrays="../../secret.npz"), "arrays is not the name of an .npz file"),
    "half a character": (lambda: wrong(mask="\ud800"), "mask has characters that cannot be printed"),
    "a command for the terminal": (lambda: wrong(mask="\x1b[31m"), "mask has characters that cannot be printed"),
    "one more field": (lambda: wrong(more=1), "a field that is none of a row"),
    "no object": (lambda: b"[1]", "it is a list, not an object"),
    "no JSON": (lambda: b"rmse 0.5", "cannot be read as JSON"),
    "no UTF-8": (lambda: wrong().replace(b"uniform", b"\xff\xfeform"), "cannot be read as JSON"),
    "binary": (lambda: bytes(range(11, 256)), "cannot be read as JSON"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_line_is_told_and_hides_no_other(tmp_path, name):
    content, words = SPOILT[name]
    good = done([make_run(), make_run(number=1)], tmp_path)
    file = tmp_path / "rows.jsonl"
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + content() + b"\n" + second)
    with pytest.warns(DataWarning) as caught:
        assert read_results(tmp_path) == good
    (message,) = [str(each.message) for each in caught]
    assert re.fullmatch(rf"{re.escape(str(file))}, line 2 is no row of results: .*; left out", message)
    assert words in message
    assert message.isprintable()
    with pytest.warns(DataWarning, match="line 2"):
        store = Store(tmp_path)
    assert store.results([make_run(), make_run(number=1)]) == good
    file.write_bytes(content() + b"\n")
    with pytest.raises(FileError, match="line 1 is no row"):
        read_results(tmp_path)


def test_many_spoilt_lines_are_one_warning(tmp_path):
    done([make_run()], tmp_path)
    with open(tmp_path / "rows.jsonl", "ab") as stream:
        stream.write(b"\n" + b"{}\n" * 1000)  # an empty line is none
    with pytest.warns(DataWarning, match=r"line 3 is .* \(nor are 999 more: 4, 5, 6, 7, 8, …\); left out") as caught:
        assert len(read_results(tmp_path)) == 1
    assert len(caught) == 1


def test_a_result_that_is_not_finite_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("advnmf.studies.execution.metrics.rmse", lambda *_, **__: float("nan"))
    (failure,) = done([make_run()], tmp_path)
    assert "rmse is not finite" in str(failure.error)
    assert read_results(tmp_path) == []


# --- several processes -----------------------------------------------------------------------------------------------


def test_a_line_that_another_process_writes_is_left_alone(tmp_path):
    done([make_run(), make_run(number=1)], tmp_path)
    file = tmp_path / "rows.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])  # as far as it has come
    Store(tmp_path)
    with open(file, "ab") as stream:
        stream.write(whole[-30:])
    assert [row.seed for row in read_results(tmp_path)] == [0, 1]


def test_what_others_have_written_is_taken_up(tmp_path):
    one, other = Store(tmp_path), Store(tmp_path)
    first, second = (execute_one(make_run(number=number))[0] for number in range(2))
    one.append(first)
    assert other.append(second) == second
    assert other.results([make_run(), make_run(number=1)]) == [first, second]
    again = replace(first, seconds=9.0)
    assert other.append(again) == first  # and not written a second time
    assert read_results(tmp_path) == [first, second]


def test_several_runs_of_the_same_tasks_share_them(tmp_path, monkeypatch):
    """Threads with a store of their own exclude each other as processes do."""
    few, computed = [make_run(number=number) for number in range(9)], []
    made = {t.key: execute_one(t) for t in few}

    def slowly(t):
        computed.append(t.key)
        time.sleep(0.01)
        return made[t.key]

    monkeypatch.setattr("advnmf.studies.execution.execute_one", slowly)
    # What is stored before a run begins is not told again: no store knows of the others' results yet.
    stores = [Store(tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        told = list(pool.map(lambda store: list(execute(few, store, jobs=1)), stores))
    assert sorted(computed) == sorted(made)
    assert all({row.key for row in rows} == set(made) for rows in told)
    assert len(read_results(tmp_path)) == len(made)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.jsonl", "rows.lock"]


CLAIMS = """
import pickle, sys, time
from advnmf.studies import Store
store = Store(sys.argv[1])
assert store.claim(pickle.loads(bytes.fromhex(sys.argv[2])))
print("claimed", flush=True)
time.sleep(60)
"""


def test_claims_of_a_killed_process_are_nobodys(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIMS, str(tmp_path), pickle.dumps(make_run()).hex()], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"claimed\n"
    store = Store(tmp_path)
    assert not store.claim(make_run())
    assert store.claim(make_run(number=1))
    assert list(execute([make_run()], store, jobs=1, time_limit=0)) == []
    process.kill()
    process.wait()
    process.stdout.close()
    assert [row.seed for row in done([make_run()], tmp_path)] == [0]


def test_parts_that_killed_runs_left_are_removed(tmp_path):
    done([make_run(measurement="components")], tmp_path)
    (arrays,) = (tmp_path / "arrays").iterdir()
    arrays.with_name(f".{arrays.stem}-0123abcd.part.npz").write_bytes(b"PK")
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "0123.lock").touch()
    Store(tmp_path)
    assert list((tmp_path / "arrays").iterdir()) == [arrays]
    assert not (tmp_path / "claims").exists()


def test_what_cannot_be_locked_or_written_is_told_in_a_line(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("advnmf.studies.folder._lock", refuse)
    with pytest.raises(FileError, match=r"rows\.lock cannot be locked: No locks available"):
        Store(tmp_path)
    monkeypatch.undo()
    store, row = Store(tmp_path), execute_one(make_run())[0]
    monkeypatch.setattr("os.fsync", lambda _: refuse())
    with pytest.raises(FileError, match="cannot take results"):
        store.append(row)
    monkeypatch.undo()
    assert store.append(row) == row


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_in_the_place_of_the_rows_is_refused(tmp_path):
    os.mkfifo(tmp_path / "rows.jsonl")
    with pytest.raises(FileError, match="not a regular file"):
        Store(tmp_path)


def test_no_results_is_told(tmp_path):
    with pytest.raises(FileError, match="holds no results"):
        read_results(tmp_path)


def test_failed_run_is_told_and_the_others_go_on(tmp_path):
    bad = make_run(config=RunConfig("NMF", {"n_components": 0}))
    failure, row = done([bad, make_run()], tmp_path)
    assert "n_components" in str(failure.error)
    assert isinstance(row, Result)
    assert read_results(tmp_path) == [row]


def test_no_run_is_begun_after_the_time_limit(tmp_path):
    assert done([make_run()], tmp_path, time_limit=0) == []


LONG = [make_run(number=number, config=replace(others(400), start=("half-normal", 1))) for number in range(6)]
SCRIPT = """
import pickle, sys
from advnmf.studies import Store, execute
for outcome in execute(pickle.loads(bytes.fromhex(sys.argv[2])), Store(sys.argv[1]), jobs=1):
    pass
"""


def test_killed_and_run_again_gives_the_rows_of_an_uninterrupted_run(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(killed), pickle.dumps(LONG).hex()])
    file = killed / "rows.jsonl"
    while process.poll() is None and not (file.exists() and file.read_bytes().count(b"\n") >= 2):
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    survived = len(read_results(killed))
    assert 2 <= survived < len(LONG)
    with open(file, "ab") as stream:  # as if in the middle of a line
        stream.write(b'{"target": "t", "data')
    assert len(done(LONG, killed)) == len(LONG) - survived
    done(LONG, whole)
    assert results(killed) == results(whole)
    assert len(read_results(whole)) == len(LONG)


# --- protocols -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore")
def test_missing_entries_are_never_seen(holed, method, protocol):
    X, mask = holed
    config = make_config(method, protocol, TINY)
    one = fit(config, X, mask, 0)
    other = fit(config, np.where(mask, X, 99.0), mask, 0)
    np.testing.assert_array_equal(one.prediction, other.prediction)
    assert one.tuned == other.tuned
    assert np.isfinite(one.prediction).all()
    assert bool(one.tuned) == (protocol == "tuned")


def test_every_method_is_tuned_with_as_many_candidates():
    configs = [make_config(method, "tuned", TINY) for method in METHODS]
    assert {config.candidates for config in configs} == {2}
    assert len({config.space for config in configs}) == len(METHODS)


@pytest.mark.parametrize("space", SPACES)
def test_every_draw_is_json_and_makes_a_model(space):
    config = next(config for config in TUNED if config.space == space)
    drawn = [SPACES[space](np.random.RandomState(seed), 8) for seed in range(20)]
    assert json.loads(json.dumps(drawn, allow_nan=False)) == drawn
    for params in drawn:
        make_model(config.model, {**config.params, **params}, 0)
    assert len({json.dumps(params) for params in drawn}) == len(drawn)


def test_draws_differ_in_nothing_but_the_parts():
    plain, full = (SPACES[name](np.random.RandomState(3), 20) for name in ("plain", "deep+elastic+adversary"))
    assert full["n_components"][-1] == plain["n_components"]
    assert full["alpha_W"] == plain["alpha_W"]
    assert full["lam"] > 1 + 1 / full["delta"]


def test_search_takes_the_best_on_held_out_observed_entries():
    """Of data of rank 2 with noise, in units of their root mean square, no high rank without a ridge."""
    rng = np.random.default_rng(0)
    X = rng.random((30, 2)) @ rng.random((2, 20)) * rng.uniform(0.9, 1.1, (30, 20))
    X /= np.sqrt(np.mean(X**2))
    X[rng.random(X.shape) < 0.4] = np.nan
    model = NMF(max_iter=64, random_state=0)
    found = [tune("plain", 16, model, X, seed) for seed in range(2)]
    assert found[0] == tune("plain", 16, model, X, 0)
    assert found[0] != found[1]
    for params in (each.params for each in found):
        worse = NMF(9, alpha_W=1e-6, max_iter=64, random_state=0)
        errors = [cross_val_score_entries(m, X, cv=3).mean() for m in (model.set_params(**params), worse)]
        assert errors[0] > errors[1]


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_predictions_are_clipped_where_the_search_says_so(clip, holed, monkeypatch):
    X, mask = holed
    found = Tuned({"n_components": 9, "max_iter": 50}, clip=clip)
    monkeypatch.setattr("advnmf.studies.fits.tune", lambda *_: found)
    fitted = fit(make_config("NMF", "tuned", TINY), X, mask, 0)
    assert fitted.tuned == {**found.params, "clip": clip}
    low, high = X[mask].min(), X[mask].max()
    assert (low * (1 - 1e-12) <= fitted.prediction.min() and fitted.prediction.max() <= high * (1 + 1e-12)) == clip


@pytest.mark.parametrize("value", [0.0, 10.0])
def test_search_clips_where_that_lowers_the_error(value):
    """Of data cut off at 0 and 1, predictions beyond help nobody; not so where held-out values go beyond the others."""
    rng = np.random.default_rng(0)
    X = np.clip(2 * rng.normal(size=(40, 2)) @ rng.normal(size=(2, 30)), 0, 1) + value * rng.random((40, 30)) ** 50
    model = HQASD(max_iter=20, tol=0, random_state=0)
    train, test = next(EntryShuffleSplit(test_size=0.1, random_state=0).split(X))
    found = tune("robust", 4, model, X, 0)
    prediction = model.set_params(**as_parameters(found.params)).fit(np.where(train, X, np.nan)).reconstruct()
    errors = [metrics.rmse(X, P, mask=test) for P in (prediction, np.clip(prediction, X[train].min(), X[train].max()))]
    assert found.clip == (errors[1] < errors[0]) == (value == 0)


def test_released_atnmf_is_the_printed_algorithm_on_zeros(holed):
    """Frozen attacks on zero-filled data by plain formulas, codes first."""
    X, mask = holed
    config = make_config("AT-NMF", "published", TINY)
    Z, lam = np.where(mask, X, 0), 2.0
    W, H = (F.copy() for F in starting_factors(config, Z, 0))
    for _ in range(TINY.outer):
        U = np.where(mask, np.maximum((lam * Z - W @ H) / (lam - 1), 0), 0)
        for _ in range(TINY.inner):
            W *= (U @ H.T) / (W @ H @ H.T)
            H *= (W.T @ U) / (W.T @ W @ H)
    np.testing.assert_allclose(fit(config, X, mask, 0).prediction, W @ H, rtol=1e-9)


def test_start_of_nmf_and_atnmf_is_the_same(holed):
    Z = np.where(holed[1], holed[0], 0)
    starts = [starting_factors(make_config(method, "published", TINY), Z, 3) for method in ("NMF", "AT-NMF")]
    for one, other in zip(*starts, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("ridge", [0.0, 1.0])
@pytest.mark.filterwarnings("ignore")
def test_layers_are_learnt_one_by_one_with_the_ridge(holed, ridge):
    """Without a ridge their product comes near the observed entries, with it shrinks; the first is a plain fit."""
    X, mask = holed
    config = make_config("ADNMF", "published", replace(TINY, shape=X.shape, ridge=ridge))
    data = np.where(mask, X, np.nan)
    H, inner, outer = starting_factors(replace(config, start=("layers", 400)), data, 0)
    assert [H.shape, inner.shape, outer.shape] == [(14, 2), (2, 3), (3, 10)]
    size = np.linalg.norm((H @ inner @ outer)[mask]) / np.linalg.norm(X[mask])
    assert size == pytest.approx(1, abs=0.02) if ridge == 0 else size < 0.9
    first = NMF(3, solver="mu", alpha_W=ridge / 10, alpha_H=ridge / 14, max_iter=400, tol=0.0)
    first.set_params(random_state=np.random.RandomState(0)).fit(data)
    np.testing.assert_allclose(outer, first.components_, rtol=1e-6, atol=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_released_deep_ridge_is_one(holed):
    X, _ = holed
    params = make_config("ADNMF", "published", TINY).params
    model = NMF(2, alpha_W=params["alpha_W"], alpha_H=params["alpha_H"], max_iter=3).fit(X)
    W, H = model.factors_
    assert model.loss_curve_[-1] == pytest.approx(((X - W @ H) ** 2).sum() + (W**2).sum() + (H**2).sum())


def test_deltas_at_the_ends_are_other_models():
    zero, infinite = (make_config("EADNMF", "published", replace(TINY, delta=delta)) for delta in (0.0, float("inf")))
    assert (zero.model, zero.params["loss"]) == ("NMF", "l21")
    assert infinite == make_config("ADNMF", "published", TINY)


def test_quick_is_shorter_with_as_many_attacks():
    config = make_config("AT-NMF", "published", replace(TINY, outer=40, inner=300))
    quick = quickened(config)
    assert quick.params["max_iter"] < config.params["max_iter"]
    assert quick.params["max_iter"] / quick.params["attack_every"] == 40


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_convergence_in_pieces_is_one_fit(holed, monkeypatch):
    X, mask = holed
    monkeypatch.setitem(studies.inputs.DATASETS, "tiny", lambda run: type("", (), {"X": X, "masks": {0.3: mask}}))
    config = make_config("EADNMF", "published", replace(TINY, every=10))
    config = replace(config, params={**config.params, "max_iter": 30})
    row, _ = studies.execution.execute_one(
        Run("fig6", "tiny", 0.3, "released", "EADNMF", "published", 0, config, "convergence", {"every": 10})
    )
    assert row.curves["iteration"] == [10, 20, 30]
    whole = fit(config, X, mask, 0)
    np.testing.assert_allclose(row.curves["objective"], whole.model.loss_curve_[[10, 20, 30]], rtol=1e-9)
    assert row.rmse == row.curves["test_rmse"][-1]


@pytest.mark.usefixtures("data_dir")
def test_biharmonic_fills_a_picture():
    pytest.importorskip("skimage")
    tasks = plan("table9", methods=["Biharmonic"], missing=[0.19], runs=2)
    assert [t.seed for t in tasks] == [0] * 4  # nothing of it is random
    row, _ = studies.execution.execute_one(tasks[0])
    # Measured before with the same picture and mask: 0.0215.
    assert row.rmse == pytest.approx(0.0215, abs=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_restoration_shows_the_attack(tmp_path):
    config = RunConfig("ATNMF", {"n_components": 2, "lam": 3.0, "max_iter": 5})
    (row,) = done([make_run(config=config, measurement="restoration", options={"samples": [1, 4]})], tmp_path)
    parts = studies.load_arrays(tmp_path, row)
    x, p, observed = parts["original"], parts["completed"], parts["observed"]
    assert x.shape == (2, 100)
    expected = np.where(observed, np.maximum((3 * x - p) / 2, 0), 0)
    np.testing.assert_allclose(parts["attacked"], expected, atol=1e-12)
    np.testing.assert_allclose(np.where(observed, x, 0) + parts["perturbation"], expected, atol=1e-12)


# --- command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny_experiment(monkeypatch):
    """An experiment of three runs that need no file."""
    monkeypatch.setitem(experiments.HYPER_PARAMETERS, "synthetic-drawn", replace(TINY, shape=(50, 100)))
    tiny = Experiment("Tiny", ("synthetic-drawn",), ((0.5, "uniform"),), (Variant("NMF", "NMF"),))
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", tiny)


def reproduce(*args, code=0):
    result = CliRunner().invoke(program, ["reproduce", *map(str, args)])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.usefixtures("tiny_experiment")
def test_command_prints_and_resumes(tmp_path):
    first = reproduce("tiny", "--jobs", 1, "--out", tmp_path)
    assert "3 runs, 0 of them" in first.stderr
    assert "NMF" in first.stdout
    assert len(read_results(tmp_path)) == 3
    again = reproduce("tiny", "--jobs", 1, "--out", tmp_path)
    assert "3 runs, 3 of them" in again.stderr
    assert again.stdout == first.stdout


@pytest.mark.usefixtures("tiny_experiment")
def test_interrupted_command_keeps_its_rows(tmp_path, monkeypatch):
    real = studies.execute

    def interrupted(*args, **options):
        yield next(real(*args, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(studies, "execute", interrupted)
    result = reproduce("tiny", "--jobs", 1, "--out", tmp_path, code=130)
    assert "interrupted; 1 of 3 runs" in result.stderr
    assert len(read_results(tmp_path)) == 1


@pytest.mark.usefixtures("tiny_experiment")
def test_failed_runs_are_told_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setitem(experiments.HYPER_PARAMETERS, "synthetic-drawn", replace(TINY, rank=0))
    result = reproduce("tiny", "--jobs", 1, "--out", tmp_path, code=1)
    assert "n_components" in result.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["table1"], "is no experiment; choose from table2"),
        (["table2", "--methods", "SVD"], "'SVD' is not among NMF"),
        (["table2", "--missing", "half"], "'half'"),
        (["fig6", "--protocol", "tuned"], "fig6 has no protocol tuned"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, args, words):
    assert words in reproduce(*args, "--out", tmp_path, code=2).stderr


@pytest.mark.usefixtures("data_dir")
def test_quick_table_on_the_released_data(tmp_path):
    reproduce("table2", "--quick", "--methods", "NMF", "--protocol", "published", "--jobs", 2, "--out", tmp_path)
    cells = summarise(read_results(tmp_path))
    assert {cell.fraction for cell in cells} == {0.3, 0.4}
    assert all(cell.agrees for cell in cells)


# --- what the parts gain ---------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_only_observed_entries_are_wrong(name, holed):
    X, mask = holed
    wrong, observed = CORRUPTIONS[name](X, mask, np.random.RandomState(0))
    np.testing.assert_array_equal(wrong[~observed], X[~observed])
    assert (wrong[observed] != X[observed]).any()
    assert (wrong >= 0).all()
    assert (mask <= observed).all()
    again, _ = CORRUPTIONS[name](X, mask, np.random.RandomState(0))
    np.testing.assert_array_equal(wrong, again)


def test_an_instance_is_corrupted_after_its_holes_are_drawn():
    (clean, holes), (wrong, same) = (load_input(make_run(mask=mask)) for mask in ("uniform", "uniform+outliers"))
    np.testing.assert_array_equal(holes, same)
    np.testing.assert_array_equal(wrong[~holes], clean[~holes])
    assert 0.01 < (wrong != clean)[holes].mean() < 0.1


def test_effects_are_paired_within_a_draw():
    """With errors that are products, each part changes the error by its own factor, in each draw by chance more."""
    rng, factors = np.random.default_rng(0), {"adversary": 1.1, "elastic loss": 0.8, "second layer": 1.0}
    names = dict.fromkeys(name for pairs in PAIRS.values() for pair in pairs for name in pair)
    parts = {name: [part for part in PAIRS if name in [pair[1] for pair in PAIRS[part]]] for name in names}
    assert sorted(map(len, parts.values())) == [0, 1, 1, 1, 2, 2, 2, 3]
    base, _ = execute_one(make_run())
    rows = [
        replace(base, method=name, seed=run, rmse=scale * float(np.prod([factors[part] for part in parts[name]])))
        for run, scale in enumerate(rng.uniform(1, 5, 4))
        for name in names
    ]
    lone = replace(base, method="NMF", seed=9, rmse=1.0)
    found = {effect.part: effect for effect in paired_effects([*rows, lone])}
    for part, factor in factors.items():
        assert found[part].mean == pytest.approx(100 * (factor - 1))
        assert (found[part].low, found[part].high) == pytest.approx((found[part].mean, found[part].mean))
        assert found[part].n_draws == 4
    noisy = [replace(row, rmse=row.rmse * rng.uniform(0.9, 1.1)) for row in rows]
    wide = {effect.part: effect for effect in paired_effects(noisy)}["adversary"]
    assert wide.low < wide.mean < wide.high
    assert all(np.isnan(effect.low) for effect in paired_effects(rows[: len(names)]))
