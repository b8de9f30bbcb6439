"""Hyperspectral cubes in ENVI files: read as matrices, completed, written back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from advnmf.io.files import FileError
from advnmf.io.tables import check_table, read_table, write_table

envi = pytest.importorskip("spectral.io.envi")

IGNORE = -9999
LINES, SAMPLES, BANDS = 6, 5, 8
WAVELENGTHS = [f"{400 + 50 * band}.25" for band in range(BANDS)]
# What is missing of the cube, as (line, sample, band) counted from 0; band 3 is bad.
HOLES = [(0, 0, 0), (2, 4, 7), (5, 1, 4), (3, 3, 3)]
BAD = 3


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return rng.gamma(2.0, 1.0, (LINES, SAMPLES, 1)) @ rng.gamma(2.0, 100.0, (LINES, 1, BANDS)).mean(0, keepdims=True)


def save(path, samples, interleave="bip", ext=".img", **metadata):
    envi.save_image(str(path), samples, dtype=samples.dtype, interleave=interleave, ext=ext, metadata=metadata)
    return path


@pytest.fixture
def cube(tmp_path, truth):
    """A cube of 16-bit integers with holes and a bad band."""
    samples = np.rint(truth).astype(np.int16)
    for hole in HOLES:
        samples[hole] = IGNORE
    bbl = [int(band != BAD) for band in range(BANDS)]
    header = {"wavelength": WAVELENGTHS, "bbl": bbl, "data ignore value": IGNORE, "description": "of\ntwo lines"}
    return save(tmp_path / "cube.hdr", samples, "bil", **header)


def stored(path):
    image = envi.open(str(path))
    return np.array(image.open_memmap(interleave="bip")), image.metadata


@pytest.mark.parametrize("interleave", ["bip", "bil", "bsq"])
@pytest.mark.parametrize("dtype", [">i2", "u2", "i4", "f4", "f8", "u1"])
def test_matrix_of_a_cube(tmp_path, truth, interleave, dtype):
    samples = (truth % 256).astype(dtype)
    table = read_table(save(tmp_path / "a.hdr", samples, interleave))
    np.testing.assert_array_equal(table.values, samples.reshape(-1, BANDS))
    assert table.values.dtype == (np.float64 if dtype in ("i4", "f8") else np.float32)
    assert table.cube.shape == (LINES, SAMPLES, BANDS)


def test_ignored_samples_are_missing_and_bad_bands_are_left_out(cube, truth):
    table = read_table(cube)
    expected = np.rint(truth)
    expected[tuple(np.transpose(HOLES))] = np.nan
    expected = np.delete(expected, BAD, axis=2).reshape(-1, BANDS - 1)
    np.testing.assert_array_equal(table.values, expected)


def test_nan_and_further_markers_are_missing(tmp_path, truth):
    samples = truth.astype(np.float32)
    samples[0, 0, 0], samples[1, 2, 3] = np.nan, -1
    table = read_table(save(tmp_path / "a.hdr", samples), na=["-1"])
    assert np.argwhere(table.missing).tolist() == [[0, 0], [SAMPLES + 2, 3]]


def test_a_marker_that_the_type_cannot_hold_is_nowhere(tmp_path, truth):
    """-9999 is 55537 in unsigned 16-bit numbers that wrap around."""
    samples = truth.astype(np.uint16)
    samples[0, 0, 0] = 2**16 - 9999
    assert not read_table(save(tmp_path / "a.hdr", samples, **{"data ignore value": IGNORE})).missing.any()


def test_reading_is_memory_mapped(cube):
    samples = read_table(cube).cube.samples
    while not isinstance(samples, np.memmap):
        samples = samples.base
    assert samples.mode == "r"


def test_written_as_it_was_but_for_the_holes(tmp_path, cube):
    before, header = stored(cube)
    table = read_table(cube)
    write_table(tmp_path / "out.hdr", table, np.full(table.values.shape, 7.6))
    after, new_header = stored(tmp_path / "out.hdr")
    assert after.dtype == before.dtype
    assert new_header == header
    good_holes = [hole for hole in HOLES if hole[2] != BAD]
    assert np.argwhere(after != before).tolist() == sorted(map(list, good_holes))
    assert {int(after[hole]) for hole in good_holes} == {8}
    assert (tmp_path / "out.img").stat().st_size == (tmp_path / "cube.img").stat().st_size


@pytest.mark.parametrize("interleave", ["bip", "bil", "bsq"])
@pytest.mark.parametrize(("dtype", "byteorder"), [("f4", "big"), ("i4", "little")])
@pytest.mark.parametrize("ext", [".img", ".dat", ""])
def test_every_layout_survives(tmp_path, truth, interleave, dtype, byteorder, ext):
    samples = truth.astype(dtype)
    envi.save_image(str(tmp_path / "a.hdr"), samples, interleave=interleave, byteorder=byteorder, ext=ext)
    write_table(tmp_path / "b.hdr", read_table(tmp_path / "a.hdr"))
    assert (tmp_path / f"b{ext}").read_bytes() == (tmp_path / f"a{ext}").read_bytes()
    np.testing.assert_array_equal(stored(tmp_path / "b.hdr")[0], samples)


def test_fillings_stay_within_the_type(tmp_path):
    samples = np.array([[[1, 2], [255, 4]]], np.uint8)
    table = read_table(save(tmp_path / "a.hdr", samples), na=["255", "1"])
    values = np.array([[-3.0, 0], [300, 0]])
    write_table(tmp_path / "b.npy", table, values)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), [[[0, 2], [254, 4]]])  # 255 would be missing again


@pytest.mark.parametrize("name", ["out.npy", "out.npz", "out.mat"])
def test_array_files_hold_the_cube(tmp_path, cube, name):
    from scipy.io import loadmat

    table = read_table(cube)
    write_table(tmp_path / name, table, np.full(table.values.shape, 7.0))
    load = {"npy": np.load, "npz": lambda path: np.load(path)["X"], "mat": lambda path: loadmat(path)["X"]}[name[4:]]
    filled = load(tmp_path / name)
    assert filled.shape == (LINES, SAMPLES, BANDS)
    assert filled[HOLES[0]] == 7
    assert filled[HOLES[-1]] == IGNORE  # of the bad band


def test_a_cube_is_replaced_in_place(cube):
    table = read_table(cube)
    write_table(cube, table, np.full(table.values.shape, 7.0), overwrite=True)
    assert stored(cube)[0][HOLES[0]] == 7


def break_header(text):
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_header("lines = 3\n"), "is no ENVI header"),
        (break_header("ENVI\nlines = 3\n"), "is not a readable ENVI cube"),
        (lambda path: path.with_suffix(".img").unlink(), "no data file"),
        (lambda path: path.with_suffix(".img").write_bytes(b"1234"), "is shorter than the header says"),
        (lambda path: path.unlink(), "does not exist"),
    ],
)
def test_damaged_cubes(cube, damage, words):
    damage(cube)
    with pytest.raises(FileError, match=words):
        read_table(cube)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"bbl": [1, 0]}, "has 2 numbers, but there are 8 bands"),
        ({"bbl": [0] * BANDS}, "calls all 8 bands bad"),
        ({"data ignore value": "none"}, "'data ignore value' in the header is not numeric"),
    ],
)
def test_wrong_header_fields(tmp_path, truth, header, words):
    with pytest.raises(FileError, match=words):
        read_table(save(tmp_path / "a.hdr", truth, **header))


def test_complex_samples_are_refused(tmp_path, truth):
    with pytest.raises(FileError, match="complex64 samples; real numbers are needed"):
        read_table(save(tmp_path / "a.hdr", truth.astype(np.complex64)))


@pytest.mark.parametrize("options", [{"key": "X"}, {"delimiter": ","}, {"header": True}])
def test_options_of_other_formats_are_refused(cube, options):
    with pytest.raises(FileError, match="hdr"):
        read_table(cube, **options)


def test_a_negative_value_is_named_by_its_place_and_its_cure(tmp_path, truth):
    truth[1, 2, 4] = -0.5
    table = read_table(save(tmp_path / "a.hdr", truth, bbl=[1, 0] + [1] * 6))
    with pytest.raises(FileError, match=r"negative value -0.5 at line 2, sample 3, band 5 .*--clip-negative"):
        check_table(table)
    check_table(table, allow_negative=True)


def test_targets_that_cannot_be(tmp_path, cube):
    table = read_table(cube)
    with pytest.raises(FileError, match="not written as text"):
        write_table(tmp_path / "a.csv", table)
    (tmp_path / "a.img").write_bytes(b"other")
    with pytest.raises(FileError, match=r"a\.img exists already"):
        write_table(tmp_path / "a.hdr", table)
    (tmp_path / "b").write_bytes(b"other")
    with pytest.raises(FileError, match="would be taken for its data"):
        write_table(tmp_path / "b.hdr", table, overwrite=True)
    np.save(tmp_path / "m.npy", np.ones((2, 2)))
    with pytest.raises(FileError, match="from a cube only"):
        write_table(tmp_path / "c.hdr", read_table(tmp_path / "m.npy"))


def test_without_spectral_the_extra_is_named(cube, monkeypatch):
    monkeypatch.setitem(sys.modules, "spectral.io.envi", None)
    with pytest.raises(ImportError, match=r"pip install 'advnmf\[cube\]'"):
        read_table(cube)


def test_on_the_command_line(cube, truth, monkeypatch):
    testing = pytest.importorskip("click.testing")
    from advnmf.cli.app import program

    monkeypatch.chdir(cube.parent)
    run = testing.CliRunner().invoke(program, ["complete", "cube.hdr", "out.hdr", "--rank", "1", "--alpha", "1e-6"])
    assert run.exit_code == 0, run.output
    assert "6 lines x 5 samples x 8 bands, 1 of them bad\nmissing: 3 of" in run.output
    filled, _ = stored(Path("out.hdr"))
    for hole in HOLES[:3]:
        assert filled[hole] == pytest.approx(truth[hole], rel=0.02, abs=1)
    assert filled[HOLES[3]] == IGNORE


def test_negative_values_are_clipped_for_the_fit_only(tmp_path, truth, monkeypatch):
    testing = pytest.importorskip("click.testing")
    from advnmf.cli.app import program

    monkeypatch.chdir(tmp_path)
    samples = truth.astype(np.float32)
    samples[1, 1, 1], samples[0, 0, 0] = -0.25, np.nan
    save(Path("a.hdr"), samples)
    refused = testing.CliRunner().invoke(program, ["complete", "a.hdr", "b.npy", "--rank", "1"])
    assert refused.exit_code == 2
    assert "--clip-negative" in refused.output
    run = testing.CliRunner().invoke(program, ["complete", "a.hdr", "b.npy", "--clip-negative", "--rank", "1"])
    assert run.exit_code == 0, run.output
    filled = np.load("b.npy")
    there = ~np.isnan(samples)
    assert filled[there].tobytes() == samples[there].tobytes()
    assert filled[0, 0, 0] > 0


def test_a_pixel_that_is_missing_in_all_bands_is_filled_from_its_neighbours(tmp_path, monkeypatch):
    testing = pytest.importorskip("click.testing")
    from advnmf.cli.app import program

    monkeypatch.chdir(tmp_path)
    y, x, band = np.mgrid[:12, :12, :8]
    cube = 2 + np.sin(y / 3) * (1 + band / 8) / 2 + np.cos(x / 4) * np.exp(-band / 5)
    missing = np.zeros((12, 12), bool)
    missing[[2, 2, 5, 8, 9, 9], [3, 4, 9, 6, 1, 10]] = True
    save(Path("a.hdr"), np.where(missing[..., None], np.nan, cube).astype(np.float32))
    run = testing.CliRunner().invoke(program, ["complete", "a.hdr", "b.npy", "--time-limit", "4"])
    assert run.exit_code == 0, run.output
    filled = np.load("b.npy").reshape(cube.shape)
    of_mean = cube[missing] - cube[~missing].mean(axis=0)
    assert np.square((filled - cube)[missing]).mean() < 0.1 * np.square(of_mean).mean()
