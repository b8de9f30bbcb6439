"""What the README says is run: its Python, its command lines, and its test command in continuous integration."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

import advnmf

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CI = ROOT / ".ci" / "run"

pytestmark = pytest.mark.skipif(not README.exists(), reason="there is no README beside these tests")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_python_runs_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    first, smooth, second, third, auto, blend, fourth, fifth, sixth, seventh = blocks("python")
    # Fewer candidates than there, for the sake of time; so below.
    exec(compile(first.replace("AutoNMF(", "AutoNMF(max_candidates=6, "), "README.md, first block", "exec"), names)
    assert re.fullmatch(r"[01]\.\d% off where it was missing\n", capsys.readouterr().out)
    X, filled = names["X"], names["filled"]
    assert X[names["observed"]].tobytes() == filled[names["observed"]].tobytes()
    exec(compile(smooth, "README.md, block of penalties", "exec"), {})
    exec(compile(second, "README.md, second block", "exec"), names)
    assert names["search"].best_params_ == {"nmfimputer__estimator__n_components": 5}
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    exec(compile(third, "README.md, third block", "exec"), names)
    pyplot.close("all")
    assert Path("completed.png").stat().st_size > 10_000
    exec(compile(auto.replace("time_limit=30", "max_candidates=4"), "README.md, block of AutoNMF", "exec"), names)
    assert (names["std"][np.isnan(names["X"])] > 0).all()
    assert "candidates" in capsys.readouterr().out
    exec(compile(blend.replace("time_limit=20", "time_limit=1"), "README.md, block of AutoImputer", "exec"), names)
    assert not names["completed"].isna().any().any()
    assert "KNN" in capsys.readouterr().out
    exec(compile(fourth, "README.md, fourth block", "exec"), names)
    assert names["search"].best_params_["n_components"] == 5
    assert names["search"].best_score_ > 0.5 * names["neighbours"]
    exec(compile(fifth, "README.md, fifth block", "exec"), {})
    assert re.fullmatch(r"[0-4]\.\d% off where it was missing\n", capsys.readouterr().out)
    exec(compile(sixth, "README.md, sixth block", "exec"), names)
    exec(compile(seventh, "README.md, seventh block", "exec"), names)
    assert np.isfinite(names["predicted"]).all()
    rated = set(zip(names["table"].viewer, names["table"].film, strict=True))
    for viewer, films in zip(("ann", "bob"), names["names"], strict=True):
        assert not rated & {(viewer, film) for film in films}


def test_what_is_said_about_column_means(tmp_path, monkeypatch):
    """ "filling in the column means: 27 %" """
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    code = blocks("python")[0].replace("print(", "str(").replace("AutoNMF(", "AutoNMF(max_candidates=1, ")
    exec(code, names)
    X, truth, observed = names["X"], names["truth"], names["observed"]
    means = np.broadcast_to(np.nanmean(X, axis=0), X.shape)
    assert round(100 * advnmf.metrics.relative_error(truth, means, mask=~observed)) == 27


def test_the_preset_is_what_is_said():
    text = re.search(r"`(NMF\(.*)` is an `EADNMF`", README.read_text("utf-8")).group(1)
    model = eval(text, {"NMF": advnmf.NMF, "FrobeniusPenalty": advnmf.FrobeniusPenalty}).set_params(random_state=0)
    X = np.random.default_rng(0).random((30, 25))
    preset = advnmf.EADNMF(random_state=0)
    with pytest.warns(advnmf.DataWarning):
        np.testing.assert_array_equal(preset.fit_complete(X), model.fit_complete(X))
    np.testing.assert_array_equal(preset.components_, model.components_)


def command_lines() -> list[list[str]]:
    lines = "".join(blocks("sh")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("advnmf ")]


def files_of_the_blocks() -> None:
    """What the first block and those on ratings write into the current folder."""
    first, *_, ratings, tables = blocks("python")
    names: dict[str, object] = {"pd": pytest.importorskip("pandas")}
    code = first.replace("AutoNMF(", "AutoNMF(max_candidates=1, ") + "from advnmf import NMF\n" + ratings + tables
    exec(code, names)


def files_of_the_demo() -> None:
    """What `advnmf demo` leaves, in small."""
    from advnmf.cli.demo import _FILES
    from advnmf.io.pictures import Picture, write_picture

    rng = np.random.default_rng(0)
    Path("advnmf-demo").mkdir()
    for name, content in {
        "holes": rng.integers(1, 256, (20, 24, 3)),
        "mask": np.where(rng.random((20, 24)) > 0.2, 255, 0),
    }.items():
        write_picture(Path("advnmf-demo", _FILES[name]), Picture(content.astype(np.uint8)))


def test_files_that_command_lines_name_are_made_there():
    """By a block, by the demo, or by the reader, of whom it is said."""
    text = "".join(blocks("python"))
    options = "--std", "--report"
    made = {
        w for arguments in command_lines() for o, w in zip(["", *arguments], arguments, strict=False) if o in options
    }
    made |= {arguments[2] for arguments in command_lines()} | set(re.findall(r'"(\w+\.csv)"', text))
    named = {word for arguments in command_lines() for word in arguments[1:] if re.search(r"\.\w{3}$", word)}
    assert {name for name in named - made if not name.startswith("advnmf-demo/")} == {"cube.hdr"}
    assert "the cube stands for yours" in README.read_text("utf-8")


def test_blocks_name_what_they_need():
    """Beside the package and what it depends on: pandas, of which the text says so before the first block with it."""
    before, _, _ = README.read_text("utf-8").partition("import pandas")
    assert "pip install pandas" in before
    modules = set(re.findall(r"^(?:from|import) (\w+)", "".join(blocks("python")), re.MULTILINE))
    assert modules == {"advnmf", "numpy", "pandas", "sklearn"}


def test_command_lines_run_as_they_are(tmp_path, monkeypatch):
    from advnmf.cli.app import program

    testing = pytest.importorskip("click.testing")
    monkeypatch.chdir(tmp_path)
    files_of_the_blocks()
    files_of_the_demo()
    cube = np.rint(1000 * np.random.default_rng(0).random((4, 3, 8))) - 1
    cube[0, 0, 0] = -9999
    envi = pytest.importorskip("spectral.io.envi")
    envi.save_image("cube.hdr", cube, dtype=np.int16, metadata={"data ignore value": -9999})  # "stands for yours"
    monkeypatch.setattr("advnmf.cli.fitting.AUTO_SECONDS", 0.3)  # what they choose does not matter here
    assert len(command_lines()) == 11
    for arguments in command_lines():
        result = testing.CliRunner().invoke(program, arguments)
        assert result.exit_code == 0, result.output
        assert "--dry-run" in arguments or Path(arguments[2]).exists()


@pytest.mark.skipif(not CI.exists(), reason="a source distribution has not all of the repository")
def test_linked_files_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text("utf-8"))
    assert "CONTRIBUTING.md" in links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.skipif(not CI.exists(), reason="a source distribution has not all of the repository")
def test_continuous_integration_runs_the_test_command_of_the_readme():
    """The script takes its command out of the README; what it takes is what stands there."""
    result = subprocess.run(["bash", str(CI), "--show"], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.splitlines() == [blocks("sh")[-1].strip()]
