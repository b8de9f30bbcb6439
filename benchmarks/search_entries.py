"""Cost and result of searches over rank and ridge on Moffet with half missing: plain, halving, paths, early stopping.

    ADVNMF_DATA=... python benchmarks/search_entries.py

The searches see observed entries alone, a tenth of which they hold out.  Cost is processor time of the whole search
without the refit, in units of one fit of the largest rank to all observed entries.
"""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from advnmf import NMF, metrics
from advnmf.model_selection import CompletionSearchCV, EntryShuffleSplit

GRID = {"n_components": [3, 5, 8, 12], "alpha_W": [1e-6, 1e-5, 1e-4, 1e-3]}
WAYS = [{}, {"halving": True}, {"path": "alpha_W"}, {"path": "alpha_W", "patience": 20}]


def moffet() -> tuple[np.ndarray, np.ndarray]:
    """2500 pixels x 165 bands, and the released mask of half of them."""
    folder = Path(os.environ["ADVNMF_DATA"]) / "moffet"
    X, mask = (
        next(value for name, value in loadmat(folder / file).items() if not name.startswith("_")).T
        for file in ("clean_Moffet.mat", "mask3.mat")
    )
    return np.ascontiguousarray(X, dtype=float), np.ascontiguousarray(mask, dtype=bool)


def main() -> None:
    """Print one line for each way to search."""
    warnings.simplefilter("ignore")
    X, mask = moffet()
    model = NMF(max_iter=1000, tol=1e-5, random_state=0)
    NMF(2, max_iter=2).fit(X, mask=mask)  # compile
    began = time.process_time()
    NMF(12, alpha_W=1e-5, max_iter=1000, tol=1e-5, random_state=0).fit(X, mask=mask)
    unit = time.process_time() - began
    for way in WAYS:
        holes = EntryShuffleSplit(test_size=0.1, random_state=0)
        search = CompletionSearchCV(model, GRID, cv=holes, refit=False, **way)
        began = time.process_time()
        search.fit(X, mask=mask)
        cost = (time.process_time() - began) / unit
        # Apart, so that the cost is that of the search.
        best = CompletionSearchCV(model, {k: [v] for k, v in search.best_params_.items()}, cv=holes).fit(X, mask=mask)
        error = metrics.rmse(X, best.reconstruct(), mask=~mask)
        print(
            f"{way}: {cost:.1f} fits, {search.best_params_}, held-out {-search.best_score_:.5f}, test {error:.5f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
