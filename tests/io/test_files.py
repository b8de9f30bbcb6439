"""Files are written whole or not at all."""

import os
import stat
import sys

import pytest

from advnmf.io.files import FileError, check_target, read_bytes, reason, replacing, require, write_bytes


def names(folder):
    return sorted(os.listdir(folder))


def test_content_and_nothing_else_is_left(tmp_path):
    write_bytes(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, OSError("disk full")])
def test_an_exception_while_writing_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    kind = FileError if isinstance(error, OSError) else error

    def write_half():
        with replacing(path, overwrite=True) as temporary:
            temporary.write_bytes(b"ha")
            raise error

    with pytest.raises(kind):
        write_half()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_an_existing_file_needs_permission(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileError, match="exists already"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    write_bytes(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_not_lost_nor_the_result(tmp_path):
    path = tmp_path / "a.bin"

    def write():
        with replacing(path) as temporary:
            temporary.write_bytes(b"mine")
            path.write_bytes(b"theirs")

    with pytest.raises(FileError, match="the result is in"):
        write()
    assert path.read_bytes() == b"theirs"
    (kept,) = [name for name in names(tmp_path) if name != "a.bin"]
    assert (tmp_path / kept).read_bytes() == b"mine"


@pytest.mark.skipif(os.name == "nt", reason="permission bits and links of POSIX")
def test_links_stay_links_and_permissions_stay(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write_bytes(tmp_path / "link", b"new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="umask of POSIX")
def test_a_new_file_has_the_usual_permissions(tmp_path):
    write_bytes(tmp_path / "a", b"x")
    (tmp_path / "b").write_bytes(b"x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_check_leaves_no_trace(tmp_path):
    check_target(tmp_path / "a.csv")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no/such/a.csv", "there is no folder"),
        ("folder", "is a folder"),
        ("x" * 300 + ".csv", "cannot be written"),
        ("a\0b.csv", "no file name"),
    ],
)
def test_unwritable_names(tmp_path, name, words):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match=words):
        check_target(f"{tmp_path}/{name}", overwrite=True)


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="a device file")
def test_a_device_is_not_replaced():
    with pytest.raises(FileError, match="not a regular file"):
        check_target("/dev/null", overwrite=True)


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write everywhere")
def test_protected_file_and_folder(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(FileError, match="write-protected"):
        check_target(path, overwrite=True)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(FileError, match="Permission denied"):
            check_target(tmp_path / "b.csv")
    finally:
        tmp_path.chmod(0o755)


def test_unreadable_files(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    for name, words in (("empty", "is empty"), ("none", "does not exist"), (".", "is a folder")):
        with pytest.raises(FileError, match=words):
            read_bytes(tmp_path / name)


def test_messages_are_one_printable_line():
    """Whatever is quoted in them: names of files and what stands in these."""
    for hostile in ("\x1b[31mred\x07", "two\nlines\r", "\u202egpj.exe", "\udcff", "x" * 10**6):
        message = str(FileError(f"{hostile}: is no table"))
        assert message.isprintable()
        assert message.endswith(": is no table")
        assert len(message) < 700
    assert str(FileError("Straße/ärger.csv: ≥ 3 µ")) == "Straße/ärger.csv: ≥ 3 µ"


def test_reasons_are_one_short_printable_line():
    assert reason(ValueError("a \x1b[2J b\nsecond line")) == r"a \x1b[2J b"
    assert reason(KeyError()) == "KeyError"
    assert len(reason(ValueError("x" * 10**6))) < 300


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImportError, match=r"pip install 'advnmf\[cli\]'"):
        require("tifffile")
