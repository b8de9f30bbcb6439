"""Errors with values below limits of detection: as a loss (`censored=`), and by what is put in their place otherwise.

    python benchmarks/limits_of_detection.py [--seeds 5] [--auto]

Planted: X = W H noise, 200 x 20 of rank 4, all lognormal; every other column has a limit below which a share of its
values lies; one in ten entries is missing. Errors are root mean squares in standard deviations of a column, the mean
over columns; that of components is 1 - the mean cosine with the planted ones, matched.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment

from advnmf import NMF, AutoNMF

RANK, SHAPE, MISSING = 4, (200, 20), 0.1
SUBSTITUTES = {"bound / 2": 0.5, "bound / sqrt 2": 0.5**0.5, "bound as value": 1.0, "missing": np.nan}


def planted(seed, share, noise):
    """Data as they would be without limits, what is seen of them, flags of what lies below; and the components."""
    rng = np.random.default_rng(seed)
    W, H = (rng.lognormal(0, 1, size) for size in ((SHAPE[0], RANK), (RANK, SHAPE[1])))
    X = (W @ H) * rng.lognormal(0, noise, SHAPE)
    limits = np.where(np.arange(SHAPE[1]) % 2, np.quantile(X, share, axis=0), 0)
    below, gone = limits > X, rng.random(SHAPE) < MISSING
    return X, np.where(gone, np.nan, np.where(below, limits, X)), below & ~gone, H


def error(X, filled, where):
    """Root mean square of each column over its standard deviation, the mean over columns with such entries."""
    squares = np.where(where, (X - filled) ** 2, 0).sum(axis=0) / np.maximum(where.sum(axis=0), 1)
    return float(np.mean((np.sqrt(squares) / X.std(axis=0))[where.any(axis=0)]))


def off(H, found):
    """1 - mean cosine of matched components."""
    cosines = np.array([[a @ b / np.linalg.norm(a) / max(np.linalg.norm(b), 1e-300) for b in found] for a in H])
    return float(1 - cosines[linear_sum_assignment(-cosines)].mean())


def rows(X, seen, below, H, model):
    """For each treatment: errors at censored entries, at missing ones, and of the components."""
    given = {"censored=": (seen, {"censored": below})}
    given |= {name: (np.where(below, seen * factor, seen), {}) for name, factor in SUBSTITUTES.items()}
    for name, (values, more) in given.items():
        filled = model.fit_complete(values, **more)
        components = off(H, model.components_) if isinstance(model, NMF) else np.nan
        yield name, (error(X, filled, below), error(X, filled, np.isnan(seen)), components)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--auto", action="store_true", help="AutoNMF instead of NMF with the true rank")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    model = AutoNMF(max_candidates=20, random_state=0) if args.auto else NMF(RANK, max_iter=500, random_state=0)
    print("| noise | below | treatment | censored | missing | components |\n|---|---|---|---|---|---|")
    for noise in (0.1, 0.3):
        for share in (0.2, 0.35, 0.5):
            found: dict[str, list] = {}
            for seed in range(args.seeds):
                for name, errors in rows(*planted(seed, share, noise), model):
                    found.setdefault(name, []).append(errors)
            for name, errors in found.items():
                a, b, c = np.mean(errors, axis=0)
                print(f"| {noise} | {share:.0%} | {name} | {a:.3f} | {b:.3f} | {c:.3f} |", flush=True)


if __name__ == "__main__":
    main()
