"""Time to cmfrec's final test error on CBCL (raw grey levels, 30 % missing, K = 100), in one run on one machine.

    python benchmarks/compare_cmfrec.py [runs]

cmfrec is installed from PyPI into an environment of its own, `benchmarks/.peers`.  Its ridge is the best of a few by
*test* error, in its favour; ours is fixed beforehand.  Our time is that of the shortest whole fit (in sweeps) whose
test error is at most cmfrec's.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from pathlib import Path

import numpy as np

from advnmf import NMF, datasets

HERE = Path(__file__).parent
RANK, RIDGE = 100, 1e-4


def cbcl() -> tuple[np.ndarray, np.ndarray]:
    """Grey levels in [0, 1), one face a row, and the released mask of 30 % missing."""
    data = datasets.fetch_cbcl(preparation="raw")
    return data.X, data.masks[0.3]


def peer_python() -> Path:
    """Interpreter of the peers' environment, made on first use."""
    home = HERE / ".peers"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        pip = [python, "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "numpy", "scipy", "pandas", "scikit-learn", "threadpoolctl"], check=True)
        subprocess.run([*pip, "cython", "findblas", "setuptools", "wheel", "cmfrec"], check=True)
    return python


def run_cmfrec(archive: Path, ridge: float) -> dict[str, float]:
    """Seconds and test error of one fit in the peers' environment."""
    command = [peer_python(), HERE / "peer_cmfrec.py", archive, str(RANK), str(ridge)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def seconds_to(target: float, X: np.ndarray, mask: np.ndarray, seed: int) -> tuple[float, int]:
    """Seconds and sweeps of our shortest fit with a test error of at most `target`."""
    X32 = X.astype(np.float32)
    for sweeps in range(1, 1000):
        model = NMF(RANK, alpha_W=RIDGE, max_iter=sweeps, tol=0, random_state=seed)
        began = time.perf_counter()
        model.fit(X32, mask=mask)
        seconds = time.perf_counter() - began
        if np.sqrt(np.mean((model.reconstruct() - X)[~mask] ** 2)) <= target:
            return seconds, sweeps
    raise RuntimeError(f"test error {target} not reached in 1000 sweeps")


def main() -> None:
    warnings.simplefilter("ignore")
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    X, mask = cbcl()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "cbcl.npz"
        np.savez(archive, X=X, mask=mask)
        theirs = {ridge: run_cmfrec(archive, ridge) for ridge in (0.01, 0.1, 1.0)}
        ridge = min(theirs, key=lambda r: theirs[r]["rmse"])
        for tried, result in theirs.items():
            print(f"cmfrec lambda {tried:<5g} {result['seconds']:7.2f} s  test RMSE {result['rmse']:.4f}")
        target = theirs[ridge]["rmse"]
        NMF(RANK, max_iter=2).fit(X[:300].astype(np.float32), mask=mask[:300])  # compile
        pairs = [(run_cmfrec(archive, ridge)["seconds"], *seconds_to(target, X, mask, seed)) for seed in range(runs)]
    for a, b, sweeps in pairs:
        print(f"cmfrec {a:7.2f} s   advnmf {b:6.3f} s ({sweeps} sweeps)   ratio {a / b:6.1f}")
    print(f"median ratio {statistics.median(a / b for a, b, _ in pairs):.1f}")


if __name__ == "__main__":
    main()
