"""implicit's ALS on the same stored entries.  They are confidences to it: only the time of a sweep compares."""

from __future__ import annotations

import implicit
import numpy as np
from harness import Meter, report, task
from scipy import sparse

data, settings = task()
X = sparse.csr_matrix((data["values"], data["indices"], data["indptr"]), shape=tuple(data["shape"]))
model = implicit.cpu.als.AlternatingLeastSquares(
    iterations=settings["sweeps"],
    num_threads=settings["threads"],
    random_state=settings["seed"],
    **settings["parameters"],
)
times = []
with Meter() as meter:
    model.fit(X, show_progress=False, callback=lambda iteration, seconds, loss: times.append(seconds))
report(meter, settings["sweeps"], implicit.__version__, sweep_seconds=float(np.median(times)))
