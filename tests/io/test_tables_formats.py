"""Tables in the formats of other libraries: only the holes change, and damage is one line."""

import contextlib
import datetime
import io
import zipfile

import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmread, mmwrite

from advnmf.io.files import FileError
from advnmf.io.tables import children, read_table, write_table

NAN = np.nan
VALUES = np.array([[1.5, NAN, 3.0], [4.0, 5.25, 6.0], [NAN, 8.0, 9.5], [1.0, 2.0, 0.5]])


def saved(path, table, fill=7.0):
    write_table(path, table, np.full(table.values.shape, fill))
    return path


# --- workbooks ----------------------------------------------------------------------------------------------


@pytest.fixture
def workbook(tmp_path):
    """A sheet with a title, units, dates, text, a formula and holes."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Data"
    for row in (["Report"], [], ["day", "site", "n", "x"], [None, None, None, "ppm"]):
        sheet.append(row)
    for i in range(3):
        sheet.append([datetime.datetime(2020, 1, i + 1), f"s,{i}", None if i == 1 else 10 + i * i, 1.25 * (i + 1)])
    sheet["D6"] = "n/a"
    sheet["F2"] = "=SUM(C5:C7)"
    book.create_sheet("empty")
    book.save(tmp_path / "in.xlsx")
    return tmp_path / "in.xlsx"


def test_a_sheet_is_a_table_and_only_its_holes_are_filled(tmp_path, workbook):
    openpyxl = pytest.importorskip("openpyxl")
    table = read_table(workbook, columns=["n", "x"])
    assert table.names == ("n", "x")
    np.testing.assert_array_equal(table.values, [[10, 1.25], [NAN, NAN], [14, 3.75]])
    assert [c.kind for c in table.left_alone][:2] == ["dates or times", "text"]
    assert table.place(1, 0) == "row 6, column 3"
    before = openpyxl.load_workbook(workbook)
    after = openpyxl.load_workbook(saved(tmp_path / "out.xlsx", table, 7.126))
    assert after.sheetnames == before.sheetnames
    assert (after["Data"]["C6"].value, after["Data"]["D6"].value) == (7, 7.13)
    for row in before["Data"].iter_rows():
        for cell in row:
            if cell.coordinate not in ("C6", "D6"):
                assert after["Data"][cell.coordinate].value == cell.value


def test_a_workbook_and_text(tmp_path, workbook):
    text = saved(tmp_path / "out.csv", read_table(workbook)).read_text().splitlines()
    assert text[2].startswith("day,site,n,x")
    assert text[5].startswith('2020-01-02,"s,1",7,7')
    back = read_table(saved(tmp_path / "back.xlsx", read_table(tmp_path / "out.csv")))
    np.testing.assert_array_equal(back.values, [[10, 1.25], [7, 7], [14, 3.75]])


def test_sheets_by_name(tmp_path, workbook):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(workbook)
    book["empty"].append([1, 2])
    book.save(workbook)
    with pytest.raises(FileError, match="several sheets: choose one of 'Data', 'empty' with --key"):
        read_table(workbook)
    np.testing.assert_array_equal(read_table(workbook, key="empty").values, [[1, 2]])
    with pytest.raises(FileError, match="no sheet 'x'; it has 'Data', 'empty'"):
        read_table(workbook, key="x")


def test_a_hole_that_is_a_formula_is_refused(workbook):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(workbook)
    book["Data"]["C6"] = "=1+1"
    book.save(workbook)
    with pytest.raises(FileError, match=r"cell C6 is a formula whose value is not stored: .* --ignore-columns 3"):
        read_table(workbook)


# --- columns with types -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_columns_keep_their_types(tmp_path, kind):
    pa = pytest.importorskip("pyarrow")
    feather, parquet = pytest.importorskip("pyarrow.feather"), pytest.importorskip("pyarrow.parquet")
    big = 2**60 + 1
    frame = pa.table(
        {
            "id": pa.array(range(9)),
            "when": pa.array([datetime.date(2020, 1, 1)] * 9),
            "a": pa.array([1.5, None, *[2.5] * 7], pa.float32()),
            "n": pa.array([big, None, *range(7)], pa.int64()),
            "s": ["u"] * 9,
            "none": pa.nulls(9, pa.float64()),
        }
    )
    path = tmp_path / f"in.{kind}"
    (parquet.write_table if kind == "parquet" else feather.write_feather)(frame, path)
    table = read_table(path)
    assert table.names == ("a", "n")
    assert [str(c.kind) for c in table.left_alone] == ["identifiers", "dates or times", "text", "empty"]
    assert np.isnan(table.values[1]).all()
    write_table(tmp_path / f"out.{kind}", table, np.full((9, 2), 6.7))
    back = (parquet if kind == "parquet" else feather).read_table(tmp_path / f"out.{kind}")
    assert back.schema.types == frame.schema.types
    assert back["n"].to_pylist() == [big, 7, *range(7)]
    assert back["a"].to_pylist()[:2] == [1.5, pytest.approx(6.7)]
    assert back.drop_columns(["a", "n"]) == frame.drop_columns(["a", "n"])
    assert saved(tmp_path / "out.csv", table).read_text().splitlines()[2] == "1,2020-01-01,7.0,7.0,u,"
    assert read_table(path, columns=["a"]).names == ("a",)
    with pytest.raises(FileError, match="row 1, column 5 is not a number: 'u'"):
        read_table(path, columns=["s"])
    with pytest.raises(FileError, match="decimal is for tables of text"):
        read_table(path, decimal=",")


# --- HDF5 ---------------------------------------------------------------------------------------------------


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file.create_dataset("g/X", data=VALUES.astype("f4"), compression="gzip").attrs["unit"] = "m"
        file["y"] = np.arange(3)
    table = read_table(tmp_path / "in.h5")
    np.testing.assert_array_equal(table.values, VALUES.astype("f4"))
    with h5py.File(saved(tmp_path / "out.h5", table)) as file:
        np.testing.assert_array_equal(file["g/X"][()], np.nan_to_num(VALUES, nan=7.0))
        assert (file["g/X"].dtype, file["g/X"].attrs["unit"], file["g/X"].compression) == ("f4", "m", "gzip")
        np.testing.assert_array_equal(file["y"], [0, 1, 2])
    with h5py.File(tmp_path / "in.h5", "a") as file:
        file["n"] = np.full((2, 2), 9)
    with pytest.raises(FileError, match="several matrices: choose one of 'g/X', 'n' with --key"):
        read_table(tmp_path / "in.h5")
    with pytest.raises(FileError, match="no matrix of numbers 'y'; it has 'g/X', 'n'"):
        read_table(tmp_path / "in.h5", key="y")
    holes = read_table(tmp_path / "in.h5", key="n", na=["9"])
    with h5py.File(saved(tmp_path / "out2.h5", holes, 3.4)) as file:
        np.testing.assert_array_equal(file["n"], np.full((2, 2), 3))
    with pytest.raises(FileError, match="would take 96 bytes of memory unpacked, more than 50 bytes"):
        read_table(tmp_path / "in.h5", key="g/X", max_bytes=50)


def test_matlab_7_3(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "in.mat", "w", userblock_size=512) as file:
        file["X"] = VALUES.T
    content = bytearray((tmp_path / "in.mat").read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"
    (tmp_path / "in.mat").write_bytes(content)
    table = read_table(tmp_path / "in.mat")
    np.testing.assert_array_equal(table.values, VALUES)
    back = read_table(saved(tmp_path / "out.mat", table))
    np.testing.assert_array_equal(back.values, np.nan_to_num(VALUES, nan=7.0))
    assert (tmp_path / "out.mat").read_bytes().startswith(b"MATLAB 7.3")


def annotated(path, X):
    """An h5ad file as anndata lays it out."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"] = "anndata"
        if sparse.issparse(X):
            group = file.create_group("X")
            group.attrs["encoding-type"], group.attrs["shape"] = f"{X.format}_matrix", X.shape
            group["data"], group["indices"], group["indptr"] = X.data, X.indices, X.indptr
        else:
            file["X"] = X
        for axis, n in (("obs", X.shape[0]), ("var", X.shape[1])):
            group = file.create_group(axis)
            group.attrs["_index"] = "_index"
            group.create_dataset("_index", data=[f"{axis}{k}" for k in range(n)], dtype=h5py.string_dtype())
    return path


@pytest.mark.parametrize("form", ["dense", "csc"])
def test_h5ad(tmp_path, form):
    X = np.where(VALUES == 3, 0, VALUES)
    stored = X if form == "dense" else sparse.csr_array(X).asformat(form)
    path = annotated(tmp_path / "in.h5ad", stored)
    table = read_table(path)
    np.testing.assert_array_equal(table.values, X)
    assert table.names == ("var0", "var1", "var2")
    np.testing.assert_array_equal(read_table(saved(tmp_path / "out.h5ad", table)).values, np.nan_to_num(X, nan=7.0))
    assert saved(tmp_path / "out.csv", table).read_text().splitlines()[:2] == [",var0,var1,var2", "obs0,1.5,7.0,0.0"]
    if form != "dense":
        assert "does not store is taken for zero; --unstored missing" in table.notes[0]
        other = read_table(path, unstored="missing")
        assert np.isnan(other.values[0, 2])
        np.testing.assert_array_equal(read_table(saved(tmp_path / "full.h5ad", other)).values[0], [1.5, 7, 7])


def test_the_indices_of_a_file_are_not_believed(tmp_path):
    X = sparse.csr_array(VALUES)
    X.indices[2] = 10**6
    with pytest.raises(FileError, match="sparse matrix is damaged: the indices do not fit its shape"):
        read_table(annotated(tmp_path / "in.h5ad", X))


# --- sparse matrices ----------------------------------------------------------------------------------------

RATINGS = sparse.coo_array(([5.0, 3.0, 4.0], ([0, 1, 1], [1, 0, 2])), (2, 3))


@pytest.mark.parametrize("kind", ["mtx", "csr", "csc", "coo"])
def test_sparse_matrices(tmp_path, kind):
    name = "in.mtx" if kind == "mtx" else "in.npz"
    X = RATINGS
    for stored, unstored in ((X, "missing"), (sparse.coo_array(([NAN, 3, 4], X.coords), X.shape), "zero")):
        if kind == "mtx":
            mmwrite(tmp_path / name, stored, comment=" of films")
        else:
            sparse.save_npz(tmp_path / name, stored.asformat(kind))
        table = read_table(tmp_path / name)
        there = stored.toarray() != 0
        np.testing.assert_array_equal(
            table.values, np.where(there, stored.toarray(), 0.0 if unstored == "zero" else NAN)
        )
        assert f"does not store is taken for {unstored}" in table.notes[0]
        write_table(tmp_path / f"out{name}", table, np.full((2, 3), 7.0), overwrite=True)
        read = mmread if kind == "mtx" else sparse.load_npz
        back = read(tmp_path / f"out{name}")
        back = back.toarray() if sparse.issparse(back) else back
        np.testing.assert_array_equal(back, np.where(table.missing, 7, table.values))
        other = read_table(tmp_path / name, unstored="zero" if unstored == "missing" else "missing")
        assert np.isnan(other.values).any() == (unstored == "zero")


def test_symmetric_and_dense_matrix_market(tmp_path):
    mmwrite(tmp_path / "in.mtx", sparse.coo_array(np.array([[0, 2.0], [2, 3]])), symmetry="symmetric")
    np.testing.assert_array_equal(read_table(tmp_path / "in.mtx").values, [[NAN, 2], [2, 3]])
    mmwrite(tmp_path / "d.mtx", VALUES)
    table = read_table(tmp_path / "d.mtx")
    np.testing.assert_array_equal(table.values, VALUES)
    np.testing.assert_array_equal(mmread(saved(tmp_path / "out.mtx", table)), np.nan_to_num(VALUES, nan=7.0))


BANNER = b"%%MatrixMarket matrix coordinate real general\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BANNER + b"2 2 1\n3 1 5\n", "an entry lies outside of the matrix of 2 x 2"),
        (BANNER + b"2 2 2\n1 1 5\n", "holds 3 numbers for 2 entries"),
        (BANNER + b"99999999 99999999 0\n", "of memory unpacked"),
        (BANNER + b"2 2 1\n1 x 5\n", "not a readable mtx"),
        (BANNER.replace(b"real", b"complex") + b"2 2 0\n", "complex numbers, real ones are needed"),
        (BANNER, "not a readable mtx"),
    ],
)
def test_wrong_matrix_market(tmp_path, content, words):
    (tmp_path / "in.mtx").write_bytes(content)
    with pytest.raises(FileError, match=words):
        read_table(tmp_path / "in.mtx")


# --- damage -------------------------------------------------------------------------------------------------


def test_damaged_workbooks_and_matrices_are_one_line(tmp_path, workbook):
    mmwrite(tmp_path / "a.mtx", RATINGS)
    sparse.save_npz(tmp_path / "a.npz", RATINGS.tocsr())
    rng = np.random.default_rng(0)
    for path in (workbook, tmp_path / "a.mtx", tmp_path / "a.npz"):
        content = path.read_bytes()
        for _ in range(40):
            damaged = bytearray(content[: rng.integers(1, len(content))] if rng.integers(2) else content)
            for k in rng.integers(0, len(damaged), 3):
                damaged[k] = rng.integers(256)
            path.write_bytes(damaged)
            with contextlib.suppress(FileError):  # which is one line by itself
                read_table(path)


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
        archive.writestr("xl/worksheets/sheet1.xml", " " * 3_000_000)
    with pytest.raises(FileError, match="of memory unpacked, more than 1 MB"):
        read_table(tmp_path / "in.xlsx", max_bytes=10**6)


def test_a_reader_that_dies_is_one_line(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["X"] = VALUES
    monkeypatch.setattr(children.sys, "executable", "/bin/false")
    with pytest.raises(FileError, match=r"its reader died of it \(code 1\)"):
        read_table(tmp_path / "in.h5")


@pytest.mark.parametrize(("module", "name", "extra"), [("openpyxl", "a.xlsx", "excel"), ("h5py", "a.h5", "hdf5")])
def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch, module, name, extra):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    (tmp_path / name).write_bytes(stream.getvalue() if extra == "excel" else b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImportError, match=rf"needs {module}, .* pip install 'advnmf\[{extra}\]'"):
        read_table(tmp_path / name)
