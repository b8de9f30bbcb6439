"""Tables: what was observed comes back as it was, and what is wrong is said in one line."""

import gzip
import io
import os
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.io import loadmat, savemat

from advnmf.io.files import FileError
from advnmf.io.tables import Container, Table, check_table, check_table_target, matlab, read_table, write_table

NAN = np.nan


def save(path, text):
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def round_trip(tmp_path, text, fill=7.0, name="a.csv", **options):
    """The bytes that come out when every hole of a text table is filled with one number."""
    table = read_table(save(tmp_path / name, text), **options)
    write_table(tmp_path / ("out-" + name), table, np.full(table.values.shape, fill))
    return (tmp_path / ("out-" + name)).read_bytes().decode("utf-8", "surrogateescape")


# --- text: reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "header", "index"),
    [
        ("1,2\n3,\n", [[1, 2], [3, NAN]], False, 0),
        ("a,b\n1,2\n3,NA\n", [[1, 2], [3, NAN]], True, 0),
        ("id,a,b\nx,1,2\ny,3,4\n", [[1, 2], [3, 4]], True, 1),
        (",a,b\n0,1,2\n1,3,4\n", [[1, 2], [3, 4]], True, 1),  # pandas, named columns
        (",0,1\n0,5,2\n1,3,\n", [[5, 2], [3, NAN]], True, 1),  # pandas, numbered columns
        (",2001,2002\nx,1,2\ny,3,4\n", [[1, 2], [3, 4]], True, 1),
        ("a\tb\nx\t1\t2\ny\t3\t4\n", [[1, 2], [3, 4]], True, 1),  # R
        (",0.5\n0.3,0.2\n", [[NAN, 0.5], [0.3, 0.2]], False, 0),  # a hole in the corner is no header
        ("2020-01-01,1,2\n2020-01-02,3,4\n", [[1, 2], [3, 4]], False, 1),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", [[5.1, 3.5], [4.9, 3]], False, 1),  # a label that comes again
        ("5.1,3.5,setosa\n4.9,3.0,virginica\n", None, None, None),
        ("x,1,2\ny,3,4\n", None, None, None),
        ("land,1990,1991,1992\nA,1.5,,2\nB,1,2,3\n", [[1.5, NAN, 2], [1, 2, 3]], True, 1),
        ("A,1990,1991,1992\nB,1991,1992,1993\n", None, None, None),
        ("a,b,\n1,2\n3,\n", [[1, 2], [3, NAN]], True, 0),  # only the header ends by a comma
        ("a,b\n1,2,\n3,,\n", [[1, 2], [3, NAN]], True, 1),  # only the rows do: a is no row name
        ("?,2\n3,4\n", [[NAN, 2], [3, 4]], False, 0),
        ("1\n2\n\n", [[1], [2]], False, 0),
        ("a;b\n1;2\n", [[1, 2]], True, 0),
        ("a,b\r1,2\r", [[1, 2]], True, 0),
    ],
)
def test_header_and_labels_by_rule(tmp_path, text, values, header, index):
    path = save(tmp_path / "a.csv", text)
    if values is None:
        with pytest.raises(FileError, match="--header or --no-header"):
            read_table(path)
        return
    table = read_table(path)
    np.testing.assert_array_equal(table.values, values)
    assert (table.text.header, len(table.text.left_alone)) == (header, index)


def test_header_and_labels_as_told(tmp_path):
    path = save(tmp_path / "a.csv", "w,400,410\ns1,1,2\ns2,3,4\n")
    np.testing.assert_array_equal(read_table(path, header=True).values, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(read_table(path, header=False).values, [[400, 410], [1, 2], [3, 4]])
    path = save(tmp_path / "b.csv", "1,2,3\n4,5,6\n")
    np.testing.assert_array_equal(read_table(path, header=True, index_columns=2).values, [[6]])


@pytest.mark.parametrize("text", ["", "NA", "nan", "NaN", "N/A", "#N/A", "null", " na ", '""', '"NA"'])
def test_missing_markers(tmp_path, text):
    table = read_table(save(tmp_path / "a.csv", f"1,{text}\n3,4\n"))
    np.testing.assert_array_equal(table.values, [[1, NAN], [3, 4]])


@pytest.mark.parametrize("marker", ["-999", "-999.0", "-9.99e2"])
def test_a_numeric_marker_is_a_number_in_any_spelling(tmp_path, marker):
    table = read_table(save(tmp_path / "a.csv", f"1,{marker}\n-999,4\n"), na=["-999"])
    np.testing.assert_array_equal(table.values, [[1, NAN], [NAN, 4]])


def test_further_markers(tmp_path):
    table = read_table(save(tmp_path / "a.csv", "1,x\n3,b.d.\n5,6\n"), na=["x", "B.D."])
    np.testing.assert_array_equal(table.values, [[1, NAN], [3, NAN], [5, 6]])


def test_decimal_commas(tmp_path):
    out = round_trip(tmp_path, "a;b\n1,50;\n2;0,5\n", fill=0.25, decimal=",")
    assert out == "a;b\n1,50;0,2\n2;0,5\n"


# --- text: what the columns are, and how their numbers are written ------------------------------------------


def left_alone(tmp_path, text, **options):
    """The columns of a text table that take no part, and what they are."""
    table = read_table(save(tmp_path / "a.csv", text), **options)
    return {column.name or column.at + 1: str(column.kind) for column in table.text.left_alone}


def column_of(values, name="x"):
    """A table with this column between two of numbers."""
    rows = [f"{3 + i % 2}.5,{value},{i % 3 + 1}.25" for i, value in enumerate(values)]
    return "\n".join([f"a,{name},b", *rows]) + "\n"


TEN = range(10)


@pytest.mark.parametrize(
    ("values", "name", "kind"),
    [
        (["u", "v", "", "w w"], "x", "text"),
        (["u", "v", "7", "w"], "x", "text"),
        (["2020-01-31", "", "2020-02-01"], "x", "dates or times"),
        (["31.01.2020", "1.2.2020"], "x", "dates or times"),
        (["12:30", "13:00:05", "9:15 pm"], "x", "dates or times"),
        (["Jan 2020", "February 2020"], "x", "dates or times"),
        (["19730501", "19730502"], "x", "dates or times"),
        (["20200131123000", "20200131124500"], "x", "dates or times"),
        (["2001", "2001", "", "2003"], "Year", "dates or times"),
        (["0.5", "1.0", "2.0"], "time", "dates or times"),
        (["5", "7", "", "7"], "user_id", "identifiers"),
        (["5", "7", "9", "2"], "PassengerId", "identifiers"),
        (["A5", "7", "9", "2"], "sampleID", "identifiers"),
        (["3", "1", "2"], "No", "identifiers"),
        ([7 * i + 20 for i in TEN], "x", "identifiers"),
        ([1990 + i for i in TEN], "x", "identifiers"),
        (["", "-", "NA"], "x", "empty"),
        (["", "", ""], "", "empty"),
    ],
)
def test_a_column_is_left_alone_wherever_it_stands(tmp_path, values, name, kind):
    assert list(left_alone(tmp_path, column_of(values, name)).values()) == [kind]
    first = [row.split(",") for row in column_of(values, name).splitlines()]
    if values[0] and name:
        text = "\n".join(",".join([row[1], row[0], row[2]]) for row in first)
        assert list(left_alone(tmp_path, text).values()) == [kind]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["3.5", "1.2", "", "3.5"], "NO"),  # nitric oxide
        (["3", "1", "1"], "No"),
        (["2", "3", "4"], "x"),  # too few to tell
        ([i * i for i in TEN][::-1], "x"),
        ([*TEN, ""], "x"),  # a row without a number
        ([i + 0.5 for i in TEN], "x"),
        (["1011", "1012", "1013"], "x"),
        (["19730501", "19731501"], "x"),  # no fifteenth month
        (["3", "40", "2"], "month"),
        (["3.5", "1.5", "2"], "time"),  # of a reaction, perhaps
        (["5", "7.5"], "valid"),
        (["54211", "8996351", "5643182"], "y2015"),
        (["1", "?", "2"], "x"),
    ],
)
def test_a_column_of_numbers_is_completed(tmp_path, values, name):
    assert left_alone(tmp_path, column_of(values, name)) == {}


def test_columns_as_told(tmp_path):
    text = column_of(range(10, 20), "n")
    assert left_alone(tmp_path, text) == {"n": "identifiers"}
    assert left_alone(tmp_path, text, columns=["a", "n"]) == {"b": "numbers"}
    assert left_alone(tmp_path, text, columns=["2-3"]) == {"a": "numbers"}
    assert left_alone(tmp_path, text, columns=[1, 2], ignore_columns=["n"]) == {"n": "identifiers", "b": "numbers"}
    assert left_alone(tmp_path, text, ignore_columns=["b,1"]) == {"a": "numbers", "b": "numbers"}
    assert left_alone(tmp_path, "n,m\n" + "\n".join(f"{i},{i}" for i in TEN)) == {}  # there is nothing else
    for told, words in (
        ({"columns": ["z"]}, "no column 'z'; there are 3: 'a', 'n', 'b'"),
        ({"columns": ["4"]}, "no column '4'"),
        ({"columns": ["3-2"]}, "no column '3-2'"),
        ({"columns": [0]}, "no column '0'"),
        ({"ignore_columns": ["1-3"]}, "no column of numbers"),
    ):
        with pytest.raises(FileError, match=words):
            left_alone(tmp_path, text, **told)
    with pytest.raises(FileError, match="several columns 'a': give them by number"):
        left_alone(tmp_path, "a,a\n1,2\n", columns=["a"])
    with pytest.raises(FileError, match="line 2, column 2 is not a number: 'u'"):
        left_alone(tmp_path, column_of(["u", "v"]), columns=["a", "x"])
    with pytest.raises(FileError, match="'x' has no number in it"):
        left_alone(tmp_path, column_of(["", ""]), columns=["a", "x"])


@pytest.mark.parametrize("marker", ["?", "-", "--", ".", "*", "ND", "n.d.", "None", "<NA>", "#N/A", "#DIV/0!", " - "])
def test_markers_in_a_column_of_numbers(tmp_path, marker):
    table = read_table(save(tmp_path / "a.csv", f"a,b\n1.5,{marker}\n3,4\n"))
    np.testing.assert_array_equal(table.values, [[1.5, NAN], [3, 4]])
    assert table.text.markers == (marker != "#N/A")
    assert round_trip(tmp_path, f"a,b\n1.5,{marker}\n3,4\n") == "a,b\n1.5,7\n3,4\n"


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,5", "2", "0,25"], [1.5, 2, 0.25]),
        (["41,000", "0,400", "7,400"], [41, 0.4, 7.4]),  # no thousands begin with 0
        (["41,003", "1234"], [41.003, 1234]),  # who separates thousands separates all
        (["1,234,567", "41,000"], [1234567, 41000]),
        (["1,234.5", "41,000"], [1234.5, 41000]),
        (["1.234,5", "41.000", "2"], [1234.5, 41000, 2]),
        (["1.234.567", "41.000"], [1234567, 41000]),
        (["950", "1,200", "3,451"], [950, 1200, 3451]),  # a trailing zero, though decimals are not fixed
        (["1 234", "12 345 678,5"], [1234, 12345678.5]),
        (["1'234.5", "7"], [1234.5, 7]),
        (["1\u202f234", "7"], [1234, 7]),
        (["1.234", "41.000"], [1.234, 41]),
        (["1e3", "2,5e-1"], [1000, 0.25]),
    ],
)
def test_signs_of_numbers_are_found(tmp_path, cells, values):
    for sign, quote, name in (("\t", "", "a.tsv"), (";", "", "a.csv"), (",", '"', "b.csv")):
        text = "\n".join(["a" + sign + "b", *(f"{quote}{cell}{quote}{sign}{quote}{cell}{quote}" for cell in cells)])
        table = read_table(save(tmp_path / name, text), **({"delimiter": ","} if quote else {}))
        np.testing.assert_allclose(table.values[:, 0], values, rtol=1e-12)
        write_table(tmp_path / ("out" + name), table, overwrite=True)
        assert (tmp_path / ("out" + name)).read_text() == text


def test_ambiguous_signs_are_refused(tmp_path):
    path = save(tmp_path / "a.tsv", "a\tb\n41,000\t190,000\n7,400\t\n")
    with pytest.raises(
        FileError, match=r"line 2, column 1: '41,000' may be 41 or 41000, .* --decimal , or --thousands ,"
    ):
        read_table(path)
    np.testing.assert_array_equal(read_table(path, decimal=",").values, [[41, 190], [7.4, NAN]])
    np.testing.assert_array_equal(read_table(path, thousands=",").values, [[41000, 190000], [7400, NAN]])
    with pytest.raises(FileError, match="no column of numbers"):
        read_table(path, decimal=".")
    with pytest.raises(FileError, match="thousands must be one of"):
        read_table(path, thousands="x")


def test_a_filled_decimal_comma_is_quoted_where_it_separates(tmp_path):
    assert round_trip(tmp_path, 'a,b\n"1,5",2\n,4\n', fill=0.5) == 'a,b\n"1,5",2\n"0,5",4\n'


# --- values that mark what is missing -----------------------------------------------------------------------


def judged(X, **options):
    """What is said of a matrix that is refused; None if it is not."""
    try:
        check_table(Table(np.asarray(X)), **options)
    except FileError as error:
        return str(error)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("code", "values"),
    [
        (-999, RNG.random(50)),
        (-200, RNG.random(50) * 2000),
        (-1, RNG.integers(0, 50, 50)),
        (-9999, RNG.normal(0, 0.01, 50) + 0.05),  # among noise around zero
        (9999, 1013 + RNG.random(50)),
        (999, RNG.random(50) * 100),
        (99.9, RNG.random(50) * 20),
        (65535, RNG.random(50) * 4000),
        (-32768, RNG.random(50) * 4000),
        (1e20, RNG.random(50)),
        (-3.4028234663852886e38, RNG.random(50)),
    ],
)
def test_a_code_is_named_with_the_option_that_says_so(code, values):
    X = np.array(values, float).reshape(25, 2)
    X[3, 1] = X[7, 1] = code
    said = judged(X)
    option = re.search(r"say --na (\S+),", said)[1]
    assert float(option) == code
    assert "--clip-negative" not in said
    assert "row 4, column 2 (2 in all)" in said
    assert judged(X, allow_negative=True) == said
    if abs(code) < 2**31 and code == int(code):
        assert f"--na {code}," in judged(np.rint(X).astype(np.int64))
    assert "looks like" not in str(judged(X, allow_codes=True))


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[1, 2], [-0.01, 3], [-0.02, 4]], "--clip-negative takes them for 0"),
        ([[1, 2], [-0.01, 3], [-0.01, 4]], "--clip-negative takes them for 0"),
        (RNG.normal(size=(20, 3)), "--model hqasd"),
        (np.c_[RNG.normal(15, 10, 50), RNG.random(50) * 1500], "--model hqasd"),  # a temperature
        ([[1, 2], [1, np.inf]], "--na inf"),
    ],
)
def test_what_is_no_code_gets_another_cure(X, words):
    assert words in judged(X)
    assert "looks like" not in judged(X)


@pytest.mark.parametrize(
    "X",
    [
        [[99, 100], [97, 98], [90, 99]],
        [[999, 1], [950, 2], [900, 3]],
        [[9.9, 1], [0.3, 2], [0.4, 3]],
        [[5000, 1], [1, 2], [2, 3]],
        [[0, 1], [0, 2], [255, 3]],
        np.full((3, 3), 9999),
    ],
)
def test_measured_values_are_no_codes(X):
    assert judged(X) is None


# --- text: writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1.0,\n03,4e0\n", "a,b\n1.0,7\n03,4e0\n"),
        ("a,b\r\n1,\r\n,2\r\n", "a,b\r\n1,7\r\n7,2\r\n"),
        ("\ufeffa,b\n1,2\n1,NA", "\ufeffa,b\n1,2\n1,7"),
        ('"a, x","b ""q"""\n"1.50",""\n2,3\n', '"a, x","b ""q"""\n"1.50",7\n2,3\n'),
        ('"two\nlines",b\n1,\n2,3\n', '"two\nlines",b\n1,7\n2,3\n'),
        ("a;b\n1;2\n1;\n\n\n", "a;b\n1;2\n1;7\n\n\n"),
        ("a,b\n 1 , nan \n2,3\n", "a,b\n 1 ,7\n2,3\n"),
        ("id,a\nNA,1\nx,\n", "id,a\nNA,1\nx,7\n"),
    ],
)
def test_only_holes_change(tmp_path, text, expected):
    assert round_trip(tmp_path, text) == expected


def test_labels_in_an_old_encoding_pass_through(tmp_path):
    text = "id,a\nM\xfcller,1\nx,\n".encode("latin-1")
    assert round_trip(tmp_path, text).encode("utf-8", "surrogateescape") == text.replace(b"x,", b"x,7")


cells = st.one_of(
    st.sampled_from(["", "NA", " nan", '""', '"3.10"', "007", "1e-3", "+2", ".5", "1.", "12345678901234567890"]),
    st.floats(0, 1e300).map(repr),
)


@settings(deadline=None)
@given(
    data=st.integers(1, 4).flatmap(lambda w: st.lists(st.lists(cells, min_size=w, max_size=w), min_size=2, max_size=5)),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    sign=st.sampled_from([",", ";", "\t", "|"]),
    last=st.booleans(),
)
def test_any_table_comes_back_but_for_its_holes(tmp_path_factory, data, end, sign, last):
    folder = tmp_path_factory.mktemp("t")
    if [""] in data or set(data[-1]) <= {"", '""'}:  # a blank line, or an empty last row, is none of the rows
        return
    text = end.join(sign.join(row) for row in data) + (end if last else "")
    if not text.strip("\r\n\t "):
        return
    holes = {"", "NA", " nan", '""'}
    empty = [holes.issuperset(column) for column in zip(*data, strict=True)]
    if all(empty):
        return
    options = {"header": False, "index_columns": 0, "delimiter": sign}
    table = read_table(save(folder / "a.csv", text), **options)
    write_table(folder / "b.csv", table, np.full(table.values.shape, 0.5), decimals="full", delimiter=sign)
    expected = [
        ["0.5" if cell in holes and not gone else cell for cell, gone in zip(row, empty, strict=True)] for row in data
    ]
    assert (folder / "b.csv").read_bytes().decode() == end.join(map(sign.join, expected)) + (end if last else "")


def test_other_delimiter_quotes_what_needs_it(tmp_path):
    table = read_table(save(tmp_path / "a.csv", "a\tx,b\n1,2\n3,\n"))
    write_table(tmp_path / "b.tsv", table, np.full((2, 2), 7.0))
    assert (tmp_path / "b.tsv").read_text() == '"a\tx"\tb\n1\t2\n3\t7\n'
    back = read_table(tmp_path / "b.tsv")
    write_table(tmp_path / "c.csv", back)
    assert (tmp_path / "c.csv").read_text() == '"a\tx",b\n1,2\n3,7\n'


def test_holes_stay_holes_without_values(tmp_path):
    table = read_table(save(tmp_path / "a.csv", "a,b\n1,\n"))
    write_table(tmp_path / "b.csv", table)
    assert (tmp_path / "b.csv").read_text() == "a,b\n1,\n"


# --- text: refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n3,x4\n", r"line 3, column 2 is not a number: 'x4'"),
        ('"a\nb",c\n1,2\n3,1_0\n', r"line 4, column 2 is not a number: '1_0'"),
        ("a;b\n1;2,5\n3;4.5\n3;4.5\n", r"line 2, column 2 is not a number: '2,5' \(--ignore-columns 2 leaves"),
        ("1,2\nx,4\n", r"line 2, column 1 is not a number: 'x' \(a column of labels: --index-columns 1; "),
        ("a,b\n1,2,3\n4,5\n", r"line 2 has 3 cells where 2 are expected"),
        ("a,b\n1,2,3\n4,5,6\n7,8\n7,8,9\n", r"line 4 has 2 cells where 3 are expected"),
        ("a,b\n1,2\n3\n", r"line 3 has 1 cells where 2"),
        ('a,b\n1,"2\n3,4\n', r"quote that opens a cell in line 2 is never closed"),
        ("a,b\n", "no row below the header"),
        ("a\nb\nc\n", "there is no column of numbers: 'a' \\(text\\)"),
        ("a,b\nNA,\n,NA\n", "all 4 values are missing"),
        ("  \n\n", "is empty"),
        ("\ufeff", "is empty"),
        ("", "is empty"),
        (b"\x89PNG\r\n\x1a\nxxxx", "no table: it is a PNG picture"),
        (b"\x93NUMPY\x01\x00", "not a readable npy file"),
        (gzip.compress(b"1,2\n", mtime=0)[:-9], "a damaged gz file: it ends early"),
        ("1,2\n".encode("utf-16") + b"\0", "is damaged: it is no utf-16-le text"),
        (b"1,2\0\n", "a binary file"),
    ],
)
def test_wrong_text(tmp_path, text, words):
    with pytest.raises(FileError, match=words) as caught:
        read_table(save(tmp_path / "a.csv", text))
    assert "\n" not in str(caught.value)


def test_wrong_options(tmp_path):
    path = save(tmp_path / "a.csv", "1,2\n3,4\n")
    for options, words in (
        ({"key": "X"}, "a text file has none"),
        ({"delimiter": ",,"}, "cannot be a delimiter"),
        ({"delimiter": ",", "decimal": ","}, "both delimiter and decimal"),
        ({"index_columns": 2}, "no column of numbers: column 1 .labels."),
    ):
        with pytest.raises(FileError, match=words):
            read_table(path, **options)
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    for options, words in (
        ({"header": True}, "header is for tables of text"),
        ({"key": "X"}, "has none"),
        ({"na": ["x"]}, "number"),
    ):
        with pytest.raises(FileError, match=words):
            read_table(tmp_path / "a.npy", **options)
    with pytest.raises(FileError, match=r"must end in one of \.csv"):
        write_table(tmp_path / "a.xls", Table(np.ones((2, 2))))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n-3,4\n", r"negative value -3 at line 3, column 1 \(1 in all\)"),
        ("id,b\nx,inf\ny,-4\n", r"infinite value inf at line 2, column 2"),
    ],
)
def test_values_no_model_can_use(tmp_path, text, words):
    table = read_table(save(tmp_path / "a.csv", text))
    with pytest.raises(FileError, match=words):
        check_table(table)


def test_place_in_an_array_counts_from_one():
    with pytest.raises(FileError, match="row 1, column 2"):
        check_table(Table(np.array([[1.0, -2.0]])))


# --- arrays -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "g"])
def test_npy_keeps_dtype_and_observed_bits(tmp_path, dtype):
    X = np.array([[0.1, NAN], [1 / 3, 4]], dtype)
    np.save(tmp_path / "a.npy", X)
    write_table(tmp_path / "b.npy", read_table(tmp_path / "a.npy"), np.full((2, 2), 1 / 7))
    out = np.load(tmp_path / "b.npy")
    assert out.dtype == X.dtype
    np.testing.assert_array_equal(out, np.where(np.isnan(X), np.array(1 / 7, dtype), X))


@pytest.mark.parametrize("name", ["b.npy", "b.npz", "b.mat"])
@pytest.mark.parametrize("dtype", ["i2", "u1", ">i4", "u8"])
def test_integers_stay_integers(tmp_path, name, dtype):
    """Rounded, within the type, and none of them the marker."""
    X = np.array([[1, 9], [9, 4], [9, 9]], dtype)
    np.save(tmp_path / "a.npy", X)
    table = read_table(tmp_path / "a.npy", na=["9"])
    np.testing.assert_array_equal(table.values, [[1, NAN], [NAN, 4], [NAN, NAN]])
    write_table(tmp_path / name, table, np.array([[0, 2.6], [8.9, 0], [9.3, 1e30]]))
    out = read_table(tmp_path / name).values
    assert out.dtype == np.dtype(dtype).newbyteorder("=" if name == "b.mat" else dtype[0] if dtype[0] == ">" else "=")
    np.testing.assert_array_equal(out[:2], [[1, 3], [8, 4]])
    assert out[2, 0] == 10
    assert out[2, 1] >= np.iinfo(dtype).max - 2**12
    write_table(tmp_path / "c.npy", table)
    np.testing.assert_array_equal(np.load(tmp_path / "c.npy"), X)


def test_filled_floats_are_no_marker(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0, 1], [2, 3.0]]))
    write_table(tmp_path / "b.npy", read_table(tmp_path / "a.npy", na=["0"]), np.zeros((2, 2)))
    assert 0 < np.load(tmp_path / "b.npy")[0, 0] < 1e-300


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_keeps_the_other_arrays(tmp_path, compressed):
    arrays = {"X": np.array([[1, NAN]], "f4"), "file": np.array(["a", "b"]), "n": np.array(3, np.int8)}
    path = tmp_path / "a.npz"
    (np.savez_compressed if compressed else np.savez)(path, **{k: v for k, v in arrays.items() if k != "file"})
    with zipfile.ZipFile(path, "a") as archive:  # np.savez has an argument called file
        archive.writestr("file.npy", bytes_of(np.save, arrays["file"]))
    with pytest.raises(FileError, match="choose one of X, n, file"):
        read_table(path)
    with pytest.raises(FileError, match="no array 'Y'; it holds X, n, file"):
        read_table(path, key="Y")
    table = read_table(path, key="X")
    assert table.container.compressed == compressed
    write_table(tmp_path / "b.npz", table, np.full((1, 2), 2.0))
    with np.load(tmp_path / "b.npz") as out:
        np.testing.assert_array_equal(out["X"], np.array([[1, 2]], "f4"))
        assert out["X"].dtype == np.float32
        assert out["n"].dtype == np.int8
        np.testing.assert_array_equal(out["file"], ["a", "b"])


def test_a_signalling_nan_is_missing(tmp_path):
    """Damage can make one; NumPy's maxima without NaN take it for the largest value."""
    content = bytearray(bytes_of(np.save, np.arange(6.0).reshape(2, 3)))
    content[-40:-32] = (0x7FF4000000000000).to_bytes(8, "little")
    table = read_table(save(tmp_path / "a.npy", bytes(content)))
    assert np.argwhere(table.missing).tolist() == [[0, 1]]
    check_table(table)


def test_another_array_that_is_damaged_is_found_before_the_fit(tmp_path):
    """It is not unpacked for reading, but could not be written again."""
    content = bytearray(bytes_of(np.savez, X=np.ones((2, 2)), y=np.full(9, 7.0)))
    content[content.index(np.full(9, 7.0).tobytes())] ^= 1
    table = read_table(save(tmp_path / "a.npz", bytes(content)), key="X")
    with pytest.raises(FileError, match=r"array .y. of .* cannot be kept in a npz file: Bad CRC-32"):
        check_table_target(tmp_path / "b.npz", table)


def test_mat_keeps_the_other_arrays(tmp_path):
    savemat(tmp_path / "a.mat", {"M": [[1.0, NAN]], "names": ["p", "q"], "s": {"f": 3.0}})
    with pytest.raises(FileError, match="choose one of M, names, s"):
        read_table(tmp_path / "a.mat")
    table = read_table(tmp_path / "a.mat", key="M")
    write_table(tmp_path / "b.mat", table, np.full((1, 2), 2.0))
    out = loadmat(tmp_path / "b.mat")
    np.testing.assert_array_equal(out["M"], [[1, 2]])
    assert list(out["names"]) == ["p", "q"]
    assert out["s"]["f"][0, 0] == 3
    with pytest.raises(FileError, match=r"array 's' of .* cannot be kept in a npz file: a struct"):
        check_table_target(tmp_path / "b.npz", table)


def test_between_formats(tmp_path):
    table = read_table(save(tmp_path / "a.csv", "id,a,b\nx,0.1,\ny,3,4\n"))
    for name in ("b.npy", "b.npz", "b.mat"):
        write_table(tmp_path / name, table, np.full((2, 2), 2.0))
        np.testing.assert_array_equal(read_table(tmp_path / name).values, [[0.1, 2], [3, 4]])
    np.save(tmp_path / "c.npy", np.array([[0.1, NAN]], "f4"))
    write_table(tmp_path / "c.csv", read_table(tmp_path / "c.npy"), np.full((1, 2), 2.0))
    assert (tmp_path / "c.csv").read_text() == "0.1,2.0\n"


def bytes_of(saver, *args, **kwargs):
    stream = io.BytesIO()
    saver(stream, *args, **kwargs)
    return stream.getvalue()


NPY = bytes_of(np.save, np.ones((30, 40)))
NPZ = bytes_of(np.savez, X=np.ones((30, 40)))
MAT = bytes_of(savemat, {"X": np.ones((30, 40))})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.mat", b"1,2\n", "is not a readable mat file"),
        ("a.npy", b"", "is empty"),
        ("a.npy", NPY[:200], "not a readable npy"),
        ("a.npz", NPZ[:200], "not a readable npz"),
        ("a.mat", MAT[:150], "not a readable mat"),
        ("a.npy", bytes_of(np.save, np.array([[{}]]), allow_pickle=True), "pickled Python objects"),
        ("a.npz", bytes_of(np.savez, X=np.array([[{}]])), "pickled Python objects"),
        ("a.npy", b"\x80\x04K\x01.", "it is a Python pickle"),
        ("a.npy", bytes_of(np.save, np.ones((2, 2), complex)), "complex numbers"),
        ("a.npy", bytes_of(np.save, np.array([["a"]])), "text"),
        ("a.npy", bytes_of(np.save, np.ones(3)), r"1 dimensions \(3,\)"),
        ("a.npy", bytes_of(np.save, np.ones((2, 2, 2))), "3 dimensions"),
        ("a.npy", bytes_of(np.save, np.ones((0, 2))), "is empty"),
        ("a.mat", b"MATLAB 7.3 MAT-file" + b" " * 200, "is not a readable HDF5 file: "),
        ("a.mat", b"\x89HDF\r\n\x1a\n" + b" " * 200, "is not a readable HDF5 file: "),
        ("a.mat", bytes_of(savemat, {"X": sparse.eye(3)}), "sparse"),
        ("a.mat", bytes_of(savemat, {"X": np.array([[1, "a"]], object)}), "a cell array"),
    ],
)
def test_wrong_arrays(tmp_path, name, content, words):
    with pytest.raises(FileError, match=words) as caught:
        read_table(save(tmp_path / name, content))
    assert "\n" not in str(caught.value)


def test_any_damage_is_one_line(tmp_path):
    rng = np.random.default_rng(0)
    for kind, content in (("npy", NPY), ("npz", NPZ), ("mat", MAT)):
        for _ in range(40):
            damaged = bytearray(content)
            for at in rng.integers(0, 160, 3):
                damaged[at] = rng.integers(256)
            try:
                table = read_table(save(tmp_path / f"a.{kind}", bytes(damaged)))
            except FileError as error:
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert table.values.ndim == 2


NUMERIC = ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"]


@pytest.mark.parametrize("dtype", NUMERIC)
@pytest.mark.parametrize("compressed", [False, True])
def test_mat_is_read_and_written_as_scipy_does(tmp_path, dtype, compressed):
    X = (np.arange(15).reshape(5, 3) % 2).astype(dtype)
    savemat(tmp_path / "a.mat", {"X": X, "y": [1.5], "t": "text", "c": {"f": 1}}, do_compression=compressed)
    table = read_table(tmp_path / "a.mat", key="X")
    assert table.values.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(table.values, X)
    write_table(tmp_path / "b.mat", table)
    out = loadmat(tmp_path / "b.mat", mat_dtype=True)
    np.testing.assert_array_equal(out["X"], X)
    assert out["X"].dtype == np.dtype(dtype)
    assert (out["y"][0, 0], out["t"][0], out["c"]["f"][0, 0]) == (1.5, "text", 1)
    again = read_table(tmp_path / "b.mat", key="X")
    np.testing.assert_array_equal(again.values, X)


@pytest.mark.parametrize("order", ["<", ">"])
def test_mat_of_either_byte_order(order):
    X = np.array([[1.5, -2], [3, 4]])
    content = matlab.write({"X": X}, matlab.MatFile(order, {}))
    np.testing.assert_array_equal(matlab.read(content).array("X", 1000), X)
    np.testing.assert_array_equal(loadmat(io.BytesIO(content))["X"], X)


def test_doubles_stored_as_bytes_are_doubles():
    """MATLAB stores them so where nothing is lost."""
    content = bytes_of(savemat, {"X": np.ones((2, 2), "u1")})
    at = content.index(b"\x06\0\0\0\x08\0\0\0") + 8
    content = content[:at] + b"\x06" + content[at + 1 :]  # the class of the array
    assert matlab.read(content).array("X", 1000).dtype == np.float64


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "i2", "u2", "u1"])
def test_mat_of_version_4(tmp_path, dtype):
    X = np.arange(6).reshape(2, 3).astype(dtype)
    savemat(tmp_path / "a.mat", {"X": X, "t": "text"}, format="4")
    table = read_table(tmp_path / "a.mat", key="X")
    np.testing.assert_array_equal(table.values, X)
    write_table(tmp_path / "b.mat", table)
    out = loadmat(tmp_path / "b.mat")
    np.testing.assert_array_equal(out["X"], X)
    assert out["t"] == "text"
    write_table(tmp_path / "b.npz", table)
    with np.load(tmp_path / "b.npz") as out:
        assert out["t"].tolist() == ["text"]


def bomb(kind, n_bytes):
    """A small file with an array of zeros of that size."""
    X = np.zeros((n_bytes // 8 // 100, 100))
    if kind == "npz":
        return bytes_of(np.savez_compressed, X=X, y=np.zeros(3))
    return bytes_of(savemat, {"X": X, "y": [0]}, do_compression=True)


@pytest.mark.parametrize("kind", ["npz", "mat"])
def test_no_more_is_unpacked_than_allowed(tmp_path, kind, monkeypatch):
    path = save(tmp_path / f"a.{kind}", bomb(kind, 8_000_000))
    assert path.stat().st_size < 30_000
    with pytest.raises(FileError, match=r"would take 16 MB of memory unpacked, more than 5 MB: --max-memory"):
        read_table(path, key="X", max_bytes=5_000_000)
    monkeypatch.setenv("ADVNMF_MAX_MEMORY", "1MB")
    with pytest.raises(FileError, match="more than 1 MB"):
        read_table(path, key="X")
    assert read_table(path, key="X", max_bytes=17_000_000).values.shape == (10_000, 100)
    # The array that was named is all that is unpacked.
    table = read_table(path, key="y") if kind == "mat" else None
    if table is not None:
        write_table(tmp_path / "b.mat", table)
        assert loadmat(tmp_path / "b.mat")["X"].shape == (10_000, 100)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("(10000000, 10000000)", "bytes are stored for an array of float64 of shape"),
        ("(-1, 4)", "stored for an array"),
        (f"({'9' * 4200}, 4)", "not a readable npy"),
        ("(True, 4)", "not a readable npy"),
    ],
)
def test_a_shape_that_the_file_does_not_hold(tmp_path, shape, words):
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    content = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(32)
    path = save(tmp_path / "a.npy", content)
    with pytest.raises(FileError, match=words):
        read_table(path)


@pytest.mark.parametrize("descr", ["'|V0'", "'<U0'", "[('a', '<f8')]", "'|O'", "('<f8', (2,))", "'<c16'", "'<m8[s]'"])
def test_types_that_are_no_numbers(tmp_path, descr):
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (2, 2), }}".encode()
    content = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(64)
    with pytest.raises(FileError):
        read_table(save(tmp_path / "a.npy", content))


def test_a_head_is_not_unpacked_before_it_is_judged(tmp_path):
    """In version 2 a head of gigabytes can be announced."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x02\x00" + (10**7).to_bytes(4, "little") + b" " * 10**7)
    with pytest.raises(FileError, match="its head has 10000000 bytes"):
        read_table(tmp_path / "a.npz")


def test_archives_that_numpy_never_writes(tmp_path):
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", compression) as archive:
            archive.writestr("X.npy", NPY)
        with pytest.raises(FileError, match=r"'X.npy' is packed in a way that NumPy never uses"):
            read_table(tmp_path / "a.npz")


def test_the_files_that_ended_scipy(data_dir):
    folder = data_dir.parent / "cases" / "safety"
    paths = sorted(folder.glob("*.mat"))
    if not paths:
        pytest.skip(f"there is no mat file in {folder}")
    for path in paths:
        with pytest.raises(FileError, match=r"\.mat"):
            read_table(path)


def test_names_a_mat_file_cannot_hold(tmp_path):
    table = Table(np.ones((2, 2)), container=Container("1 x"))
    with pytest.raises(FileError, match="cannot hold an array named '1 x'"):
        check_table_target(tmp_path / "a.mat", table)
    assert os.listdir(tmp_path) == []


def test_a_large_table_is_read(tmp_path):
    X = np.random.default_rng(0).random((2000, 100))
    path = save(tmp_path / "a.csv", "\n".join(",".join(map(repr, row)) for row in X.tolist()))
    np.testing.assert_array_equal(read_table(path).values, X)
