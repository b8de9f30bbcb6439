"""Which observed entries a search holds out: in the pattern of the missing ones, at random, or as the user says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...data.observed import Observed
from ..cross_validation import make_folds, make_splits
from ..holes import Holes, not_imitated
from ..neighbours import Layout, check_layout
from ..splits import EntryKFold, EntryPatternSplit, EntryShuffleSplit
from ..trials import Fold
from .empty_lines import ObservedLines

Array = np.ndarray

# 5 folds below the first number of observed entries, 3 below the second; else one split holds out a tenth of them, at
# most the third number.
_SMALL, _MEDIUM, _MOST_HELD_OUT = 5_000, 50_000, 500_000


@dataclass(frozen=True, eq=False)
class Holdout:
    """How entries of `X` are held out (the parameter `holdout` of `AutoNMF`), and where its rows and columns lie."""

    entries: Observed
    how: object = "auto"
    samples_order: object = None
    features_order: object = None
    samples_grid: tuple[int, ...] | None = None
    features_grid: tuple[int, ...] | None = None

    @cached_property
    def rows(self) -> Layout | None:
        """Where rows lie."""
        return Layout.of(self.entries.shape[0], "samples", self.samples_order, self.samples_grid)

    @cached_property
    def columns(self) -> Layout | None:
        """Where columns lie."""
        return Layout.of(self.entries.shape[1], "features", self.features_order, self.features_grid)

    def lines(self, entries: Observed) -> ObservedLines:
        """The rows and columns that take part: those with an observed entry; all of them if they have an order."""
        seen = ObservedLines.of(entries)
        if self.rows is not None:
            seen.rows[:] = True
        if self.columns is not None:
            seen.columns[:] = True
        return seen

    def folds(self, entries: Observed, seen: ObservedLines, seed: int) -> list[Fold]:
        """The folds of the entries that take part, which lie in the lines `seen`."""
        if isinstance(self.how, str):
            return make_folds(entries, self._splitter(int(np.count_nonzero(entries.observed)), seed), seed)
        return make_folds(entries, [self._part(entries, seen, *split) for split in self._given], seed)

    @cached_property
    def holes(self) -> Holes | None:
        """The pattern of what is missing in `X`; None if it is not imitated."""
        return self._pattern_split(1, 0.1, 0).holes(self.entries) if self.how == "auto" else None

    @property
    def share_of_rows(self) -> float:
        """The share of the missing entries that lie in empty rows without a place, which take no part in the search."""
        if self.holes is None or self.rows is not None or not self.holes.empty_rows.any():
            return 0.0
        missing = self.holes.missing
        return np.count_nonzero(self.holes.empty_rows) * missing.shape[1] / np.count_nonzero(missing)

    def describe(self) -> str:
        """How entries were held out, in a sentence."""
        if self.how == "random" or (self.how == "auto" and self.holes is None):
            return "Entries were held out at random."
        if self.how != "auto":
            return "Entries were held out as given."
        if not self.holes.missing.any():
            return "Entries were held out at random, as nothing is missing."
        return f"Entries were held out in the pattern of the missing ones ({self.holes.describe()})."

    @property
    def together(self) -> bool:
        """Whether entries of a row are held out together."""
        return self.holes is not None and self.holes.kind in ("structured", "uneven")

    @cached_property
    def not_imitated(self) -> str:
        """The holes of which no error can be stated, in words."""
        return "" if self.holes is None else not_imitated(self.holes)

    def _splitter(self, n: int, seed: int) -> EntryPatternSplit | EntryKFold | EntryShuffleSplit:
        n_splits = 5 if n < _SMALL else 3 if n < _MEDIUM else 1
        share = 0.2 if n < _SMALL else min(0.1, _MOST_HELD_OUT / n)
        if self.how == "auto":
            few = self.holes is not None and self.holes.few_parts and n < _MOST_HELD_OUT
            return self._pattern_split(max(n_splits, 3 if few else 1), share, seed)
        if n < _SMALL:
            return EntryKFold(n_splits, random_state=seed)
        return EntryShuffleSplit(n_splits, test_size=share, random_state=seed)

    def _pattern_split(self, n_splits: int, share: float, seed: int) -> EntryPatternSplit:
        return EntryPatternSplit(
            n_splits,
            test_size=share,
            samples_order=self.samples_order,
            features_order=self.features_order,
            samples_grid=self.samples_grid,
            features_grid=self.features_grid,
            random_state=seed,
        )

    @cached_property
    def _given(self) -> list[tuple[Array, ...]]:
        """The splits of the user."""
        return list(make_splits(self.entries, self.how))

    def _part(
        self, entries: Observed, seen: ObservedLines, train: Array, test: Array, weights: Array | None = None
    ) -> tuple[Array, ...]:
        """A split of `X`, of the entries that take part."""
        if weights is not None:
            every = np.zeros(test.shape)
            every[test] = weights
            every = self.entries.part_of(every, seen.rows, seen.columns)
        train, test = (
            self.entries.part_of(flags, seen.rows, seen.columns) & entries.observed for flags in (train, test)
        )
        return (train, test) if weights is None else (train, test, every[test])


def check_holdout(
    how: object, samples_order: object, features_order: object, samples_grid: object, features_grid: object
) -> None:
    """Refuse invalid parameters of `AutoNMF`."""
    named = isinstance(how, str) and how in ("auto", "random")
    if not named and (isinstance(how, str) or not (hasattr(how, "split") or _may_be_pairs(how))):
        raise ValueError(
            f"holdout={how!r} must be 'auto', 'random', a splitter of entries such as EntryPatternSplit, or pairs "
            "(train, test)"
        )
    check_layout("samples", samples_order, samples_grid)
    check_layout("features", features_order, features_grid)


def _may_be_pairs(how: object) -> bool:
    """Whether these may be pairs (train, test), or give them; what is in them is seen beside ``X``."""
    if not isinstance(how, list | tuple):
        return isinstance(how, Iterable)
    return bool(how) and all(isinstance(split, list | tuple) and len(split) in (2, 3) for split in how)
