"""The files of the data sets: where they are looked for, and how they are fetched.

A file of `registry.csv` is looked for in the folder that the environment variable ``ADVNMF_DATA`` names, then in the
cache of this user, and then fetched from where its authors put it. Wherever it is from, it is read only if its SHA-256
is the registered one.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..io.files import FileError, reason, require

__all__ = ["ENVIRONMENT", "RemoteFile", "cache_folder", "fetch", "local", "registry"]

#: The environment variable that names a folder of data sets.
ENVIRONMENT = "ADVNMF_DATA"
_EXTRA = "data"
_ATTEMPTS = 3
_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 16


@dataclass(frozen=True)
class RemoteFile:
    """A file that its authors offer for download; `path` is its place in any folder of data sets."""

    path: str
    bytes: int
    sha256: str
    url: str


@functools.cache
def registry() -> Mapping[str, RemoteFile]:
    """All files that can be fetched, by their path."""
    with resources.files(__package__).joinpath("registry.csv").open(encoding="utf-8") as stream:
        return {
            row["path"]: RemoteFile(row["path"], int(row["bytes"]), row["sha256"], row["url"])
            for row in csv.DictReader(stream)
        }


def cache_folder() -> Path:
    """Where fetched files are kept: the cache folder of the operating system for this package."""
    return Path(require("pooch", _EXTRA).os_cache("advnmf"))


def local(path: str) -> Path | None:
    """The file of this path in the folder that ADVNMF_DATA names; None without such a folder or file."""
    folder = os.environ.get(ENVIRONMENT)
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise FileError(f"{ENVIRONMENT}={folder} is not a folder; name one with the data sets, or unset it")
    file = Path(folder, path)
    return file if file.is_file() else None


def local_or_cached(path: str) -> Path | None:
    """The file of this path on this machine, unchecked; None if it is not there."""
    file = local(path) or cache_folder() / path
    return file if file.is_file() and (local(path) or not _links(cache_folder(), path)) else None


def fetch(path: str) -> Path:
    """The file of this path on this machine, fetched if need be; FileError if it cannot be had."""
    remote = registry()[path]
    file = local(path)
    if file is None:
        return _download(remote)
    _check(file, remote)
    return file


def _check(file: Path, remote: RemoteFile) -> None:
    with open(file, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != remote.sha256:
        raise FileError(
            f"{file} is not the file that was published: its SHA-256 is {found}, not {remote.sha256}; "
            f"replace it by {remote.url}, or remove it to have that fetched"
        )


def _download(remote: RemoteFile) -> Path:
    """The file in the cache, where pooch puts it unless it is there, whole, already."""
    pooch = require("pooch", _EXTRA)
    cache = cache_folder()
    for link in _links(cache, remote.path):
        raise FileError(f"{link} is a link, and links within the cache are not followed: remove it")
    store = pooch.create(
        path=cache,
        base_url="",
        registry={remote.path: f"sha256:{remote.sha256}"},
        urls={remote.path: remote.url},
        retry_if_failed=_ATTEMPTS - 1,
    )
    try:
        return Path(
            store.fetch(remote.path, downloader=ResumingDownloader(cache / f"{remote.path}.part", remote.bytes))
        )
    except (OSError, ValueError) as error:  # network, disk, or another content than expected
        # Not "from error": a hundred lines of three libraries would hide the one that helps.
        raise FileError(
            f"{Path(remote.path).name} could not be fetched from {remote.url} ({_why(error)}); get it by other "
            f"means and put it at {cache / remote.path}, or at {remote.path} in a folder that {ENVIRONMENT} names"
        ) from None


def _links(cache: Path, path: str) -> list[Path]:
    """The links on the way from the cache to a file in it, and to the part of it that was fetched."""
    steps = [cache.joinpath(*Path(path).parts[: n + 1]) for n in range(len(Path(path).parts))]
    return [step for step in (*steps, cache / f"{path}.part") if step.is_symlink()]


def _why(error: Exception) -> str:
    exceptions = require("requests", _EXTRA).exceptions
    if isinstance(error, exceptions.ConnectionError | exceptions.Timeout | exceptions.ChunkedEncodingError):
        return "no connection, or it broke off"
    return reason(error)


class ResumingDownloader:
    """A downloader for pooch that goes on where an earlier one broke off.

    What an attempt has got is kept in the file `part`, and the next attempt asks the server for the rest only. An
    attempt takes `part` away by one rename, so two processes never write into the same file.
    """

    def __init__(self, part: Path, n_bytes: int) -> None:
        self.part = part
        self.n_bytes = n_bytes

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Write what is at `url` into `output_file`; called by pooch, which then checks the content."""
        try:
            os.replace(self.part, output_file)
        except FileNotFoundError:
            Path(output_file).touch()
        try:
            _get(url, Path(output_file), self.n_bytes)
        except _TooMuch:
            raise
        except BaseException:
            if Path(output_file).stat().st_size:
                os.replace(output_file, self.part)
            raise


class _TooMuch(ValueError):
    """A server sends another file than the registered one."""


def _get(url: str, file: Path, n_bytes: int) -> None:
    """Append to `file` what is at `url` beyond the bytes that it has, up to `n_bytes` in all."""
    requests = require("requests", _EXTRA)
    begin = file.stat().st_size
    # Compressed on the way, the bytes could not be counted.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begin}-"} if begin else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code in (requests.codes.ok, requests.codes.requested_range_not_satisfiable):
            begin = 0  # the server sends all of it, or has nothing beyond what should have been a part
            os.truncate(file, 0)
        response.raise_for_status()
        with open(file, "ab") as stream, _bar(url, response, begin) as bar:
            for chunk in response.iter_content(_CHUNK):
                if stream.tell() + len(chunk) > n_bytes:
                    raise _TooMuch(f"the server sends more than the {n_bytes} bytes of the registered file")
                stream.write(chunk)
                bar.update(len(chunk))


def _bar(url: str, response: Any, begin: int) -> Any:
    """A progress bar on stderr, where that is a terminal."""
    rest = response.headers.get("Content-Length")
    return require("tqdm", _EXTRA).tqdm(
        total=None if rest is None else begin + int(rest),
        initial=begin,
        desc=url.rpartition("/")[2],
        unit="B",
        unit_scale=True,
        disable=None,
    )
