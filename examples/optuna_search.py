"""Rank and ridge by Optuna (``pip install optuna``): python examples/optuna_search.py [trials]

Each trial scores the completion of the same held-out observed entries; the best one is then fitted to all of them.
"""

from __future__ import annotations

import sys

import numpy as np
import optuna

from advnmf import NMF, metrics
from advnmf.model_selection import EntryKFold, cross_val_score_entries

rng = np.random.default_rng(0)
truth = rng.random((120, 4)) @ rng.random((4, 40))
X = truth * rng.uniform(0.98, 1.02, truth.shape)
X[rng.random(X.shape) < 0.4] = np.nan
holes = EntryKFold(3, random_state=0)


def model(params: dict[str, float]) -> NMF:
    """The candidate that some parameters stand for."""
    return NMF(**params, max_iter=1000, random_state=0)


def objective(trial: optuna.Trial) -> float:
    """Mean score over the splits; greater is better."""
    params = {
        "n_components": trial.suggest_int("n_components", 1, 10),
        "alpha_W": trial.suggest_float("alpha_W", 1e-6, 1e-1, log=True),
    }
    return cross_val_score_entries(model(params), X, cv=holes, n_jobs=-1).mean()


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=int(sys.argv[1]) if len(sys.argv) > 1 else 30)
    best = model(study.best_params).fit(X)
    error = metrics.relative_error(truth, best.reconstruct(), mask=np.isnan(X))
    print(f"{study.best_params}: {error:.1%} off where it was missing")
