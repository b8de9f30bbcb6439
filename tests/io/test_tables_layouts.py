"""Files as they come: what is a row, a name, a unit or a remark, told by the file alone."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile

import numpy as np
import pytest

from advnmf.cli.reading import describe
from advnmf.io.files import FileError
from advnmf.io.tables import read_table, write_table

NAN = np.nan


def save(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*parts):
    return "\n".join(parts) + "\n"


# Content; names of the completed columns; the matrix; kinds of the columns left alone; lines skipped.
LAYOUTS = {
    "UCI: white space, ?, quoted names behind a tab": (
        lines('18.0   8   307.0  ?     3504.\t"chevrolet malibu"', '15.5   4   350.  165.0  3693.\t"ford"'),
        (),
        [[18, 8, 307, NAN, 3504], [15.5, 4, 350, 165, 3693]],
        ["text"],
        {},
    ),
    "UCI: commas and blanks, the first row out of order": (
        lines("8,?,0.2,1,town a,0.3", "7,5, 0.1,?,town b,0.4", "8,6,0.3,2,town c,0.1"),
        (),
        [[8, NAN, 0.2, 1, 0.3], [7, 5, 0.1, NAN, 0.4], [8, 6, 0.3, 2, 0.1]],
        ["text"],
        {},
    ),
    "semicolons, decimal commas, empty columns and rows at the end": (
        lines("Date;Time;CO;T;;", "10/03/2004;18.00.00;2,6;13,6;;", "10/03/2004;19.00.00;;-1,3;;", ";;;;;", ";;;;;"),
        ("CO", "T"),
        [[2.6, 13.6], [NAN, -1.3]],
        ["dates or times", "dates or times", "empty", "empty"],
        {"empty rows": 2},
    ),
    "World Bank: preamble, quotes, a comma at the end": (
        lines(
            '"Data Source","World Development Indicators",',
            "",
            '"Last Updated Date","2023-09-19",',
            "",
            '"Country Name","Series","1960","1961","1962",',
            '"Aruba","Population, total","54211","","55438",',
            '"Chad","Population, total","3002596","3061423","3122357",',
        ),
        ("1960", "1961", "1962"),
        [[54211, NAN, 55438], [3002596, 3061423, 3122357]],
        ["text", "text", "empty"],
        {"preamble": 2},
    ),
    "spreadsheet: a title, an empty row, names of groups": (
        lines("Report 2020,,,", ",,,", ",A,,B", "name,x,y,x", "p,1,2,3", "q,,2,4"),
        ("x", "y", "x"),
        [[1, 2, 3], [NAN, 2, 4]],
        ["text"],
        {"preamble": 3},
    ),
    "agency: preamble, units, footer": (
        lines(
            "Site: 06-037",
            "Ozone, PM2.5",
            "",
            "Day,O3,PM",
            ",ppm,ug/m3",
            "2021-01-01,.03,12.5",
            "2021-01-02,,9.0",
            "",
            "Source: the agency",
        ),
        ("O3", "PM"),
        [[0.03, 12.5], [NAN, 9]],
        ["dates or times"],
        {"preamble": 2, "units": 1, "footer": 1},
    ),
    "buoy: names and units in comments, MM": (
        lines("#YY  WDIR PRES", "#yr  degT hPa", "2023  120   1013.2", "2023   MM   1012.1"),
        ("WDIR", "PRES"),
        [[120, 1013.2], [NAN, 1012.1]],
        ["dates or times"],
        {"comments": 1},
    ),
    "weather station: prose, names, units in fewer cells, ---": (
        lines(
            "Heathrow (London Airport)",
            "Missing data is marked by ---.",
            "   yyyy  tmax    af",
            "         degC  days",
            "   1948   8.9   ---",
            "   1949   7.9     4",
        ),
        ("tmax", "af"),
        [[8.9, NAN], [7.9, 4]],
        ["dates or times"],
        {"preamble": 2, "units": 1},
    ),
    "USGS: comments, names, widths of columns": (
        lines(
            "# Some of the data",
            "#",
            "agency_cd\tdatetime\tflow\tflow_cd",
            "5s\t20d\t14n\t10s",
            "U\t2020-01-01\t120\tA",
            "U\t2020-01-02\t\tA",
        ),
        ("flow",),
        [[120], [NAN]],
        ["text", "dates or times", "text"],
        {"comments": 2, "units": 1},
    ),
    "R: quoted row names, no name above them": (
        lines('"Ozone" "Wind"', '"1" 41 7.4', '"2" NA 8', '"3" 12 12.6'),
        ("Ozone", "Wind"),
        [[41, 7.4], [NAN, 8], [12, 12.6]],
        ["labels"],
        {},
    ),
    "genes: gct": (
        lines("#1.2", "2\t3", "Name\tDescription\tS1\tS2\tS3", "E1\tG1\t1.5\t\t3", "E2\tG2\t4\t5.25\t6"),
        ("S1", "S2", "S3"),
        [[1.5, NAN, 3], [4, 5.25, 6]],
        ["text", "text"],
        {"comments": 1, "preamble": 1},
    ),
    "genes: series matrix": (
        lines('!Series_title\t"a"', "!begin", '"ID_REF"\t"GSM1"\t"GSM2"', '"a_at"\t1.5\tnull', '"b_at"\t2\t3', "!end"),
        ("GSM1", "GSM2"),
        [[1.5, NAN], [2, 3]],
        ["identifiers"],
        {"comments": 3},
    ),
    "Eurostat: tabs, years, :": (
        lines("unit,geo\\TIME\t2015 \t2016 \t2017 ", "PC,AT\t1.5 \t: \t2.5 ", "PC,BE\t3.5 \t4.0 \t4.5 "),
        ("2015", "2016", "2017"),
        [[1.5, NAN, 2.5], [3.5, 4, 4.5]],
        ["text"],
        {},
    ),
    "pipes": (lines("n|a|b", "u|1|", "v|2|3"), ("a", "b"), [[1, NAN], [2, 3]], ["text"], {}),
    "double colons": (lines("1::x::5", "2::y::", "1::x::3"), (), [[1, 5], [2, NAN], [1, 3]], ["text"], {}),
    "blanks with decimal commas": (
        lines("a b c", "1,5 2,5 NA", "3,5 4,5 5,5"),
        ("a", "b", "c"),
        [[1.5, 2.5, NAN], [3.5, 4.5, 5.5]],
        [],
        {},
    ),
    "labels that begin like comments": (lines("n,a", "# one,1", "# two,"), ("a",), [[1], [NAN]], ["text"], {}),
    "a quoted cell of two lines": (lines("n,a", '"u', 'v",1', "w,"), ("a",), [[1], [NAN]], ["text"], {}),
    "tickets": (
        lines("t,a", *(f"A/{i} 7,{i}" if i % 3 == 0 else f"{i * 71 % 97},{i}.5" for i in range(1, 25))),
        ("a",),
        [[i if i % 3 == 0 else i + 0.5] for i in range(1, 25)],
        ["text"],
        {},
    ),
    "parts of dates": (
        lines("YEAR,MO,DY,T", "2020,1,3,1.5", "2020,1,1,", "2020,1,2,2.5"),
        ("T",),
        [[1.5], [NAN], [2.5]],
        ["dates or times"] * 3,
        {},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_read_as_its_owner_would(tmp_path, name):
    content, names, values, kinds, skipped = LAYOUTS[name]
    path = save(tmp_path / "in.txt", content)
    table = read_table(path)
    assert table.names == names
    np.testing.assert_array_equal(table.values, values)
    assert [str(column.kind) for column in table.left_alone] == kinds
    assert table.skipped == skipped
    write_table(tmp_path / "out.txt", table)
    assert (tmp_path / "out.txt").read_text() == content
    told = " ".join(describe(table))
    assert f"missing: {np.isnan(values).sum()} of {np.size(values)} values" in told
    assert ("skipped: " in told) == bool(skipped)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lines("a,b,c", "1,2,3", "4,5", "6,7,8", "9,8,7"), "line 3 has 2 cells where 3 are expected"),
        (lines("1,2,3,4", "1,2,3", "4,5,6", "7,8,9"), "line 1 has 4 cells .*; --skip-rows 1 if the table begins below"),
        (lines("a b c", "1 2 3", "4 5", "6 7 8"), "line 3 .* white space leaves no cell empty, save the table as csv"),
        (lines("n,a", "x,1", "y,T", "z,2", "u,M1", "v,3"), "line 3, column 2 .* --na 'T' --na 'M1' takes such cells"),
        (lines("# only", "# comments"), "no column of numbers|is empty"),
    ],
)
def test_what_cannot_be_told_is_refused_with_what_helps(tmp_path, content, words):
    with pytest.raises(FileError, match=words) as caught:
        read_table(save(tmp_path / "in.txt", content))
    assert "\n" not in str(caught.value)


def test_as_told(tmp_path):
    path = save(tmp_path / "in.csv", lines("1,2", "3,4", "a,b", "$5,6", "7,8", "9,"))
    np.testing.assert_array_equal(read_table(path, skip_rows=2, comment="$").values, [[7, 8], [9, NAN]])
    with pytest.raises(FileError, match="--skip-rows 6 leaves nothing of 6 lines"):
        read_table(path, skip_rows=6)


TABLE = lines("id\tGröße\tb", "x\t1,5\t2", "y\t\t3")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
def test_encodings(tmp_path, encoding):
    content = TABLE.encode(encoding)
    table = read_table(save(tmp_path / "in.txt", content))
    assert table.names == ("Größe", "b")
    np.testing.assert_array_equal(table.values, [[1.5, 2], [NAN, 3]])
    write_table(tmp_path / "out.txt", table, np.full((2, 2), 7.25))
    assert (tmp_path / "out.txt").read_bytes() == TABLE.replace("y\t\t", "y\t7,2\t").encode(encoding)


def zipped(content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in.csv", content)
    return stream.getvalue()


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped}
OPENERS = {
    "gz": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
    "zip": lambda data: zipfile.ZipFile(io.BytesIO(data)).read("out.csv"),
}


@pytest.mark.parametrize("packing", PACKERS)
def test_packed_files(tmp_path, packing):
    packed = PACKERS[packing](b"a,b\n1,2\n3,\n")
    table = read_table(save(tmp_path / f"in.csv.{packing}", packed))
    np.testing.assert_array_equal(table.values, [[1, 2], [3, NAN]])
    np.testing.assert_array_equal(read_table(save(tmp_path / "in.dat", packed)).values, table.values)
    write_table(tmp_path / f"out.csv.{packing}", table, np.full((2, 2), 7.0))
    assert OPENERS[packing]((tmp_path / f"out.csv.{packing}").read_bytes()) == b"a,b\n1,2\n3,7\n"


@pytest.mark.parametrize("packing", PACKERS)
def test_no_more_is_unpacked_than_allowed(tmp_path, packing):
    path = save(tmp_path / f"in.csv.{packing}", PACKERS[packing](b"1,2\n" * 300_000))
    with pytest.raises(FileError, match="of memory unpacked, more than 1 MB: --max-memory"):
        read_table(path, max_bytes=10**6)
    for cut in (30, len(path.read_bytes()) - 9):
        with pytest.raises(FileError, match=f"in.csv.{packing} is (a damaged|no|not a readable|empty)"):
            read_table(save(path, path.read_bytes()[:cut]))


def test_archives_of_several_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("a.csv", "1,2\n")
        archive.writestr("b.csv", "1,2\n")
    with pytest.raises(FileError, match=r"archive of 2 files \(a.csv, b.csv\): unpack the one to complete"):
        read_table(tmp_path / "in.zip")


def test_standard_input_and_output(tmp_path, monkeypatch):
    class Stream:
        def __init__(self, content=b""):
            self.buffer = io.BytesIO(content)

    monkeypatch.setattr(sys, "stdin", Stream(b"a;b\n1;2\n3;\n"))
    monkeypatch.setattr(sys, "stdout", out := Stream())
    table = read_table("-")
    write_table("-", table, np.full((2, 2), 7.0))
    assert out.buffer.getvalue() == b"a;b\n1;2\n3;7\n"
    monkeypatch.setattr(sys, "stdin", Stream(b""))
    with pytest.raises(FileError, match="standard input is empty"):
        read_table("-")
    monkeypatch.setattr(sys, "stdin", Stream(b"1,2\n" * 100))
    with pytest.raises(FileError, match="standard input would take"):
        read_table("-", max_bytes=100)


@pytest.mark.parametrize(
    ("cells", "fill", "text"),
    [
        (["3", "41"], 7.6, "8"),
        (["3.0", "41.0"], 7.6, "8.0"),
        (["3.50", "4.25"], 7.6, "7.60"),
        (["3.5", "4", "4.125"], 7.60004, "7.6"),
        (["3.5", "4", "4.125"], 7.0604, "7.06"),
        (["1e-3", "2e-3"], 0.00123456789, "0.0012345679"),
        (["0.123456789123", "0.2"], 0.00123456789, "0.0012345679"),
        (["3", "0"], -0.2, "0"),
    ],
)
def test_digits_as_the_column_has(tmp_path, cells, fill, text):
    table = read_table(
        save(tmp_path / "in.csv", lines("n,a", *(f"x{i},{cell}" for i, cell in enumerate([*cells, ""]))))
    )
    write_table(tmp_path / "out.csv", table, np.full(table.values.shape, fill))
    assert (tmp_path / "out.csv").read_text().splitlines()[-1].split(",")[1] == text
    write_table(tmp_path / "out.csv", table, np.full(table.values.shape, 7.126), decimals=2, overwrite=True)
    assert (tmp_path / "out.csv").read_text().endswith(",7.13\n")


def test_a_rounded_estimate_is_no_marker(tmp_path):
    table = read_table(save(tmp_path / "in.csv", lines("n,a", "x,3", "y,9", "z,-1")), na=["9"])
    write_table(tmp_path / "out.csv", table, np.full((3, 1), 8.9))
    assert read_table(tmp_path / "out.csv", na=["9"]).values[1, 0] == 8.9


def test_cells_in_columns_stay_aligned(tmp_path):
    content = lines("a       b", "   1.25  10", "    ---  11", "   2.50   ?")
    table = read_table(save(tmp_path / "in.txt", content))
    write_table(tmp_path / "out.txt", table, np.full((3, 2), 7.0))
    assert (tmp_path / "out.txt").read_text() == lines("a       b", "   1.25  10", "   7.00  11", "   2.50   7")
