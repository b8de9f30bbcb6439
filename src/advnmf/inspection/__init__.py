"""Displays of models in the manner of scikit-learn, and a trace of the errors during a fit.

A display holds the data of a picture.  ``Display.from_estimator(model, ...)`` takes them from a model and plots at
once; ``display.plot(ax=...)`` plots again, elsewhere.  Artists and axes are attributes that end in ``_``.  Nothing is
shown or saved: ``display.figure_.savefig("file.png")`` does that.  Matplotlib is imported by `plot` (``pip install
'advnmf[plot]'``), and pyplot only where no axes are given.
"""

from __future__ import annotations

from .completion import CompletionDisplay
from .components import ComponentsDisplay
from .convergence import ConvergenceDisplay
from .sensitivity import SensitivityDisplay
from .tracing import trace

__all__ = ["CompletionDisplay", "ComponentsDisplay", "ConvergenceDisplay", "SensitivityDisplay", "trace"]
