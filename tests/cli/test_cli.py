"""The command line, as users meet it."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from advnmf.cli.app import program
from advnmf.cli.inpaint import filled
from advnmf.cli.options import DEEP, MODELS, Settings, default_rank
from advnmf.io.pictures import Picture, read_picture, write_picture
from commands import refused, run

CODE = "from advnmf.cli import main; main()"


@pytest.fixture
def table(tmp_path):
    """A csv table of rank one with labels and holes."""
    rows = ["id,a,b,c,d"]
    for i in range(1, 9):
        cells = [f"{i * k}.0" for k in (1, 2, 3, 5)]
        cells[i % 4] = "NA" if i % 3 == 0 else cells[i % 4]
        rows.append(",".join([f"s{i}", *cells]))
    path = tmp_path / "in.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def picture(tmp_path):
    """A picture of rank two and a mask with a fifth of it missing."""
    y, x = np.mgrid[0:24, 0:30]
    pixels = np.dstack([4 * x + 2 * y, 3 * y + 20, 5 * x]).astype(np.uint8)
    write_picture(tmp_path / "in.png", Picture(pixels))
    observed = np.random.default_rng(0).random((24, 30)) > 0.2
    write_picture(tmp_path / "mask.png", Picture(np.where(observed, 255, 0).astype(np.uint8)))
    return tmp_path / "in.png", tmp_path / "mask.png", pixels, observed


# --- help ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 140])
@pytest.mark.parametrize("command", [[], ["complete"], ["recommend"], ["inpaint"], ["demo"]])
def test_help_fits_the_terminal(monkeypatch, columns, command):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = run(*command, "--help").stdout
    assert max(map(len, text.splitlines())) <= columns
    assert "Usage" in text
    # Every option has its name in one piece.
    for option in program.commands[command[0]].params if command else []:
        for name in option.opts if option.param_type_name == "option" else []:
            assert name in text


def test_version():
    from advnmf import __version__

    assert run("--version").stdout == f"advnmf {__version__}\n"


def test_no_command_shows_the_help():
    result = CliRunner().invoke(program, [])
    assert result.exit_code == (2 if hasattr(click.exceptions, "NoArgsIsHelpError") else 0)
    assert "Usage" in result.output


# --- complete -----------------------------------------------------------------------------------------------


def cells(path):
    return [line.split(",") for line in path.read_text().splitlines()]


def test_holes_are_filled_and_the_rest_is_the_same_text(table):
    out = table.with_name("out.csv")
    result = run("complete", table, out, "--rank", 1, "--alpha", 0, "--tol", 1e-9)
    assert result.stdout == ""
    assert "read: 8 x 4 values, columns a, b, c, d\nleft alone: 'id' (identifiers); " in result.stderr
    assert "converged; wrote" in result.stderr
    before, after = cells(table), cells(out)
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        for k, (a, b) in enumerate(zip(old, new, strict=True)):
            if a == "NA":
                assert float(b) == pytest.approx(i * (1, 2, 3, 5)[k - 1], rel=1e-4)
            else:
                assert a == b


@pytest.mark.parametrize("model", [model for model in MODELS if model != "auto"])
def test_every_model_completes(table, model):
    out = table.with_name("out.npy")
    result = run("complete", table, out, "--model", model, "--max-iter", 30, "--n-init", 2, "--seed", 3)
    assert f"{model}, rank 1{',1' if model in DEEP else ''}:" in result.stderr
    values = np.load(out)
    assert np.isfinite(values).all()
    again = table.with_name("again.npy")
    run("complete", table, again, "--model", model, "--max-iter", 30, "--n-init", 2, "--seed", 3)
    np.testing.assert_array_equal(np.load(again), values)


def test_quiet_says_nothing(table):
    result = run("complete", table, table.with_name("out.csv"), "--quiet", "--rank", 4)
    assert result.output == ""


def test_warnings_are_lines_in_the_words_of_the_options(table):
    result = run("complete", table, table.with_name("out.csv"), "--rank", 4)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Warning: ")]
    assert "rank=4" in line
    assert "n_components" not in result.stderr
    assert "warnings.warn" not in result.stderr


def test_nothing_missing_makes_a_copy(tmp_path):
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_bytes(b'a;"b"\r\n1;2\r\n')
    assert "nothing is missing" in run("complete", path, out).stderr
    assert out.read_bytes() == path.read_bytes()


def test_the_scale_of_the_data_does_not_matter(tmp_path):
    X = np.random.default_rng(0).random((12, 9))
    X[::3, ::2] = np.nan
    for scale in (1.0, 2.0**500):  # the squares of the second are infinite
        np.save(tmp_path / "in.npy", X * scale)
        run("complete", tmp_path / "in.npy", tmp_path / f"out{scale}.npy", "--rank", 2)
    small, large = (np.load(tmp_path / f"out{scale}.npy") for scale in (1.0, 2.0**500))
    np.testing.assert_allclose(large / 2.0**500, small, rtol=1e-9)


def test_column_scale_serves_columns_in_small_units(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.random((60, 1)) @ (rng.random((1, 6)) + 0.5)
    X[:, 3:] = rng.random((60, 1)) @ (rng.random((1, 3)) + 0.5)
    X *= [1, 1, 1, 1e-4, 1e-4, 1e-4]
    holes = rng.random(X.shape) < 0.2
    np.save(tmp_path / "in.npy", np.where(holes, np.nan, X))
    errors = []
    for flag in ([], ["--scale-columns"]):
        run("complete", tmp_path / "in.npy", tmp_path / "out.npy", "--rank", 2, "--force", *flag)
        errors.append(np.abs(np.load(tmp_path / "out.npy") - X)[:, 3:].max())
    assert errors[1] < errors[0] / 3


def test_key_and_markers(tmp_path):
    np.savez(tmp_path / "in.npz", X=np.array([[1, -1], [2, 4]]), y=np.arange(3))
    run("complete", tmp_path / "in.npz", tmp_path / "out.npz", "--key", "X", "--na", "-1", "--rank", 1)
    with np.load(tmp_path / "out.npz") as out:
        assert out["X"][0, 1] == pytest.approx(2, rel=0.05)
        np.testing.assert_array_equal(out["y"], np.arange(3))


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--rank", "0"], "rank 0 must be at least 1"),
        (["--rank", "x"], "'x' is no rank"),
        (["--rank", "3,2"], "choose --model deep"),
        (["--lam", "3"], "choose --model atnmf"),
        (["--delta", "3"], "choose --model eadnmf"),
        (["--model", "atnmf", "--lam", "1"], "lam=1.0 must exceed 1"),
        (["--model", "eadnmf", "--delta", "-1"], "delta=-1.0 must not be negative"),
        (["--alpha", "-1"], "alpha=-1.0 must be"),
        (["--model", "dmf", "--alpha", "1"], "--alpha is not an option of dmf"),
        (["--model", "hqasd", "--solver", "mu"], "--solver of hqasd is one of asd, pf"),
        (["--model", "dmf", "--solver", "mu"], "--solver is not an option of dmf"),
        (["--hidden", "3"], "choose --model dmf"),
        (["--model", "anmf", "--beta", "2"], "beta=2.0 must be"),
        (["--model", "hqasd", "--rank", "2,2"], "several ranks are for the deep models"),
        (["--max-iter", "0"], "max-iter=0 must be"),
        (["--n-init", "0"], "n-init=0 must be"),
        (["--time-limit", "0"], "time-limit=0"),
        (["--tol", "nan"], "tol=nan must be"),
        (["--model", "svd"], "'svd' is not one of"),
        (["--key", "X"], "a text file has none"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_options(table, args, words):
    out = table.with_name("out.csv")
    assert words in refused("complete", table, out, *args)
    assert os.listdir(table.parent) == ["in.csv"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,x\n2,3\n4,5\n", "line 2, column 2 is not a number: 'x'"),
        (b"x,y\n-999,2\n1,3\n2,4\n", "line 2, column 1 (1 in all) looks like a mark of missing cells: say --na -999,"),
        (b"u,i,w\na,x,1\na,y,\nb,x,3\nb,y,4\n", "say --triplets u,i,w, or --columns w for"),
        (b"a,b\n1\n2,3\n4,5\n", "line 2 has 1 cells"),
        (b"a,b\n,\n", "all 2 values are missing"),
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "it is a PNG picture"),
    ],
)
def test_wrong_tables(tmp_path, content, words):
    (tmp_path / "in.csv").write_bytes(content)
    assert words in refused("complete", tmp_path / "in.csv", tmp_path / "out.csv")
    assert os.listdir(tmp_path) == ["in.csv"]


def test_a_sentinel_is_not_made_a_zero_and_can_be_kept(tmp_path):
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("x,y\n-999,2\n1,3\n2,4\n")
    assert "say --na -999," in refused("complete", path, out, "--clip-negative")
    run("complete", path, out, "--clip-negative", "--keep-codes")
    assert out.read_text() == path.read_text()
    run("complete", path, out, "--na", -999, "--rank", 1, "--force")
    assert 0 < float(out.read_text().splitlines()[1].split(",")[0]) < 2


def test_what_is_left_alone_is_told(tmp_path):
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("id,s1,when,s2,\n1,2.5,2020-01-01,?,\n2,,2020-01-02,4,\n3,2.7,2020-01-03,5,\n")
    result = run("complete", path, out, "--rank", 1)
    assert "missing: 2 of 6 values (33.3%), 1 of them by markers such as ? or -\n" in result.stderr
    assert "left alone: 'id' (identifiers), 'when' (dates or times), column 5 (empty); --columns" in result.stderr
    lines = [line.split(",") for line in out.read_text().splitlines()]
    assert [line[::2] for line in lines] == [line.split(",")[::2] for line in path.read_text().splitlines()]
    assert float(lines[2][1]) > 1
    assert float(lines[1][3]) > 1
    result = run("complete", path, out, "--columns", "s1,1", "--rank", 1, "--force")
    assert "left alone: 'when' (dates or times), 's2' (numbers), column 5 (empty)" in result.stderr


def test_a_model_of_either_sign_takes_negative_values(tmp_path):
    X = np.random.default_rng(0).normal(size=(20, 6))
    X[3, 3] = np.nan
    np.save(tmp_path / "in.npy", X)
    told = refused("complete", tmp_path / "in.npy", tmp_path / "out.npy", "--rank", 2)
    assert "negative value" in told
    assert "--model hqasd takes" in told
    run("complete", tmp_path / "in.npy", tmp_path / "out.npy", "--model", "hqasd", "--scale-columns")
    assert np.isfinite(np.load(tmp_path / "out.npy")).all()


def test_wrong_targets_are_found_before_the_fit(table, monkeypatch):
    monkeypatch.setattr("advnmf.cli.complete.fit", lambda *_, **__: pytest.fail("the fit began"))
    before = table.read_bytes()
    for name, words in (
        ("out.xls", "must end in one of"),
        ("no/out.csv", "there is no folder"),
        ("in.csv", "exists already (--force"),
    ):
        assert words in refused("complete", table, table.parent / name)
    (table.parent / "d.csv").mkdir()
    assert "is a folder" in refused("complete", table, table.parent / "d.csv", "--force")
    assert table.read_bytes() == before


def test_in_place_with_force(table):
    run("complete", table, table, "--force", "--rank", 1)
    assert "NA" not in table.read_text()
    assert os.listdir(table.parent) == ["in.csv"]


def test_the_unforeseen_is_one_line_too(table, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("advnmf.cli.complete.fit", fail)
    line = refused("complete", table, table.with_name("out.csv"), code=1)
    assert line == "Error: unexpected ZeroDivisionError: oh (--debug shows where)"
    shown = run("complete", table, table.with_name("out.csv"), "--debug", code=1)
    assert "Traceback" in shown.stderr


def test_a_missing_package_names_the_extra(picture, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    path, mask, *_ = picture
    line = refused("inpaint", path, path.with_name("out.png"), "--mask", mask)
    assert "this needs Pillow, which is not installed: pip install 'advnmf[cli]'" in line


def test_default_rank_follows_the_data():
    assert default_rank((100, 100), 10_000) == 16
    assert default_rank((3, 2), 5) == 1
    assert default_rank((10_000, 10_000), 10**8) == 50
    assert default_rank((1000, 4), 4000) == 1
    assert Settings(model="eadnmf", rank=(4,)).layers((9, 9), 81) == (4, 4)
    assert Settings(model="deep", rank=(4, 3, 2)).layers((9, 9), 81) == (4, 3, 2)


# --- inpaint ------------------------------------------------------------------------------------------------


def test_a_picture_is_inpainted(picture):
    path, mask, pixels, observed = picture
    out = path.with_name("out.png")
    result = run("inpaint", path, out, "--mask", mask, "--rank", 3, "--alpha", 1e-5, "--max-iter", 500)
    assert "30 x 24 pixels, RGB, 8 bit" in result.stderr
    filled = read_picture(out).pixels.astype(int)
    np.testing.assert_array_equal(filled[observed], pixels[observed])
    assert np.abs(filled - pixels)[~observed].mean() < 3


def test_hidden_pixels_have_no_influence(picture):
    path, mask, pixels, observed = picture
    results = []
    for junk in (0, 255):
        write_picture(path, Picture(np.where(observed[:, :, None], pixels, np.uint8(junk))), overwrite=True)
        run("inpaint", path, path.with_name("out.png"), "--mask", mask, "--rank", 2, "--force")
        results.append(read_picture(path.with_name("out.png")).pixels)
    np.testing.assert_array_equal(*results)


def test_polarity(picture):
    path, mask, _, observed = picture
    inverse = mask.with_name("inverse.png")
    write_picture(inverse, Picture(np.where(observed, 0, 255).astype(np.uint8)))
    run("inpaint", path, path.with_name("a.png"), "--mask", mask, "--rank", 2)
    run("inpaint", path, path.with_name("b.png"), "--mask", inverse, "--mask-polarity", "white-missing", "--rank", 2)
    assert path.with_name("a.png").read_bytes() == path.with_name("b.png").read_bytes()


@pytest.mark.parametrize("name", ["out.png", "out.tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_and_alpha_survive(tmp_path, name, channels):
    rng = np.random.default_rng(0)
    base = np.multiply.outer(np.arange(1, 21), np.arange(1, 26)) * 120
    pixels = (base if channels == 1 else np.dstack([base, base // 2, base // 3])).astype(np.uint16)
    alpha = rng.integers(0, 65536, (20, 25)).astype(np.uint16)
    observed = rng.random((20, 25)) > 0.3
    holed = np.where(observed if channels == 1 else observed[:, :, None], pixels, np.uint16(65535))
    write_picture(tmp_path / "in.tiff", Picture(holed, alpha))
    run("inpaint", tmp_path / "in.tiff", tmp_path / name, "--missing-color", "white", "--rank", 1, "--alpha", 0)
    out = read_picture(tmp_path / name)
    assert out.pixels.dtype == np.uint16
    np.testing.assert_array_equal(out.alpha, alpha)
    np.testing.assert_array_equal(out.pixels[observed], pixels[observed])
    assert np.abs(out.pixels.astype(int) - pixels).max() <= 30


def test_jpg_is_said_to_be_lossy(picture):
    path, mask, *_ = picture
    result = run("inpaint", path, path.with_name("out.jpg"), "--mask", mask, "--rank", 2)
    assert "which is lossy" in result.stderr


def test_wrong_pictures(picture):
    path, mask, *_ = picture
    folder, out = path.parent, path.with_name("out.png")
    Image.new("L", (3, 3)).save(folder / "small.png")
    Image.new("L", (30, 24)).save(folder / "black.png")
    (folder / "text.png").write_text("not a picture")
    before = sorted(os.listdir(folder))
    for args, words in (
        ([path, out], "either --mask or --missing-color"),
        ([path, out, "--mask", mask, "--missing-color", "red"], "either --mask or --missing-color"),
        ([path, out, "--mask", folder / "small.png"], "3 x 3 pixels (width x height), the picture 30 x 24"),
        ([path, out, "--mask", folder / "black.png"], "all 720 pixels are missing"),
        ([path, out, "--missing-color", "#ff00ff"], "no pixel of exactly the colour"),
        ([path, out, "--missing-color", "mauve-ish"], "is no colour"),
        ([path, out, "--mask", mask, "--max-pixels", "700"], "720 pixels, more than 700"),
        ([folder / "text.png", out, "--mask", mask], "is no png, jpg, tiff, webp or bmp picture"),
        ([path, folder / "out.gif", "--mask", mask], "must end in one of .png"),
        ([path, path, "--mask", mask], "exists already"),
    ):
        assert words in refused("inpaint", *args)
    assert sorted(os.listdir(folder)) == before


def test_no_hole_makes_a_copy(picture):
    path, _, pixels, _ = picture
    Image.new("L", (30, 24), 255).save(path.with_name("white.png"))
    out = path.with_name("out.png")
    assert "nothing is missing" in run("inpaint", path, out, "--mask", path.with_name("white.png")).stderr
    np.testing.assert_array_equal(read_picture(out).pixels, pixels)


def test_the_inverted_mask_is_refused_where_nothing_is_painted_and_found_out_elsewhere(picture):
    path, _, pixels, observed = picture
    folder, inverse = path.parent, path.with_name("inverse.png")
    write_picture(inverse, Picture(np.where(observed, 0, 255).astype(np.uint8)))
    line = refused("inpaint", path, folder / "out.png", "--mask", inverse, "--rank", 2)
    assert "say --mask-polarity" in line
    assert not (folder / "out.png").exists()
    write_picture(path, Picture(np.where(observed[:, :, None], pixels, np.uint8(255))), overwrite=True)
    result = run("inpaint", path, folder / "out.png", "--mask", inverse, "--rank", 2)
    assert "white-missing (its missing pixels have one colour)" in result.stderr
    np.testing.assert_array_equal(read_picture(folder / "out.png").pixels[observed], pixels[observed])
    result = run("inpaint", path, folder / "b.png", "--mask", inverse, "--mask-polarity", "white-observed", "--rank", 2)
    assert "Warning: " in result.stderr
    assert "is it not --mask-polarity white-missing?" in result.stderr


@pytest.mark.parametrize("args", [[], ["--mask", "alpha"]])
def test_transparent_pixels_are_filled_and_opaque(picture, args):
    path, _, pixels, observed = picture
    junk = np.where(observed[:, :, None], pixels, np.uint8(0))
    write_picture(path, Picture(junk, np.where(observed, 200, 0).astype(np.uint8)), overwrite=True)
    result = run("inpaint", path, path.with_name("out.png"), *args, "--rank", 3, "--alpha", 1e-5, "--max-iter", 500)
    assert "fully transparent pixels are missing, and will be opaque" in result.stderr
    out = read_picture(path.with_name("out.png"))
    np.testing.assert_array_equal(out.alpha, np.where(observed, 200, 255))
    assert np.abs(out.pixels.astype(int) - pixels)[~observed].mean() < 3


def test_every_channel_of_a_tiff_is_filled(picture):
    path, mask, pixels, observed = picture
    four = np.dstack([pixels, pixels[:, :, :1]]).astype(np.uint16) * 100
    holed = np.where(observed[:, :, None], four, np.uint16(0))
    tif, out = path.with_name("in.tif"), path.with_name("out.tif")
    write_picture(tif, Picture(holed))
    assert "RGB and 1 more channel, 16 bit" in run("inpaint", tif, out, "--mask", mask, "--rank", 3).stderr
    filled = read_picture(out).pixels
    np.testing.assert_array_equal(filled[observed], four[observed])
    np.testing.assert_allclose(filled[~observed][:, 3], filled[~observed][:, 0], atol=600)
    assert "a png file cannot hold RGB and 1 more channel" in refused(
        "inpaint", tif, path.with_name("out.png"), "--mask", mask
    )


def test_nodata_of_a_tiff_is_missing_and_what_png_cannot_say_is_told(picture):
    tifffile = pytest.importorskip("tifffile")
    path, _, pixels, observed = picture
    holed = np.where(observed, pixels[:, :, 0], 255).astype(np.uint8)
    tags = [(42113, 2, 4, "255", True), (33550, 12, 3, (1.0, 1.0, 0.0), True)]
    tifffile.imwrite(path.with_name("in.tif"), holed, extratags=tags)
    result = run("inpaint", path.with_name("in.tif"), path.with_name("out.png"), "--rank", 2)
    assert f"{(~observed).sum()} pixels are nodata or NaN: missing" in result.stderr
    assert "will not say what" in result.stderr
    assert "georeference, nodata value" in result.stderr
    np.testing.assert_array_equal(read_picture(path.with_name("out.png")).pixels[observed], holed[observed])


@pytest.mark.parametrize(("nodata", "fill"), [(7, 8), (255, 254), (9, 7), (1.5, 7)])
def test_no_fill_is_the_nodata_value(nodata, fill):
    observed = np.eye(3, dtype=bool)
    value = 255 if nodata == 255 else 7
    image = Picture(np.ones((3, 3), np.uint8), nodata=nodata)
    out = filled(image, observed, np.full((3, 3), value / 255)).pixels
    np.testing.assert_array_equal(out, np.where(observed, 1, fill))


def test_the_fill_of_a_premultiplied_picture_is_no_brighter_than_its_alpha():
    observed = np.eye(3, dtype=bool)
    for value, fill in ((50, 60), (80, 255)):  # colours that exceed their alpha are the file's own way
        image = Picture(np.full((3, 3), value, np.uint8), np.full((3, 3), 60, np.uint8), premultiplied=True)
        assert (filled(image, observed, np.ones((3, 3))).pixels[~observed] == fill).all()


# --- Ctrl-C -------------------------------------------------------------------------------------------------


def test_an_interrupted_fit_is_written(table, monkeypatch):
    """The second sweep is interrupted: by the callback, so that it is sure to be inside the fit."""
    import contextlib

    @contextlib.contextmanager
    def interrupting_bar(*_):
        def callback(record):
            if record.n_iter == 2:
                raise KeyboardInterrupt

        yield callback

    monkeypatch.setattr("advnmf.cli.fitting.progress_bar", interrupting_bar)
    out = table.with_name("out.csv")
    result = run("complete", table, out, "--rank", 1, code=130)
    assert "interrupted; wrote" in result.stderr
    assert "NA" not in out.read_text()


def test_an_interrupted_search_is_written(table, monkeypatch):
    """The third candidate is interrupted."""
    import contextlib

    @contextlib.contextmanager
    def interrupting_bar(*_):
        def callback(look):
            if look.n_tried == 3:
                raise KeyboardInterrupt

        yield callback

    monkeypatch.setattr("advnmf.cli.fitting.search_bar", interrupting_bar)
    out = table.with_name("out.csv")
    result = run("complete", table, out, "--model", "auto", code=130)
    assert "auto: Of 3 candidates" in result.stderr
    assert "; interrupted; wrote" in result.stderr
    assert "NA" not in out.read_text()


def test_interrupted_before_the_fit_nothing_is_written(table, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    for model, name in (("NMF", "nmf"), ("AutoNMF", "auto")):
        monkeypatch.setattr(f"advnmf.{model}.fit", interrupt)
        result = run("complete", table, table.with_name("out.csv"), "--model", name, code=130)
        assert result.stderr.splitlines()[-1] == "Interrupted; nothing was written"
        assert os.listdir(table.parent) == ["in.csv"]


def environment(**more):
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals and SIGINT of POSIX")
def test_ctrl_c_in_a_terminal(tmp_path):
    """A fit without end in a terminal of 60 columns: the bar moves, Ctrl-C keeps what there is."""
    import pty

    X = np.random.default_rng(0).random((300, 200))
    X[::2, ::3] = np.nan
    np.save(tmp_path / "in.npy", X)
    command = ["complete", "in.npy", "out.npy", "--rank", "20", "--max-iter", "10000000", "--tol", "0"]
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *command],
        cwd=tmp_path,
        stderr=terminal,
        stdout=subprocess.PIPE,
        env=environment(COLUMNS="60", TERM="xterm"),
    )
    os.close(terminal)
    seen, sent = b"", False
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            part = os.read(screen, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        seen += part
        if b"loss" in seen and not sent:
            process.send_signal(signal.SIGINT)
            sent = True
    assert process.wait(60) == 130
    assert process.stdout.read() == b""
    process.stdout.close()
    os.close(screen)
    text = seen.decode()
    assert re.search(r"loss \d", text)
    assert "interrupted; wrote out.npy" in text
    out = np.load(tmp_path / "out.npy")
    np.testing.assert_array_equal(out[~np.isnan(X)], X[~np.isnan(X)])
    assert np.isfinite(out).all()


def test_as_a_program(table):
    """Without a terminal there is no bar, errors are one line, and no optional package is loaded too early."""
    command = [sys.executable, "-W", "error", "-m", "advnmf", "complete", "in.csv", "out.csv", "--rank", "1"]
    done = subprocess.run(command, cwd=table.parent, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 4
    again = subprocess.run(command, cwd=table.parent, env=environment(), capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "Error: out.csv exists already (--force, or overwrite=True, replaces it)\n"


@pytest.mark.skipif(os.name == "nt", reason="a shell and devices of POSIX")
@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_is_closed_or_full_does_not_cost_the_result(tmp_path, stderr):
    (tmp_path / "in.csv").write_text("a,b\n1,2\n3,4\n")  # without a hole, for the sake of speed
    command = f"'{sys.executable}' -m advnmf complete in.csv out.csv {stderr}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(), capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "out.csv").read_text() == "a,b\n1,2\n3,4\n"


@pytest.mark.parametrize("threads", ["0", "-1", "x"])
def test_numba_threads_that_are_none(monkeypatch, capsys, threads):
    from advnmf.cli import main

    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr().err == (
        f"Error: the environment variable NUMBA_NUM_THREADS={threads!r} must be a number of threads, at least 1, or "
        "not set\n"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
@pytest.mark.parametrize("name", ["in.csv", "in.npy", "in.mat", "in.parquet", "in.hdr"])
def test_a_pipe_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    options = ["--triplets", "1,2,3"] if name == "in.parquet" else []
    assert "is a pipe or a device" in refused("complete", tmp_path / name, tmp_path / "out.csv", *options)


def test_nothing_of_a_file_controls_the_terminal(tmp_path):
    evil = "\x1b]0;gone\x07\x1b[2J\u202e\x9b"
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    for text in (f"a{evil},b,{evil}\nx,2,\ny,,\nz,3,\n", f"a,b\n1,{evil}\n2,3\n4,5\n", f"u,{evil}\n1,{evil}\n"):
        path.write_text(text, encoding="utf-8")
        for options in ([], ["--columns", evil], ["--triplets", f"a,b,{evil}"], ["--key", evil], ["--na", evil]):
            result = CliRunner().invoke(program, ["complete", str(path), str(out), "--rank", "1", "--force", *options])
            assert all(c.isprintable() or c == "\n" for c in result.output), result.output


def without_extras(code):
    """What Python prints in a process where no optional package can be imported."""
    extras = ["rich", "rich_click", "click", "pandas", "matplotlib", "imageio", "PIL", "tifffile"]
    code = f"import sys\nsys.modules.update(dict.fromkeys({extras}))\n{code}"
    return subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)


def test_the_library_needs_no_extra():
    done = without_extras("import advnmf, advnmf.io.tables, advnmf.io.pictures; print('imported')")
    assert done.stdout == "imported\n", done.stderr


def test_the_command_line_names_its_extra():
    done = without_extras(CODE)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: the command line needs rich_click, which is not installed: pip install 'advnmf[cli]'\n"
    )


# --- demo ---------------------------------------------------------------------------------------------------


def test_demo(tmp_path, monkeypatch):
    """In small, and with fewer sweeps."""
    monkeypatch.setattr("advnmf.cli.demo._SIZE", (36, 24))
    monkeypatch.setattr("advnmf.cli.demo.Settings", partial(Settings, max_iter=30))
    monkeypatch.chdir(tmp_path)
    result = run("demo")
    folder = tmp_path / "advnmf-demo"
    assert len(os.listdir(folder)) == 10
    assert "Mean fill" in result.stdout
    assert result.stdout.count("EADNMF") == 2
    assert all(f"table │ {name}" in re.sub(" +", " ", result.stdout) for name in ("NMF", "HQASD", "DMF", "ANMF"))
    for name in ("comparison.png", "loss-curves.png"):
        height, width = read_picture(folder / name).size
        assert (height > 300, width > 800) == (True, True)
    original = read_picture(folder / "original.png").pixels
    mask = read_picture(folder / "mask.png").pixels > 127
    assert np.count_nonzero(mask) == mask.size // 2
    errors = {}
    for name in ("mean", "nmf", "atnmf", "eadnmf"):
        filled = read_picture(folder / f"filled-{name}.png").pixels
        np.testing.assert_array_equal(filled[mask], original[mask])
        errors[name] = np.sqrt(np.mean((filled / 255 - original / 255)[~mask] ** 2))
    assert max(errors["nmf"], errors["atnmf"], errors["eadnmf"]) < errors["mean"]
    printed = re.findall(r"picture\W+(Mean fill|\w+)\W+([\d.]+)", result.stdout)
    for (_, number), error in zip(printed, errors.values(), strict=True):
        assert float(number) == pytest.approx(error, abs=2e-3)
    (folder / "comparison.png").write_bytes(b"mine")
    assert "exists already" in refused("demo")
    assert (folder / "comparison.png").read_bytes() == b"mine"
    run("complete", folder / "table-with-holes.csv", "out.csv", "--model", "nmf")
    run("inpaint", folder / "holes.png", "out.png", "--mask", folder / "mask.png", "--time-limit", 0.2)


def test_demo_into_a_file(tmp_path):
    (tmp_path / "f").write_text("mine")
    assert "cannot be made a folder" in refused("demo", "--out", tmp_path / "f")
    assert "cannot be made a folder" in refused("demo", "--out", tmp_path / "no" / "folder")


def test_options_reach_the_compared_systems():
    build = lambda **given: Settings(rank=(2,), **given).build((2,), None)  # noqa: E731
    assert build(model="hqasd", solver="pf", eta=3.0).get_params()["eta"] == 3.0
    assert build(model="dmf", hidden=(4, 5), max_iter=7).get_params()["hidden"] == (4, 5)
    assert build(model="anmf", beta=0.25).get_params()["beta"] == 0.25
    # What is left open keeps the default of the model, not that of another.
    assert (build(model="dmf").max_iter, build(model="anmf").tol, build(model="nmf").max_iter) == (1000, 1e-3, 200)


@pytest.mark.usefixtures("brief_search")
def test_auto_says_what_it_chose(table):
    out = table.with_name("out.csv")
    result = run("complete", table, out, "--model", "auto")
    assert "candidates" in result.stderr
    assert "auto: Of" in result.stderr
    assert "rank 1" in result.stderr
    cells = [line.split(",")[1:] for line in out.read_text().splitlines()[1:]]
    truth = np.outer(np.arange(1, 9), [1, 2, 3, 5])
    np.testing.assert_allclose(np.array(cells, float), truth, rtol=0.05)
    for args in (["--rank", 2], ["--max-iter", 9], ["--alpha", 0.1], ["--n-init", 2], ["--solver", "mu"]):
        assert "auto" in refused("complete", table, out, "--force", "--model", "auto", *args)


@pytest.mark.parametrize(
    "option", [["--rank", 1], ["--alpha", 0.1], ["--max-iter", 9], ["--tol", 0.1], ["--solver", "mu"], ["--n-init", 2]]
)
def test_what_auto_would_choose_asks_for_one_fit(table, option):
    result = run("complete", table, table.with_name("out.csv"), *option)
    assert "nmf, rank 1: " in result.stderr


def test_the_seed_and_the_limit_are_for_the_search_too():
    assert Settings.from_options(seed=3, time_limit=9.0).model == "auto"
    assert Settings.from_options(model="auto", seed=3).model == "auto"
    assert Settings.from_options(rank=(3,)).model == "nmf"
    assert Settings.from_options(model="atnmf").model == "atnmf"
