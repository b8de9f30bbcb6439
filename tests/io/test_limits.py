"""The limit on what a file may unpack to."""

import pytest

from advnmf.io.files import FileError
from advnmf.io.limits import DEFAULT_BYTES, DEFAULT_RATIO, check_size, max_bytes_of, parse_bytes, size_text


@pytest.mark.parametrize(
    ("text", "n"),
    [("7", 7), ("7B", 7), ("500MB", 5 * 10**8), (" 8 gb ", 8 * 10**9), ("1.5GiB", 3 * 2**29), ("2k", None)]
    + [(text, None) for text in ("", "GB", "-1", "1e9", "nan", "0", "0.2B", "1XB", "9" * 4000, "1" + "0" * 16)],
)
def test_sizes(text, n):
    if n is None:
        with pytest.raises(ValueError, match="is no size"):
            parse_bytes(text)
    else:
        assert parse_bytes(text) == n


def test_the_limit_is_the_argument_or_of_the_environment_or_the_default(monkeypatch):
    monkeypatch.delenv("ADVNMF_MAX_MEMORY", raising=False)
    assert max_bytes_of(None) == DEFAULT_BYTES
    monkeypatch.setenv("ADVNMF_MAX_MEMORY", "3GB")
    assert (max_bytes_of(None), max_bytes_of(5)) == (3 * 10**9, 5)
    monkeypatch.setenv("ADVNMF_MAX_MEMORY", "much")
    with pytest.raises(ValueError, match="ADVNMF_MAX_MEMORY: 'much' is no size"):
        max_bytes_of(None)


def test_large_files_may_unpack_to_more(tmp_path, monkeypatch):
    monkeypatch.delenv("ADVNMF_MAX_MEMORY", raising=False)
    path = tmp_path / "a.npz"
    with open(path, "wb") as stream:
        stream.truncate(DEFAULT_BYTES)  # takes no place on the disk
    assert max_bytes_of(None, path) == DEFAULT_RATIO * DEFAULT_BYTES
    check_size(path, DEFAULT_RATIO * DEFAULT_BYTES)
    with pytest.raises(FileError, match="more than 5 bytes"):
        check_size(path, 6, 5)
    path.write_bytes(b"small")
    with pytest.raises(FileError, match="more than 1 GB"):
        check_size(path, DEFAULT_BYTES + 1)


def test_what_is_too_large_is_told_with_the_option_that_raises_the_limit():
    check_size("a.npz", 100, 100)
    with pytest.raises(FileError, match=r"a\.npz would take 3 GB of memory unpacked, more than 2 GB: --max-memory"):
        check_size("a.npz", 3 * 10**9, 2 * 10**9)
    assert [size_text(n) for n in (0, 999, 1500, 2_900_000, 10**4000)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "2.9 MB",
        "more than 1000 TB",
    ]
