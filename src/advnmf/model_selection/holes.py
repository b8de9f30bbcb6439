"""The pattern of the missing entries, and draws of observed entries with the same pattern.

An entry is missing because its row is (nothing is observed there), its column is, or by itself.  The last kind is

- scattered: given the shares of the columns, entries are missing independently of each other;
- uneven: given the shares of rows and of columns they are, but some rows miss far more than others;
- structured: blocks, runs, clouds or groups of columns are missing together.

Patterns are judged by the sum over pairs of columns of the squared number of rows in which both are missing, against
random matrices with the same row and column sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .neighbours import Layout

Array = np.ndarray
RandomState = np.random.RandomState

#: Kinds of holes.
SINGLE, ROW, COLUMN = 0, 1, 2

# Most rows and columns that are looked at; random matrices, and rounds of exchanges before each.
_SAMPLE, _MATRICES, _BURN_IN, _ROUNDS = 256, 12, 20, 5
# A pattern is structured if the statistic is so many standard deviations, and by this share, above its expectation.
_SIGMAS, _EXCESS = 5.0, 0.1
# Fewer parts than this are few.
_FEW_PARTS = 30
# Fewer missing entries show no structure.
FEWEST = 8
# Receivers that are looked at for each donor; least share of what the donor has observed that must be left, and of its
# holes that must be observed.
TRIED, KEPT, NEW = 32, 0.7, 0.25
# Where nothing fits so well: holes can be imitated if another row has observed them, and beside them this share of what
# independent entries would have in common.
_IMITABLE = 0.3
# Largest natural logarithm of the weight of a column.
_MOST_LOG = 2.3
# Least weight of an entry, of the largest.
_LEAST_WEIGHT = 1e-3
# Range of the weights of lines by the size of the part in which they are missing.
_WEIGHTS_OF_SIZES = (0.2, 5.0)


@dataclass(frozen=True, eq=False)
class Holes:
    """The missing entries of a matrix, given as flags; `rows` and `columns` say where lines lie."""

    missing: Array
    rows: Layout | None = None
    columns: Layout | None = None

    @cached_property
    def empty_rows(self) -> Array:
        """Rows in which nothing is observed."""
        return self.missing.all(axis=1)

    @cached_property
    def empty_columns(self) -> Array:
        """Columns in which nothing is observed."""
        return self.missing.all(axis=0)

    @cached_property
    def single(self) -> Array:
        """Flags of the entries that are missing by themselves."""
        return self.missing & ~self.empty_rows[:, None] & ~self.empty_columns

    @property
    def imitates_columns(self) -> bool:
        """Whether whole columns are missing, and others can stand for them."""
        return bool(self.empty_columns.any()) and self.columns is not None

    @cached_property
    def kind(self) -> str:
        """Of the entries that are missing by themselves: "none", "scattered", "uneven" or "structured"."""
        single = self.single[np.ix_(~self.empty_rows, ~self.empty_columns)]
        if not single.any():
            return "none"
        random_state, uneven = np.random.RandomState(0), _uneven(single)
        if _together(self._sampled(random_state), random_state, uneven):
            return "structured"
        return "uneven" if uneven else "scattered"

    def _sampled(self, random_state: RandomState) -> Array:
        """Some rows with holes, in one stretch if rows lie beside each other, and some columns."""
        rows = np.arange(len(self.missing)) if self.rows is None else self.rows.order
        rows = rows[self.single[rows].any(axis=1)]
        if self.rows is None:
            rows = random_state.permutation(rows)[:_SAMPLE]
        else:
            first = random_state.randint(max(1, len(rows) - _SAMPLE))
            rows = rows[first : first + _SAMPLE]
        columns = random_state.permutation(np.flatnonzero(~self.empty_columns))[:_SAMPLE]
        return self.single[np.ix_(rows, columns)]

    @cached_property
    def few_parts(self) -> bool:
        """Whether the whole lines that lie beside each other are missing in so few parts that their places matter."""
        sides = (self.empty_rows, self.rows), (self.empty_columns, self.columns)
        there = [layout.parts(empty).max() for empty, layout in sides if layout is not None and empty.any()]
        return bool(there) and min(there) < _FEW_PARTS

    def describe(self) -> str:
        """The pattern in words."""
        parts = []
        for empty, name in ((self.empty_rows, "rows"), (self.empty_columns, "columns")):
            if empty.any():
                parts.append(f"{np.count_nonzero(empty)} whole {name}")
        words = {
            "scattered": "scattered entries",
            "uneven": "entries of rows that miss far more than others",
            "structured": "blocks of entries",
        }
        return " and ".join([*parts, *([words[self.kind]] if self.kind in words else [])]) or "nothing"


def _together(M: Array, random_state: RandomState, uneven: bool) -> bool:
    """Whether holes lie together, more than random matrices of the same row and column sums show.

    Where these sums leave no freedom (all holes form one block), whether the rows with holes differ from all others.
    """
    if np.count_nonzero(M) < FEWEST or min(M.shape) < 2:
        return False
    found, M = _statistic(M), M.copy()
    _exchange(M, random_state, _BURN_IN)
    expected = []
    for _ in range(_MATRICES):
        _exchange(M, random_state, _ROUNDS)
        expected.append(_statistic(M))
    mean, deviation = np.mean(expected), np.std(expected)
    if deviation == 0 and found == mean:
        return uneven
    return bool(found - mean > max(_SIGMAS * deviation, _EXCESS * mean))


def _statistic(M: Array) -> float:
    """The squared number of common holes, summed over pairs of columns."""
    both = M.T.astype(np.float64) @ M
    return float(np.sum(np.square(both)) - np.sum(np.square(np.diag(both))))


def _exchange(M: Array, random_state: RandomState, n_rounds: int) -> None:
    """Rows in random pairs deal out anew the holes that only one of the two has; in place."""
    for _ in range(n_rounds):
        order = random_state.permutation(len(M))
        half = len(M) // 2
        one, other = order[:half], order[half : 2 * half]
        A, B = M[one], M[other]
        differ = A ^ B
        keys = np.where(differ, random_state.uniform(size=A.shape), 2.0)
        ranks = np.empty(A.shape, np.int64)
        np.put_along_axis(ranks, np.argsort(keys, axis=1), np.arange(A.shape[1])[None, :], axis=1)
        mine = differ & (ranks < np.count_nonzero(A & ~B, axis=1)[:, None])
        M[one], M[other] = (A & B) | mine, (A & B) | (differ & ~mine)


def _uneven(M: Array) -> bool:
    """Whether the numbers of holes of the rows vary more than independent entries would let them."""
    p = M.mean(axis=0)
    counts, variance = M.sum(axis=1), float(np.sum(p * (1 - p)))
    excess = float(np.mean(np.square(counts - p.sum()))) - variance
    # The mean of n squared deviations has the standard error variance * sqrt(2 / n).
    return excess > variance * max(1.0, _SIGMAS * np.sqrt(2 / len(M)))


def not_imitated(holes: Holes) -> str:
    """The holes that no observed entries can stand for, in words; empty if there are none."""
    if holes.empty_columns.any() and holes.columns is None:
        n = np.count_nonzero(holes.empty_columns)
        return f"{n} column{'s' if n > 1 else ''} in which nothing is observed, without features_order"
    if holes.kind == "structured" and holes.rows is None and not _fit_together(holes):
        return "rows whose holes no other row has observed beside what they have observed themselves"
    return ""


def _fit_together(holes: Holes) -> bool:
    """Whether the holes of most rows are observed in others, beside a fair part of what these rows have observed."""
    observed, random_state = ~holes.missing, np.random.RandomState(0)
    rows = np.flatnonzero(~holes.empty_rows)
    donors = random_state.permutation(np.flatnonzero(holes.single.any(axis=1)))[:TRIED]
    tried = observed[random_state.permutation(rows)[:_SAMPLE]]
    fair = []
    for donor in donors:
        new = np.count_nonzero(tried & holes.single[donor], axis=1) >= NEW * np.count_nonzero(holes.single[donor])
        kept = np.count_nonzero(tried & observed[donor], axis=1) / np.count_nonzero(observed[donor])
        fair.append(bool(new.any()) and kept[new].max() >= _IMITABLE * tried.mean())
    return bool(np.mean(fair) >= 0.5)


# --- what held-out entries stand for ---------------------------------------------------------------------------------


def kinds_of(observed: Array) -> Array:
    """The kind that each entry would be if it were missing."""
    kinds = np.zeros(observed.shape, np.uint8)
    kinds[~observed.any(axis=1)] = ROW
    kinds[:, ~observed.any(axis=0)] = COLUMN
    return kinds


def weights_of_kinds(holes: Holes, test: Array) -> Array:
    """Weights of the held-out entries, row by row, by which they stand for the missing ones; their mean is 1.

    Whole columns, whole rows and single entries count by their shares of the missing entries; within the last, so does
    each column as far as the numbers of its missing and of its held-out entries differ by more than chance.
    """
    rows, columns = np.nonzero(test)
    kinds, missing = kinds_of(~holes.missing & ~test)[rows, columns], kinds_of(~holes.missing)[holes.missing]
    held, asked = (np.bincount(each, minlength=3) for each in (kinds, missing))
    imitated = (asked[held > 0] > 0).any()
    weights = (asked / np.maximum(held, 1))[kinds] if imitated else np.ones(len(rows))
    # Lines that were emptied by chance stand for nothing that is missing.
    weights = np.maximum(weights, _LEAST_WEIGHT * weights.max())
    single = kinds == SINGLE
    for kind, lines, layout, empty in (
        (ROW, rows, holes.rows, holes.empty_rows),
        (COLUMN, columns, holes.columns, holes.empty_columns),
    ):
        if layout is not None and empty.any() and (kinds == kind).any():
            here = kinds == kind
            out = np.zeros_like(empty)
            out[lines[here]] = True
            weights[here] *= _size_weights(out, empty, layout)[lines[here]]
    in_columns = np.bincount(columns[single], minlength=test.shape[1])
    weights[single] *= _column_weights(holes.single.sum(axis=0), in_columns)[columns[single]]
    return weights / weights.mean()


def _size_weights(held: Array, missing: Array, layout: Layout) -> Array:
    """For each held-out line: the share of missing lines in connected parts of its size over that of held-out ones."""
    classes = layout.size_classes(held), layout.size_classes(missing)
    n = max(each.max() for each in classes) + 1
    of_held, of_missing = (
        np.bincount(each[lines], minlength=n) / np.count_nonzero(lines)
        for each, lines in zip(classes, (held, missing), strict=True)
    )
    weights = np.clip(of_missing / np.maximum(of_held, 1e-9), *_WEIGHTS_OF_SIZES)[classes[0]]
    return weights / weights[held].mean()


def _column_weights(missing: Array, held: Array) -> Array:
    """(share of the missing entries) / (share of the held-out ones), drawn to 1 as far as chance explains it.

    Logarithms l_j of the ratios have the variance v_j of counts, and tau^2 beside: l_j tau^2 / (tau^2 + v_j).
    """
    known = held > 0
    if np.count_nonzero(known) < 2 or not missing[known].any():
        return np.ones(len(held))
    a, b = missing + 0.5, held + 0.5
    ratio = np.log(a / a[known].sum()) - np.log(b / b[known].sum())
    variance = 1 / a + 1 / b
    precision = known / variance
    beyond = max(0.0, float(precision @ (np.square(ratio) - variance) / precision.sum()))
    weights = np.exp(np.clip(ratio * beyond / (beyond + variance), -_MOST_LOG, _MOST_LOG))
    return weights * held.sum() / float(weights @ held)
