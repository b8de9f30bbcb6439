"""The choice of a model by held-out observed entries.

Cross-validation of a completion holds out entries, not rows: `EntryKFold` and `EntryShuffleSplit` split the observed
entries, `cross_val_score_entries` scores one model on them, `CompletionSearchCV` searches over parameters.
"""

from __future__ import annotations

from .cross_validation import cross_val_score_entries
from .search import CompletionSearchCV
from .splits import EntryKFold, EntryPatternSplit, EntryShuffleSplit, held_out_entries, training_matrix

__all__ = [
    "CompletionSearchCV",
    "EntryKFold",
    "EntryPatternSplit",
    "EntryShuffleSplit",
    "cross_val_score_entries",
    "held_out_entries",
    "training_matrix",
]
