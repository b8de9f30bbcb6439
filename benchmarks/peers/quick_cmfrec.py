"""cmfrec, without looking for libraries of BLAS in all of the process's memory six times a sweep.

It limits their threads through threadpoolctl, which looks anew each time: 20 ms a sweep, whatever the data.  Here they
are looked for once.  Import this in place of cmfrec.
"""

from __future__ import annotations

import numpy
import scipy.linalg  # the libraries are to be loaded by now
import threadpoolctl

found = threadpoolctl.ThreadpoolController()
threadpoolctl.threadpool_limits, threadpoolctl.threadpool_info = found.limit, found.info

import cmfrec  # noqa: E402

__all__ = ["cmfrec", "numpy", "scipy"]
