"""
Rank and ridge by held-out entries
==================================

How many components, and how much of a ridge? Neither question may be answered by the entries that are missing. So some
of the observed ones are held out, and the errors over them are drawn as a heat map. The spectra are made up: three
smooth ones, mixed, with noise.
"""

import matplotlib.pyplot as plt
import numpy as np

from advnmf import NMF, CompletionDisplay, ComponentsDisplay, SensitivityDisplay, metrics

rng = np.random.default_rng(0)
wavelengths = np.linspace(400, 1000, 80)
peaks = [(480, 60), (640, 80), (850, 120)]
spectra = np.array([np.exp(-(((wavelengths - center) / width) ** 2)) for center, width in peaks])
truth = rng.dirichlet(np.ones(3), 150) @ spectra
X = truth * rng.uniform(0.9, 1.1, truth.shape)
X[rng.random(X.shape) < 0.6] = np.nan

# %%
# One in five of the observed entries is held out; the same for all candidates.
known = ~np.isnan(X)
training = known & (rng.random(X.shape) > 0.2)
ranks, ridges = [1, 2, 3, 4, 6, 8], [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def held_out_error(rank, ridge):
    """RMSE over the observed entries that the fit has not seen."""
    model = NMF(rank, alpha_W=ridge, max_iter=300, tol=1e-3, random_state=0).fit(X, mask=training)
    return metrics.rmse(X, model.reconstruct(), mask=known & ~training)


errors = [[held_out_error(rank, ridge) for rank in ranks] for ridge in ridges]
display = SensitivityDisplay.from_grid(
    errors, ranks, ridges, xlabel="n_components", ylabel="alpha_W", label="held-out RMSE", norm="log"
)
rank, ridge, _ = display.best_

# %%
# The model that this chooses, fitted to all that was observed.
model = NMF(rank, alpha_W=ridge, max_iter=300, tol=1e-3, random_state=0).fit(X)
ComponentsDisplay.from_estimator(model, order="contribution", x=wavelengths, xlabel="wavelength (nm)")
CompletionDisplay.from_estimator(
    model, X, X_true=truth, samples=[0, 1], x=wavelengths, xlabel="wavelength (nm)", ylabel="reflectance"
)
plt.show()
