"""A program as users write it, for the type checker; it is checked by `.ci/run`, and never run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator

import advnmf
from advnmf import (
    ADNMF,
    ANMF,
    ATNMF,
    DMF,
    EADNMF,
    HQASD,
    L21,
    NMF,
    AutoImputer,
    AutoNMF,
    CompletionDisplay,
    ComponentsDisplay,
    ConvergenceDisplay,
    Correntropy,
    DataWarning,
    DeepNMF,
    Elastic,
    Frobenius,
    FrobeniusPenalty,
    NMFImputer,
    SensitivityDisplay,
    Triplets,
    datasets,
    load,
    metrics,
    read_triplets,
    save,
    trace,
)
from advnmf.io.files import FileError
from advnmf.io.pictures import Picture, read_mask, read_picture, unfold, write_picture
from advnmf.io.tables import Table, check_table, read_table, write_table
from advnmf.model_selection import (
    CompletionSearchCV,
    EntryKFold,
    EntryPatternSplit,
    EntryShuffleSplit,
    cross_val_score_entries,
    held_out_entries,
    training_matrix,
)

X = np.array([[1.0, np.nan], [2.0, 4.0]])
observed = ~np.isnan(X)

# Models: arrays and lists of lists go in, arrays come out.
model: NMF = NMF(n_components=(20, 10), loss="elastic", adversary=FrobeniusPenalty(lam=2.0), random_state=0)
model = NMF(5, alpha_W=1e-3, solver="mu", max_iter=500).fit(X, mask=observed, weights=np.ones_like(X))
model = NMF(2).fit([[1.0, 2.0], [3.0, 4.0]])
codes: np.ndarray = model.transform(X)
filled: np.ndarray = model.complete(X, mask=observed)
predicted: np.ndarray = model.predict_pairs([0, 1], [1, 0], unseen="mean")
best, stars = model.recommend([0], n=2)
score: float = model.score(X, mask=observed)
elastic: EADNMF = EADNMF((4, 2), delta=2.0).fit(X)
losses = [Frobenius(), L21(), Elastic(delta=1.0), Correntropy(sigma=0.5)]
fitted_with = [NMF(3, loss=loss) for loss in losses]
presets = [ATNMF(3, lam=2.0), DeepNMF((4, 2)), ADNMF((4, 2)), NMF(3, loss=Elastic(delta=1.0))]
compared = [HQASD(3).fit(X), DMF(3).fit(X), ANMF(3).fit(X)]
auto: AutoNMF = AutoNMF(time_limit=30, random_state=0).fit(X)
told: str = auto.explain()
imputer: NMFImputer = NMFImputer(NMF(10)).fit(X)
imputed: np.ndarray = imputer.transform(X)
blend: AutoImputer = AutoImputer(time_limit=30, random_state=0).fit(X)
said: str = blend.explain()

# Files.
save(model, "model.advnmf")
loaded: BaseEstimator = load(Path("model.advnmf"), max_bytes=10**9)
table: Table = read_table("spectra.csv", na=["-999"], columns=["a", 2], max_bytes=10**9)
check_table(table, allow_negative=True)
write_table(Path("filled.csv"), table, filled, overwrite=True)
picture: Picture = read_picture("photo.png", max_pixels=10**6)
mask: np.ndarray = read_mask("mask.png", polarity="white-missing", size=picture.size)
matrix: np.ndarray = unfold(picture.pixels)
write_picture("out.png", picture)
try:
    ratings: Triplets = read_triplets("ratings.csv", ("viewer", "film", "stars"), decimal=",")
except FileError as error:
    words: str = str(error)
ratings = Triplets.from_arrays(["ann", "bob"], ["A", "B"], [5, np.nan])
rows, columns = ratings.pairs(["ann"], ["A"])
names: list = ratings.labels(best)

# Measures, data and the choice of models.
error_: float = metrics.rmse(X, filled, mask=~observed)
hits: float = metrics.precision_at_k(X, best, liked=4.0, k=2)
holes: np.ndarray = datasets.make_missing(X, 0.3, "blocks", image_shape=(1, 2), random_state=0)
search = CompletionSearchCV(NMF(), {"n_components": [2, 3]}, cv=EntryKFold(3), one_standard_error=True).fit(X)
scores: np.ndarray = cross_val_score_entries(NMF(2), X, cv=EntryShuffleSplit(2))

as_missing: np.ndarray = cross_val_score_entries(NMF(2), X, cv=EntryPatternSplit(2, random_state=0))
train, test = next(EntryKFold(2).split(X))
again = NMF(2).fit(training_matrix(X, train))
rows_, columns_, truth = held_out_entries(X, test)
errors = [metrics.mae(X, filled), metrics.relative_error(X, filled), metrics.psnr(X, filled, data_range=1.0)]
ranked: float = metrics.ndcg_at_k(X, best, liked=4.0)
faces = datasets.fetch_cbcl(preparation="raw")
digits = datasets.fetch_mnist(100, subset="test", random_state=0)

# Looking at models.
ComponentsDisplay.from_estimator(model)
CompletionDisplay.from_estimator(model, X, X_true=X)
ConvergenceDisplay({"a": [1.0, 0.5]}).plot()
SensitivityDisplay.from_search(search, "n_components", "alpha_W")
course: dict[str, np.ndarray] = trace(model, X, every=20)
warning: type[Warning] = DataWarning
version: str = advnmf.__version__
