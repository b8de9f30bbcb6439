"""Processes of their own: environments of the peers, problems, measured runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
THREAD_VARIABLES = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"]


@dataclass(frozen=True)
class Peer:
    """A library: the script that drives it, and what pip installs for it, step by step."""

    name: str
    script: str
    steps: tuple[str, ...]
    # Variables that the library itself asks to set.
    variables: dict[str, str] = field(default_factory=dict)


PEERS = {
    peer.name: peer
    for peer in (
        Peer("scikit-learn", "run_sklearn.py", ("scikit-learn",)),
        # Its build looks at the NumPy and the BLAS that are there.
        Peer("cmfrec", "run_cmfrec.py", ("numpy scipy pandas scikit-learn cython findblas setuptools wheel", "cmfrec")),
        Peer("scikit-surprise", "run_surprise.py", ("scikit-surprise pandas",)),
        Peer("implicit", "run_implicit.py", ("implicit",), {"OPENBLAS_NUM_THREADS": "1"}),
        Peer("torchnmf", "run_torchnmf.py", ("numpy torch torchnmf",)),
        Peer("scikit-image", "run_skimage.py", ("scikit-image",)),
    )
}


class Failed(Exception):
    """A process that did not do its work; the last line that it said about it."""


def environment(peer: Peer, cache: Path, constraint: Path | None) -> Path:
    """Interpreter of the peer's own environment in `cache`, made unless it is there already."""
    home = cache / peer.name
    python, done = home / "bin" / "python", home / "installed.json"
    if done.exists() and json.loads(done.read_text()) == list(peer.steps):
        return python
    print(f"installing {peer.name} into {home}", file=sys.stderr)
    limits = ["--constraint", constraint] if constraint else []
    try:
        _run(sys.executable, "-m", "venv", "--clear", home)
        for step in peer.steps:
            _run(python, "-m", "pip", "install", "--quiet", *limits, *step.split())
    except Failed as error:
        raise Failed(f"not installable: {error}") from None
    done.write_text(json.dumps(peer.steps))
    return python


def build(problem: tuple, folder: Path) -> Path:
    """The file of a problem of `data.py`, written unless it is there."""
    archive = folder / ("-".join(map(str, problem)) + ".npz")
    if not archive.exists():
        _run(sys.executable, HERE / "data.py", archive, json.dumps(problem))
    return archive


def measure(python: Path | str, script: str, *arguments: object, threads: int, variables: dict | None = None) -> dict:
    """The JSON line that a script prints, run with so many threads."""
    limits = dict.fromkeys(THREAD_VARIABLES, str(threads)) | (variables or {})
    return json.loads(_run(python, HERE / script, *arguments, env=os.environ | limits).splitlines()[-1])


def _run(*command: object, env: dict | None = None) -> str:
    """What a command prints."""
    run = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)
    if run.returncode:
        said = run.stderr.strip().splitlines() or ["no reason given"]
        # Pip gives its reason first, a traceback last.
        raise Failed(next((line for line in said if line.startswith("ERROR:")), said[-1]))
    return run.stdout
