"""cmfrec on a dense array with holes, or on ratings."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
from harness import Meter, hidden_rmse, report, task, training_rows
from quick_cmfrec import cmfrec

data, settings = task()
warnings.simplefilter("ignore")
model = cmfrec.CMF(
    niter=settings["sweeps"],
    verbose=False,
    nthreads=settings["threads"],
    random_state=settings["seed"] + 1,
    **settings["parameters"],
)
if "mask" in data:
    X = np.where(data["mask"], data["X"], np.nan)
else:
    X = pd.DataFrame({"UserId": training_rows(data), "ItemId": data["indices"], "Rating": data["values"]})
with Meter() as meter:
    model.fit(X)
if "mask" in data:
    prediction = model.A_ @ model.B_.T
else:
    prediction = model.predict(user=data["test_rows"], item=data["test_columns"])
    prediction = np.where(np.isnan(prediction), data["values"].mean(), prediction)
report(meter, settings["sweeps"], version("cmfrec"), score=hidden_rmse(data, prediction))
