"""
Handwritten digits with holes
=============================

Four in ten pixels of 300 handwritten digits are hidden. Three models complete them; the displays show the parts that
they learn, what the adversary does to the data, and how the error over the hidden pixels falls.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from advnmf import (
    ADNMF,
    ATNMF,
    NMF,
    CompletionDisplay,
    ComponentsDisplay,
    ConvergenceDisplay,
    DataWarning,
    metrics,
    trace,
)

# Some pixels at the border are 0 in all digits; that they are completed with zeros is what we want.
warnings.simplefilter("ignore", DataWarning)

truth = load_digits().data[:300] / 16
observed = np.random.default_rng(0).random(truth.shape) > 0.4
X = np.where(observed, truth, np.nan)

# %%
# Fit, and measure only where nothing was seen.
parameters = {"alpha_W": 1e-3, "tol": 1e-3, "random_state": 0}
models = {"NMF": NMF(16, **parameters), "ATNMF": ATNMF(16, **parameters), "ADNMF": ADNMF((24, 16), **parameters)}
for name, model in models.items():
    error = metrics.rmse(truth, model.fit_complete(X), mask=~observed)
    print(f"{name}: RMSE {error:.4f} over the hidden pixels")

# %%
# The components are parts of digits.
ComponentsDisplay.from_estimator(models["ATNMF"], image_shape=(8, 8), order="contribution", title="ATNMF")

# %%
# The adversary moves observed pixels away from the prediction, never below zero.
CompletionDisplay.from_estimators(models, X, X_true=truth, image_shape=(8, 8), samples=[3, 16, 31])

# %%
# The course of a fit: the objective, which all models know, and the errors, which need the truth. Sixteen components
# are too many for these data: the fit goes on to learn what it sees, but what it does not see soon gets no better.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
ConvergenceDisplay.from_estimators(models, relative=True, ax=left)
course = trace(models["NMF"], X, X_true=truth, every=5)
errors = {"observed": course["observed_rmse"], "hidden": course["held_out_rmse"]}
ConvergenceDisplay(errors, iterations=course["n_iter"], ylabel="RMSE").plot(right, title="NMF")
plt.show()
