"""Peak memory of a fit, as a multiple of the data (which are part of it).

    python benchmarks/memory.py [n_samples n_features]

Each model runs in a process of its own on a matrix with 30 % missing; compiled code and imports are not counted.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import warnings

MODELS = {
    "NMF (hals)": "NMF(10, max_iter=2)",
    "NMF (mu)": "NMF(10, max_iter=2, solver='mu')",
    "ATNMF": "ATNMF(10, max_iter=2)",
    "EADNMF": "EADNMF((20, 10), max_iter=2)",
    "EADNMF (alternating)": "EADNMF((20, 10), max_iter=2, attack='alternating')",
}


def measure(model: str, dtype: str, n: int, m: int) -> float:
    """Peak resident memory beyond the warm process, over the size of the data."""
    import numpy as np

    import advnmf

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)

    def holes(rows: int, columns: int) -> np.ndarray:
        X = np.empty((rows, columns), dtype)
        for start in range(0, rows, 256):
            part = X[start : start + 256]
            part[:] = rng.random(part.shape)
            part[rng.random(part.shape) < 0.3] = np.nan
        return X

    def peak() -> int:
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    make = eval(f"lambda: {model}", {name: getattr(advnmf, name) for name in advnmf.__all__})
    make().fit(holes(60, 50))
    before = peak()
    X = holes(n, m)
    make().fit(X)
    return (peak() - before) / X.nbytes


def main() -> None:
    if len(sys.argv) == 5:
        print(f"{measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])):.2f}")
        return
    n, m = sys.argv[1:3] or ("8000", "4000")
    print(f"{'model':22} float64 float32   (peak memory / data, {n} x {m}, 30 % missing)")
    for name, model in MODELS.items():
        peaks = [
            subprocess.run(
                [sys.executable, __file__, model, dtype, n, m], capture_output=True, text=True, check=True
            ).stdout
            for dtype in ("float64", "float32")
        ]
        print(f"{name:22} {float(peaks[0]):7.2f} {float(peaks[1]):7.2f}")


if __name__ == "__main__":
    main()
