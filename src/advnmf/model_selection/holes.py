"""The pattern of the missing entries, and draws of observed entries with the same pattern.

An entry is missing because its row is (nothing is observed there), its column is, or by itself.  The last kind is

- scattered: given the shares of the columns, entries are missing independently of each other;
- uneven: given the shares of rows and of columns they are, but some rows miss far more than others;
- structured: blocks, runs, clouds or groups of columns are missing together.

Patterns are judged by the sum over pairs of columns of the squared number of rows in which both are missing, against
random matrices with the same row and column sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .neighbours import Layout

Array = np.ndarray
RandomState = np.random.RandomState

# Most rows and columns that are looked at; random matrices, and rounds of exchanges before each.
_SAMPLE, _MATRICES, _BURN_IN, _ROUNDS = 256, 12, 20, 5
# A pattern is structured if the statistic is so many standard deviations, and by this share, above its expectation.
_SIGMAS, _EXCESS = 5.0, 0.1
# Fewer parts than this are few.
_FEW_PARTS = 30
# Fewer missing entries show no structure.
_FEWEST = 8
# Receivers that are looked at for each donor; least share of what the donor has observed that must be left, and of its
# holes that must be observed.
_TRIED, _KEPT, _NEW = 32, 0.7, 0.25
# Where nothing fits so well: holes can be imitated if another row has observed them, and beside them this share of what
# independent entries would have in common.
_IMITABLE = 0.3
# Shifts that are compared for each move of a pattern; most moves.
_SHIFTS, _MOVES = 24, 24
# Largest natural logarithm of the weight of a column.
_MOST_LOG = 2.3
# Least weight of an entry, of the largest.
_LEAST_WEIGHT = 1e-3
# Range of the weights of lines by the size of the part in which they are missing.
_WEIGHTS_OF_SIZES = (0.2, 5.0)
# Least share of the present lines that are held out as a whole, and most.
_FEW_LINES, _MANY_LINES = 0.08, 0.2


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
    if np.count_nonzero(M) < _FEWEST or min(M.shape) < 2:
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


# --- draws ------------------------------------------------------------------------------------------------------------


def draws(holes: Holes, n: int, share: float, random_state: RandomState) -> Iterator[Array]:
    """Flags of the observed entries to hold out, `n` times, in the pattern of the holes."""
    observed = ~holes.missing
    singles = _draws_of_singles(holes, n, share, random_state)
    for _ in range(n):
        rows = draw_lines(holes.empty_rows, holes.rows, random_state) if holes.empty_rows.any() else holes.empty_rows
        columns = np.zeros_like(holes.empty_columns)
        if holes.imitates_columns:
            columns = draw_lines(holes.empty_columns, holes.columns, random_state)
        whole = rows[:, None] | columns
        test = next(singles) & observed & ~whole
        test[observed & ~whole] = keep_all_lines(test[observed & ~whole], *np.nonzero(observed & ~whole), test.shape)
        yield test | (whole & observed)


def _draws_of_singles(holes: Holes, n: int, share: float, random_state: RandomState) -> Iterator[Array]:
    """The same for what is missing by itself; or for whole lines alone, if these can be imitated: nothing."""
    observed, kind = ~holes.missing, holes.kind
    if kind == "none" and (holes.empty_rows.any() or holes.imitates_columns):
        for _ in range(n):
            yield np.zeros_like(observed)
    folds = random_state.permutation(np.count_nonzero(observed)) % max(n, round(1 / share))
    # Half as many as are missing, or hardly a row would stay whole; but enough to tell.
    share = min(share, max(0.5 * float(holes.single.mean()), 0.2 * share))
    for fold in range(n):
        if kind == "structured" and holes.rows is not None:
            test = draw_moved(holes, share, random_state)
        elif kind in ("structured", "uneven"):
            test = draw_transplanted(holes, share, random_state)
        if kind in ("none", "scattered") or np.count_nonzero(test) < _FEWEST:
            test = np.zeros_like(observed)
            test[observed] = folds == fold
        yield test


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
    classes = size_classes(held, layout), size_classes(missing, layout)
    n = max(each.max() for each in classes) + 1
    of_held, of_missing = (
        np.bincount(each[lines], minlength=n) / np.count_nonzero(lines)
        for each, lines in zip(classes, (held, missing), strict=True)
    )
    weights = np.clip(of_missing / np.maximum(of_held, 1e-9), *_WEIGHTS_OF_SIZES)[classes[0]]
    return weights / weights[held].mean()


#: Kinds of holes.
SINGLE, ROW, COLUMN = 0, 1, 2


def kinds_of(observed: Array) -> Array:
    """The kind that each entry would be if it were missing."""
    kinds = np.zeros(observed.shape, np.uint8)
    kinds[~observed.any(axis=1)] = ROW
    kinds[:, ~observed.any(axis=0)] = COLUMN
    return kinds


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


def draw_lines(empty: Array, layout: Layout | None, random_state: RandomState) -> Array:
    """Flags of present lines to hold out as a whole, as `empty` ones are missing."""
    present = ~empty
    n, share = np.count_nonzero(present), float(empty.mean())
    # Parts that keep apart do not thin each other's surroundings.
    share = share if layout is None else 2 * share
    target = min(max(1, round(n * float(np.clip(share, _FEW_LINES, _MANY_LINES)))), n - 1)
    if layout is None:
        chosen = np.zeros(len(empty), bool)
        chosen[random_state.permutation(np.flatnonzero(present))[:target]] = True
        return chosen
    classes = size_classes(empty, layout)
    quota = target * np.bincount(classes[empty]) / np.count_nonzero(empty)
    chosen = np.zeros(len(empty), bool)
    for _ in range(_MOVES):
        parts, sizes = _unchanged(empty, empty | chosen, layout, random_state)
        for part in random_state.permutation(np.flatnonzero(sizes)):
            size_class = _size_class(sizes[part])
            if quota[size_class] > 0:
                quota[size_class] -= sizes[part]
                chosen |= parts == part
        if not (quota > 0).any():
            break
    return (
        chosen if chosen.any() else _some_parts(_best_move(empty, layout, random_state), layout, target, random_state)
    )


def _unchanged(empty: Array, taken: Array, layout: Layout, random_state: RandomState) -> tuple[Array, Array]:
    """Connected parts of `empty`, moved by a random shift: the part of each line (-1: none), and the size of each part.

    The size is 0 unless the part comes out whole, and apart from what is taken.
    """
    parts = np.full(len(empty), -1)
    parts[empty] = layout.parts(empty)
    moved = layout.moved(parts, layout.random_shift(random_state))
    n = parts.max() + 1
    torn = layout.pairs_within(moved, n) != layout.pairs_within(parts, n)
    met = np.bincount(moved[layout.beside(taken) | taken] + 1, minlength=n + 1)[1:]
    return moved, np.where(torn | (met > 0), 0, np.bincount(parts[empty], minlength=n))


def size_classes(lines: Array, layout: Layout) -> Array:
    """For each of the flagged lines floor(log2 n) of its connected part, which has n lines; else 0."""
    classes = np.zeros(len(lines), np.int64)
    parts = layout.parts(lines)
    classes[lines] = _size_class(np.bincount(parts))[parts]
    return classes


def _size_class(size: Array) -> Array:
    return np.log2(size).astype(np.int64)


def _best_move(empty: Array, layout: Layout, random_state: RandomState) -> Array:
    """The present lines to which a shift carries `empty`: the most of some shifts."""
    moves = [layout.moved(empty, layout.random_shift(random_state)) & ~empty for _ in range(_SHIFTS)]
    return max(moves, key=np.count_nonzero)


def _some_parts(lines: Array, layout: Layout, most: int, random_state: RandomState) -> Array:
    """Connected parts of the flagged lines in random order, until there are enough."""
    at = np.flatnonzero(lines)
    if len(at) <= most or not at.size:
        return lines
    parts = layout.parts(lines)
    sizes = np.bincount(parts)
    order = random_state.permutation(len(sizes))
    kept = order[np.r_[0, np.cumsum(sizes[order])[:-1]] < most]
    some = np.zeros(len(lines), bool)
    some[at[np.isin(parts, kept)]] = True
    return some


def draw_moved(holes: Holes, share: float, random_state: RandomState) -> Array:
    """The holes of all rows moved along the layout of the rows; in all about this share of what is observed."""
    observed, test = ~holes.missing, np.zeros_like(holes.missing)
    target = share * np.count_nonzero(observed)
    free = ~holes.empty_rows
    for _ in range(_MOVES):
        moves = [holes.rows.moved(holes.single, holes.rows.random_shift(random_state)) for _ in range(_SHIFTS // 3)]
        moves = [move & observed & free[:, None] for move in moves]
        move = max(moves, key=np.count_nonzero)
        hit = move.any(axis=1)
        left = int(np.ceil((target - np.count_nonzero(test)) / max(1.0, np.count_nonzero(move) / max(1, hit.sum()))))
        hit = _some_parts(hit, holes.rows, left, random_state)
        test |= move & hit[:, None]
        free &= ~hit
        if np.count_nonzero(test) >= 0.8 * target:
            break
    return test


def draw_transplanted(holes: Holes, share: float, random_state: RandomState) -> Array:
    """Rows are given the holes of others: each donor finds a row that is then observed about as much as itself."""
    observed = ~holes.missing
    donors = np.flatnonzero(holes.single.any(axis=1))
    free = random_state.permutation(np.flatnonzero(~holes.empty_rows))
    test, target, held = np.zeros_like(observed), share * np.count_nonzero(observed), 0
    asked = given = 0
    for donor in random_state.choice(donors, size=2 * len(free)):
        if held >= target or not free.size:
            break
        want, left = holes.single[donor], observed[donor]
        tried = observed[free[:_TRIED]]
        kept = np.count_nonzero(tried & left, axis=1) / np.count_nonzero(left)
        new = np.count_nonzero(tried & want, axis=1) / np.count_nonzero(want)
        best = int(np.argmax(np.where(kept >= _KEPT, new, 0)))
        asked += np.count_nonzero(want)
        if kept[best] < _KEPT or new[best] < _NEW:
            free = np.roll(free, -_TRIED)
            continue
        given += np.count_nonzero(want)
        test[free[best]] = tried[best] & want
        held += np.count_nonzero(test[free[best]])
        free = np.delete(free, best)
    return test if given >= 0.5 * asked else draw_thinned(holes, share, random_state)


def draw_thinned(holes: Holes, share: float, random_state: RandomState) -> Array:
    """Rows lose entries at random until they have as few as rows with more holes, most in columns with many holes."""
    observed = ~holes.missing
    left, lost = np.count_nonzero(observed, axis=1), np.count_nonzero(holes.single, axis=1)
    rates = holes.single[~holes.empty_rows].mean(axis=0)
    odds = np.maximum(rates, 1e-3) / np.maximum(1 - rates, 1e-3)
    test, target, held = np.zeros_like(observed), share * np.count_nonzero(observed), 0
    donors = np.flatnonzero((lost > 0) & (left > 0))
    for row in random_state.permutation(np.flatnonzero(~holes.empty_rows)):
        fewer = left[donors] < left[row]
        if held >= target or not fewer.any():
            continue
        chance = np.where(fewer, lost[donors] / np.maximum(left[row] - left[donors], 1), 0)
        donor = random_state.choice(donors, p=chance / chance.sum())
        at = np.flatnonzero(observed[row])
        keys = random_state.exponential(size=len(at)) / odds[at]
        test[row, at[np.argsort(keys)[: left[row] - left[donor]]]] = True
        held += left[row] - left[donor]
    return test


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
    donors = random_state.permutation(np.flatnonzero(holes.single.any(axis=1)))[:_TRIED]
    tried = observed[random_state.permutation(rows)[:_SAMPLE]]
    fair = []
    for donor in donors:
        new = np.count_nonzero(tried & holes.single[donor], axis=1) >= _NEW * np.count_nonzero(holes.single[donor])
        kept = np.count_nonzero(tried & observed[donor], axis=1) / np.count_nonzero(observed[donor])
        fair.append(bool(new.any()) and kept[new].max() >= _IMITABLE * tried.mean())
    return bool(np.mean(fair) >= 0.5)


def keep_all_lines(chosen: Array, rows: Array, columns: Array, shape: tuple[int, int]) -> Array:
    """`chosen` without the first entry of each row, then of each column, that would be left with none."""
    chosen = chosen.copy()
    for lines, length in ((rows, shape[0]), (columns, shape[1])):
        kept = np.bincount(lines[~chosen], minlength=length) > 0
        last = np.flatnonzero(~kept[lines])  # entries of lines that are chosen as a whole
        _, first = np.unique(lines[last], return_index=True)
        chosen[last[first]] = False
    return chosen
