"""Processes that are killed while they write: a reader finds the old file or the new one, never a part of either."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from advnmf import NMF, load, save
from advnmf.io.files import write_bytes

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 of POSIX"),
]

# Kills that a run of the test makes at least, whatever its time.
FEWEST = 20


def model(number: int) -> NMF:
    """A model whose every number is its own: a file of two of them would show."""
    X = 1 + np.add.outer(np.arange(20_000) % 7, np.arange(6.0))
    fitted = NMF(2, max_iter=1, tol=0.0, random_state=0).fit(X)
    fitted.factors_[0][:] = fitted.components_[:] = fitted.factors_[1][:] = fitted.mean_code_[:] = number
    return fitted


def content(number: int) -> bytes:
    """Three megabytes of one number."""
    return number.to_bytes(1, "little") * 3_000_000


def write_for_ever(what: str, path: Path, contents: list) -> None:
    """One file after the other onto one name."""
    while True:
        for each in contents:
            save(each, path) if what == "save" else write_bytes(path, each, overwrite=True)


def serve(what: str, path: Path) -> None:
    """A new writer for each line of standard input, and its process id on standard output."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    contents = [(model if what == "save" else content)(number) for number in range(1, 5)]
    print("ready", flush=True)
    for _ in sys.stdin:
        writer = os.fork()
        if writer == 0:
            write_for_ever(what, path, contents)
        print(writer, flush=True)


def whole(what: str, path: Path) -> bool:
    """Whether the file is one of those that were written, and no mixture."""
    if what == "bytes":
        return path.read_bytes() in [content(number) for number in range(1, 5)]
    try:
        found = load(path)
    except ValueError:
        return False
    numbers = {float(x) for F in (*found.factors_, found.components_, found.mean_code_) for x in np.unique(F)}
    return len(numbers) == 1


@contextlib.contextmanager
def writers(what: str, path: Path) -> Iterator[Callable[[], int]]:
    """A function that starts a writer and gives its process id; a new process is ready at once, unlike a new Python."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, what, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as server:
        assert server.stdout.readline() == "ready\n"

        def start() -> int:
            print(file=server.stdin, flush=True)
            return int(server.stdout.readline())

        yield start
        server.stdin.close()


@pytest.mark.parametrize("what", ["save", "bytes"])
def test_a_killed_writer_leaves_a_whole_file(budget, tmp_path, what):
    rng = np.random.default_rng([budget.seed, what == "save"])
    path, kills, torn, left = tmp_path / "model.advnmf", 0, 0, 0
    save(model(1), path) if what == "save" else write_bytes(path, content(1))
    with writers(what, path) as start:
        while kills < FEWEST or budget.left() > 0:
            writer = start()
            ends = time.monotonic() + rng.uniform(0.0, 0.1)
            while time.monotonic() < ends:  # a reader beside the writer
                torn += not whole(what, path)
            os.kill(writer, signal.SIGKILL)
            kills += 1
            torn += not whole(what, path)
            left += sweep(path)
    print(f"{what}: {kills} kills, {left} of them within a write, {torn} torn files")
    assert torn == 0
    assert left > 0, "no kill has met a writer at work"


def sweep(path: Path) -> int:
    """Remove what killed writers left beside the file; how many."""
    parts = [part for part in path.parent.iterdir() if part != path]
    for part in parts:
        part.unlink()
    return len(parts)


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    serve(sys.argv[1], Path(sys.argv[2]))
