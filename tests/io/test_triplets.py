"""Tables of (user, item, rating): from arrays, frames and files, to a sparse matrix and back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advnmf import NMF, Triplets, read_triplets
from advnmf.io.files import FileError
from advnmf.io.tables import frames
from advnmf.io.tables.cells import read_cells
from advnmf.io.tables.records import write_records
from advnmf.io.triplets import read_source
from problems import Lazily

pl = Lazily("polars", "test-large")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.parquet")

USERS = ["ann", "bob", "ann", "cy"]
ITEMS = [7, 3, 3, 7]
RATINGS = [4.0, np.nan, 0.0, 2.5]
MATRIX = {("ann", 7): 4.0, ("ann", 3): 0.0, ("cy", 7): 2.5}


def as_dict(triplets):
    """What the matrix stores, by labels."""
    X = triplets.matrix.tocoo()
    return {
        (triplets.users[i], triplets.items[j]): value for i, j, value in zip(X.row, X.col, X.data.tolist(), strict=True)
    }


def frame_of(library, users=USERS, items=ITEMS, ratings=RATINGS):
    columns = {"u": users, "other": range(len(users)), "i": items, "r": ratings}
    if library == "pandas":
        return pd.DataFrame(columns)
    table = pa.table({name: pa.array(list(values), from_pandas=True) for name, values in columns.items()})
    return pl.from_arrow(table) if library == "polars" else table


# --- arrays and frames ---------------------------------------------------------------------------------------------


def test_labels_to_a_matrix_and_back():
    triplets = Triplets.from_arrays(USERS, ITEMS, RATINGS)
    assert triplets.users.tolist() == ["ann", "bob", "cy"]
    assert triplets.items.tolist() == [7, 3]
    assert as_dict(triplets) == MATRIX  # the explicit zero is a rating
    assert triplets.matrix.shape == (3, 2)
    assert triplets.missing.tolist() == [False, True, False, False]
    rows, columns = triplets.pairs(["cy", "dee", "ann"], [3, 7, 99])
    assert (rows.tolist(), columns.tolist()) == ([2, -1, 0], [1, 0, -1])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_every_library_says_the_same(library):
    expected = Triplets.from_arrays(USERS, ITEMS, RATINGS)
    triplets = Triplets.from_frame(frame_of(library), ("u", "i", "r"))
    for name in ("users", "items", "row", "column", "values"):
        np.testing.assert_array_equal(getattr(triplets, name), getattr(expected, name))
    assert Triplets.from_frame(frame_of(library), ("u", "i")).missing.all()


@pytest.mark.parametrize(
    "convert",
    [
        lambda f: f.assign(u=f.u.astype("category"), r=f.r.astype("Float64")),
        lambda f: f.assign(u=f.u.astype("string"), i=f.i.astype("Int64")),
        lambda f: f.set_index(pd.Index([5, 5, 6, 7])),
        lambda f: pl.from_pandas(f).with_columns(pl.col("u").cast(pl.Categorical)),
        lambda f: pa.Table.from_pandas(f).set_column(0, "u", pa.chunked_array([["ann", "bob"], ["ann", "cy"]])),
        lambda f: pa.Table.from_pandas(f).set_column(0, "u", pa.array(f.u).dictionary_encode()),
    ],
)
def test_types_of_columns(convert):
    triplets = Triplets.from_frame(convert(frame_of("pandas")), ("u", "i", "r"))
    assert as_dict(triplets) == MATRIX
    assert triplets.users.tolist() == ["ann", "bob", "cy"]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"users": ["ann", None, "ann", "cy"]}, r"row 1 \(from 0\) has no u: .*1 in all"),
        ({"users": ["ann", "bob", " ", "cy"]}, "row 2"),
        ({"items": [1.0, 2.0, None, 3.0]}, r"row 2 \(from 0\) has no i"),
        ({"ratings": [1.0, -2.0, 3.0, 4.0]}, r"row 1 \(from 0\): r -2 is negative"),
        ({"ratings": [1.0, 2.0, np.inf, 4.0]}, r"row 2 \(from 0\): r inf is infinite"),
        ({"users": [], "items": [], "ratings": np.array([])}, "there is no row"),
    ],
)
def test_rows_without_meaning(library, columns, message):
    with pytest.raises(ValueError, match=message):
        Triplets.from_frame(frame_of(library, **columns), ("u", "i", "r"))


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_text_as_ratings(library):
    with pytest.raises(TypeError, match=r"column 'r' holds .* not numbers"):
        Triplets.from_frame(frame_of(library, ratings=["4", "5", "x", "1"]), ("u", "i", "r"))


def test_wrong_arguments():
    frame = frame_of("pandas")
    with pytest.raises(ValueError, match="no column 'stars'; there are 'u', 'other', 'i', 'r'"):
        Triplets.from_frame(frame, ("u", "i", "stars"))
    with pytest.raises(ValueError, match=r"columns=.* must be those of"):
        Triplets.from_frame(frame, ("u", "u", "r"))
    with pytest.raises(TypeError, match=r"LazyFrame: collect\(\) it first"):
        Triplets.from_frame(pl.LazyFrame({"u": [1]}), ("u", "i", "r"))
    with pytest.raises(TypeError, match="must be a data frame"):
        Triplets.from_frame(np.ones((3, 3)), ("u", "i", "r"))
    with pytest.raises(ValueError, match="same length, got 2, 1 and 2"):
        Triplets.from_arrays(["a", "b"], ["x"], [1, 2])
    with pytest.raises(ValueError, match="ratings must be numbers"):
        Triplets.from_arrays(["a"], ["x"], ["good"])
    with pytest.raises(ValueError, match=r"row 1 .* has no user"):
        Triplets.from_arrays(np.array([1.0, np.nan]), ["x", "y"])
    with pytest.raises(ValueError, match="labels such as 'ann', not such as 1"):
        Triplets.from_arrays(USERS, ITEMS).rows_of([1, 2])


def test_a_pair_rated_twice_counts_with_its_mean():
    triplets = Triplets.from_arrays(["a", "b", "a", "a"], ["x", "x", "x", "x"], [1, 5, 2, np.nan])
    with pytest.warns(UserWarning, match="1 ratings are of pairs that were rated before: each pair gets the mean"):
        assert as_dict(triplets) == {("a", "x"): 1.5, ("b", "x"): 5.0}
    assert as_dict(triplets)  # told once


def test_a_model_predicts_by_labels():
    rng = np.random.default_rng(0)
    truth = rng.random((30, 1)) @ rng.random((1, 20)) + 1
    users, items = (a.ravel() for a in np.meshgrid(np.arange(30), np.arange(20), indexing="ij"))
    hidden = rng.random(600) < 0.3
    order = rng.permutation(600)
    triplets = Triplets.from_arrays(
        [f"u{n}" for n in users[order]], items[order] * 100, np.where(hidden, np.nan, truth.ravel())[order]
    )
    model = NMF(2, alpha_W=1e-4, sparse_missing="absent", max_iter=100, tol=0, random_state=0)
    model.fit(triplets.matrix)
    predicted = model.predict_pairs(*triplets.pairs([f"u{n}" for n in users[hidden]], items[hidden] * 100))
    assert np.abs(predicted - truth.ravel()[hidden]).max() < 0.05


# --- text files ----------------------------------------------------------------------------------------------------

TEXT = 'when,user,film,stars\n1,ann,"Up, again",4\n2,007,Alien,\n\n3,ann,Alien,5.0\n4,cy,"Up, again", NA \n'


@pytest.fixture
def file(tmp_path):
    def write(content, name="in.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


FILM = ("user", "film", "stars")


@pytest.mark.parametrize(
    ("convert", "options"),
    [
        (lambda text: text, {}),
        (lambda text: text.replace("\n", "\r\n"), {}),
        (lambda text: text.replace("\n", "\r"), {}),
        (lambda text: text.rstrip("\n"), {}),
        (lambda text: "\ufeff" + text, {}),
        (lambda text: text.replace(",", "\t").replace('"Up\t again"', '"Up, again"'), {}),
        (lambda text: text.replace("5.0", '"5.0"').replace("ann", '"ann"', 1), {}),
        (lambda text: text.replace("Alien,\n", "Alien,-1\n"), {"na": ["-1"]}),
        (lambda text: text.replace("Alien,\n", "Alien,?\n"), {}),
        (lambda text: text.replace(",", ";").replace("Up; a", "Up, a").replace("5.0", "5,0"), {"decimal": ","}),
    ],
)
def test_text_is_read_as_it_stands(file, convert, options):
    triplets = read_triplets(file(convert(TEXT)), FILM, **options)
    assert triplets.users.tolist() == ["ann", "007", "cy"]
    assert triplets.items.tolist() == ["Up, again", "Alien"]
    assert as_dict(triplets) == {("ann", "Up, again"): 4.0, ("ann", "Alien"): 5.0}
    assert triplets.missing.tolist() == [False, True, False, True]


def test_columns_by_number(file):
    triplets = read_triplets(file("1\t10\t5\t88\n2\t10\t3\t89\n", "u1.base"), (1, 2, 3))
    assert as_dict(triplets) == {("1", "10"): 5.0, ("2", "10"): 3.0}
    assert read_triplets(file("1\t10\n2\t10\n", "pairs"), (2, 1)).missing.all()


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip),
            st.sampled_from(
                ["x", "a long label, with a comma", 'a "quoted" one', "two\nlines", "8 bytes.", "8 bytes.9"]
            ),
            st.floats(0, 5).map(lambda x: round(x, 3)),
        ),
        min_size=1,
    )
)
def test_what_is_written_is_read(tmp_path_factory, rows):
    users, items, ratings = (list(column) for column in zip(*rows, strict=True))
    path = tmp_path_factory.mktemp("any") / "in.tsv"
    columns = {"user": np.array(users, object), "item": np.array(items, object), "rating": np.array(ratings)}
    write_records(path, columns)
    got, expected = read_triplets(path), Triplets.from_arrays(np.array(users, object), np.array(items, object), ratings)
    for name in ("users", "items", "row", "column", "values"):
        assert getattr(got, name).tolist() == getattr(expected, name).tolist()


def test_cells_of_any_length_are_told_apart(file):
    cells = ["", "a", "b", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaab", "a" * 16, "a" * 17, "ä", "a" * 1000, "baaaaaaa"]
    rng = np.random.default_rng(0)
    drawn = [cells[k] for k in rng.integers(0, len(cells), 500)]
    codes, labels = read_cells(file("\n".join(f"{cell},1" for cell in drawn))).column(0, 0)
    assert [labels[code] for code in codes] == drawn
    assert labels == list(dict.fromkeys(drawn))


def test_filled_text_is_the_same_text(file):
    for ends in ("\n", "\r\n"):
        text = ("\ufeff" + TEXT).replace("\n", ends)
        source = read_source(file(text), FILM)
        filled = source.filled(np.array([9, 2.5, 9, 1 / 3])).decode()
        assert filled == text.replace("Alien," + ends, "Alien,2.5" + ends).replace(" NA ", "0.33333333")
    comma = file("user;film;stars\na;x;1,5\na;y;\n")
    assert read_source(comma, FILM, decimal=",").filled(np.array([9, 2.25])).endswith(b"\na;x;1,5\na;y;2,25\n")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stars", "Stars", "there is no column 'stars' in the header when, user, film, Stars"),
        ("when", "user", "there are several columns 'user'"),
        ("5.0", "-5", "line 5: stars -5 is negative .*--na -5"),
        ("5.0", "inf", "line 5: stars inf is infinite"),
        ("5.0", "good", "line 5: stars 'good' is not a number: correct it, or leave it empty"),
        ("5.0", '"5,0"', "line 5: stars '5,0' is not a number .decimal commas"),
        ("3,ann", "3,", r"line 5 has no user: name it, or leave the row out \(1 in all\)"),
        ("3,ann,Alien", '3,ann,""', "line 5 has no film"),
        ("3,ann", "ann", "line 5 has 3 cells where line 1 has 4"),
        ("3,ann", '3,an"n', "a quote in line 5 does not enclose a cell"),
        ("3,ann", '3,"ann', "a quote in line . does not enclose a cell"),
        (TEXT[20:], "", "there is no row below the header"),
        (TEXT, "\n \n", "is empty"),
        (TEXT, "\x1f\x8b\x08", "is a damaged gz file: it ends early"),
    ],
)
def test_wrong_text(file, old, new, message):
    assert old in TEXT
    path = file(TEXT.replace(old, new).encode("latin-1"))
    with pytest.raises(FileError, match=rf"^{path}.*{message}") as raised:
        read_triplets(path, FILM)
    assert "\n" not in str(raised.value)


def test_header_or_none(file):
    with pytest.raises(FileError, match="line 1: rating 'stars' is not a number; columns of a file with a header"):
        read_triplets(file(TEXT), (2, 3, 4))
    with pytest.raises(FileError, match="there is no column 9; there are 4: when, user"):
        read_triplets(file(TEXT), (2, 3, 9))
    with pytest.raises(FileError, match=r"no column 'user' in the header 1, 2, 3; .* by number"):
        read_triplets(file("1,2,3\n"))
    with pytest.raises(FileError, match="does not exist"):
        read_triplets("nowhere.csv")


# --- parquet -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["pyarrow", "polars"])
def library(request, monkeypatch):
    if request.param == "polars":
        pytest.importorskip("polars", reason="polars is not installed: see the extra test-large")
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    return request.param


def test_parquet(tmp_path, library):
    path = tmp_path / "in.parquet"
    frame_of("polars").write_parquet(path)
    source = read_source(path, ("u", "i", "r"))
    assert type(source.content).__module__.startswith(library)
    assert as_dict(source.triplets) == MATRIX
    frames.write_parquet(tmp_path / "out.parquet", source.filled(np.full(4, 9.5)))
    before, after = pl.read_parquet(path), pl.read_parquet(tmp_path / "out.parquet")
    assert after.schema == before.schema
    assert after["r"].to_list() == [4.0, 9.5, 0.0, 2.5]
    assert after.drop("r").equals(before.drop("r"))
    assert as_dict(read_triplets(path, (1, 3, 4))) == MATRIX
    with pytest.raises(FileError, match="no column 'x' in the header u, other, i, r"):
        read_triplets(path, ("u", "i", "x"))
    content = path.read_bytes()
    for damaged in (b"hello", content[:-50], content[:4] + bytes(100) + content[104:]):
        (tmp_path / "bad.parquet").write_bytes(damaged)
        with pytest.raises(FileError, match=r"bad\.parquet cannot be read as parquet"):
            read_triplets(tmp_path / "bad.parquet", ("u", "i", "r"))


def test_a_parquet_bomb(tmp_path, library):
    """Two million equal numbers are some kilobytes."""
    path = tmp_path / "in.parquet"
    zeros = np.zeros(2_000_000, np.int64)
    pl.DataFrame({"user": zeros, "item": zeros, "rating": zeros}).write_parquet(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(FileError, match="of memory unpacked, more than 20 MB: --max-memory"):
        read_triplets(path, max_bytes=20_000_000)
    assert len(read_triplets(path)) == 2_000_000


def test_a_long_label_that_comes_again_and_again(tmp_path):
    labels = pa.array(["x" * 10_000] * 10_000)
    path = tmp_path / "in.parquet"
    pa.parquet.write_table(pa.table({"user": labels, "item": labels, "rating": np.ones(10_000)}), path)
    with pytest.raises(FileError, match="of memory unpacked, more than 20 MB"):
        read_triplets(path, max_bytes=20_000_000)


def test_a_reader_that_dies_is_one_line(tmp_path, monkeypatch):
    frame_of("polars").write_parquet(tmp_path / "in.parquet")
    monkeypatch.setattr("advnmf.io.tables.children.sys.executable", "/bin/false")
    with pytest.raises(FileError, match=r"in\.parquet cannot be read as parquet: its reader died of it \(code 1\)"):
        read_triplets(tmp_path / "in.parquet", ("u", "i", "r"))


def test_types_that_are_no_labels(tmp_path, library):
    pl.DataFrame({"user": [[1], [2]], "item": ["x", "y"], "rating": [1.0, 2]}).write_parquet(tmp_path / "in.parquet")
    with pytest.raises(FileError, match=r"in\.parquet: "):
        read_triplets(tmp_path / "in.parquet")


def test_whole_ratings_become_floats_where_holes_are_filled(tmp_path, library):
    pl.DataFrame({"user": ["a", "a"], "item": ["x", "y"], "rating": [3, None]}).write_parquet(tmp_path / "in.parquet")
    filled = read_source(tmp_path / "in.parquet", ("user", "item", "rating")).filled(np.array([0, 2.5]))
    frames.write_parquet(tmp_path / "out.parquet", filled)
    assert pl.read_parquet(tmp_path / "out.parquet")["rating"].to_list() == [3.0, 2.5]


def test_records_as_parquet(tmp_path, library):
    columns = {"user": np.array(["a", "b"], object), "rank": np.array([1, 2]), "rating": np.array([0.1, 2])}
    write_records(tmp_path / "out.parquet", columns)
    assert pl.read_parquet(tmp_path / "out.parquet").to_dict(as_series=False) == {
        name: values.tolist() for name, values in columns.items()
    }


def test_without_a_library_text_is_read_and_parquet_names_the_extra(file):
    path = file(TEXT)
    code = (
        "import sys\nsys.modules.update(dict.fromkeys(['pandas', 'polars', 'pyarrow']))\n"
        f"from advnmf import read_triplets\nprint(len(read_triplets({str(path)!r}, {FILM!r})))\n"
        "read_triplets('x.parquet')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "4\n"
    assert done.stderr.splitlines()[-1].endswith(
        "x.parquet: parquet and feather need pyarrow or polars, none is installed: pip install 'advnmf[ratings]'"
    )
