"""Runs in the peers' environment: cmfrec on the arrays of an npz file; prints seconds and test error as JSON."""

from __future__ import annotations

import json
import sys
import time

import cmfrec
import numpy as np

with np.load(sys.argv[1], allow_pickle=False) as file:
    X, mask = file["X"], file["mask"]
model = cmfrec.CMF(
    k=int(sys.argv[2]),
    lambda_=float(sys.argv[3]),
    nonneg=True,
    niter=30,
    user_bias=False,
    item_bias=False,
    center=False,
    verbose=False,
    nthreads=2,
)
began = time.perf_counter()
model.fit(np.where(mask, X, np.nan))
seconds = time.perf_counter() - began
error = (model.A_ @ model.B_.T - X)[~mask]
print(json.dumps({"seconds": seconds, "rmse": float(np.sqrt(np.mean(error**2)))}))
