"""Surprise's NMF on ratings; its predictions stay within the scale of the ratings, as they do by default."""

from __future__ import annotations

import numpy as np
import pandas as pd
import surprise
from harness import Meter, hidden_rmse, report, task, training_rows

data, settings = task()
table = pd.DataFrame({"user": training_rows(data), "item": data["indices"], "rating": data["values"].astype(float)})
scale = surprise.Reader(rating_scale=(table.rating.min(), table.rating.max()))
trainset = surprise.Dataset.load_from_df(table, scale).build_full_trainset()
model = surprise.NMF(n_epochs=settings["sweeps"], random_state=settings["seed"], **settings["parameters"])
with Meter() as meter:
    model.fit(trainset)
pairs = zip(data["test_rows"].tolist(), data["test_columns"].tolist(), strict=True)
prediction = np.array([model.predict(user, item).est for user, item in pairs])
report(meter, settings["sweeps"], surprise.__version__, score=hidden_rmse(data, prediction))
