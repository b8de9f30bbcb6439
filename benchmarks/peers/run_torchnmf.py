"""torchnmf's multiplicative updates for squares (beta = 2) on complete data, from the given start."""

from __future__ import annotations

from importlib.metadata import version

import torch
from harness import Meter, report, squared_error, task
from torchnmf.nmf import NMF

data, settings = task()
torch.set_num_threads(settings["threads"])
X = torch.from_numpy(data["X"])
model = NMF(W=torch.from_numpy(data["H"].T.copy()), H=torch.from_numpy(data["W"]))
with Meter() as meter:
    model.fit(X, beta=2, tol=-1, max_iter=settings["sweeps"])
codes, components = model.H.detach().numpy(), model.W.detach().numpy().T
score = squared_error(data["X"], codes, components)
report(meter, settings["sweeps"], f"{version('torchnmf')} (torch {torch.__version__})", score=score)
