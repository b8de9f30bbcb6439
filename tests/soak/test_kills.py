"""Processes that are killed while they write: a reader finds the old file or the new one, never a part of either."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from advnmf import NMF, load, save
from advnmf.files import write_bytes

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 of POSIX"),
]

# Kills that a run of the test makes at least, whatever its time.
FEWEST = 20


def model(number: int) -> NMF:
    """A model whose every number is its own: a file of two of them would show."""
    fitted = NMF(2, max_iter=1, tol=0.0, random_state=0).fit(np.full((20_000, 6), 1.0))
    fitted.factors_[0][:] = fitted.components_[:] = fitted.factors_[1][:] = fitted.mean_code_[:] = number
    return fitted


def content(number: int) -> bytes:
    """Three megabytes of one number."""
    return number.to_bytes(1, "little") * 3_000_000


def write_for_ever(what: str, path: Path) -> None:
    """One file after the other onto one name."""
    contents = [(model if what == "save" else content)(number) for number in range(1, 5)]
    print("ready", flush=True)
    while True:
        for each in contents:
            save(each, path) if what == "save" else write_bytes(path, each, overwrite=True)


def whole(what: str, path: Path) -> bool:
    """Whether the file is one of those that were written, and no mixture."""
    if what == "bytes":
        return path.read_bytes() in [content(number) for number in range(1, 5)]
    found = load(path)
    numbers = {float(x) for F in (*found.factors_, found.components_, found.mean_code_) for x in np.unique(F)}
    return len(numbers) == 1


def killed(what: str, path: Path, after: float) -> None:
    """A process that writes, killed some time after it began."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, what, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(after)
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("what", ["save", "bytes"])
def test_a_killed_writer_leaves_a_whole_file(budget, tmp_path, what):
    rng = np.random.default_rng([budget.seed, what == "save"])
    path, kills, torn, watched, stop = tmp_path / "model.advnmf", 0, 0, [0, 0], threading.Event()
    save(model(1), path) if what == "save" else write_bytes(path, content(1))

    def watch() -> None:
        """A reader beside the writers."""
        while not stop.is_set():
            watched[0] += 1
            try:
                watched[1] += not whole(what, path)
            except ValueError:
                watched[1] += 1

    reader = threading.Thread(target=watch)
    reader.start()
    try:
        while kills < FEWEST or budget.left() > 0:
            killed(what, path, rng.uniform(0.0, 0.2))
            kills += 1
            torn += not whole(what, path)
    finally:
        stop.set()
        reader.join()
    print(f"{what}: {kills} kills, {torn} torn files; {watched[0]} looks beside the writers, {watched[1]} torn")
    assert torn == watched[1] == 0


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    write_for_ever(sys.argv[1], Path(sys.argv[2]))
