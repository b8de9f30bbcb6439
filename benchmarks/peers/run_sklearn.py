"""scikit-learn's NMF on complete data, from the given start."""

from __future__ import annotations

import warnings

import sklearn
from harness import Meter, report, squared_error, task
from sklearn.decomposition import NMF

data, settings = task()
warnings.simplefilter("ignore")
model = NMF(len(data["H"]), init="custom", max_iter=settings["sweeps"], tol=0, random_state=0, **settings["parameters"])
with Meter() as meter:
    codes = model.fit_transform(data["X"], W=data["W"], H=data["H"])
report(meter, settings["sweeps"], sklearn.__version__, score=squared_error(data["X"], codes, model.components_))
