"""Draws of observed entries to hold out, in the pattern in which others are missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .holes import FEWEST, KEPT, NEW, TRIED, Holes
from .neighbours import Layout, size_class

Array = np.ndarray
RandomState = np.random.RandomState

# Shifts that are compared for each move of a pattern; most moves.
_SHIFTS, _MOVES = 24, 24
# Least share of the present lines that are held out as a whole, and most.
_FEW_LINES, _MANY_LINES = 0.08, 0.2


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
        if kind in ("none", "scattered") or np.count_nonzero(test) < FEWEST:
            test = np.zeros_like(observed)
            test[observed] = folds == fold
        yield test


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
    classes = layout.size_classes(empty)
    quota = target * np.bincount(classes[empty]) / np.count_nonzero(empty)
    chosen = np.zeros(len(empty), bool)
    for _ in range(_MOVES):
        parts, sizes = _unchanged(empty, empty | chosen, layout, random_state)
        for part in random_state.permutation(np.flatnonzero(sizes)):
            of_size = size_class(sizes[part])
            if quota[of_size] > 0:
                quota[of_size] -= sizes[part]
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
        tried = observed[free[:TRIED]]
        kept = np.count_nonzero(tried & left, axis=1) / np.count_nonzero(left)
        new = np.count_nonzero(tried & want, axis=1) / np.count_nonzero(want)
        best = int(np.argmax(np.where(kept >= KEPT, new, 0)))
        asked += np.count_nonzero(want)
        if kept[best] < KEPT or new[best] < NEW:
            free = np.roll(free, -TRIED)
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


def keep_all_lines(chosen: Array, rows: Array, columns: Array, shape: tuple[int, int]) -> Array:
    """`chosen` without the first entry of each row, then of each column, that would be left with none."""
    chosen = chosen.copy()
    for lines, length in ((rows, shape[0]), (columns, shape[1])):
        kept = np.bincount(lines[~chosen], minlength=length) > 0
        last = np.flatnonzero(~kept[lines])  # entries of lines that are chosen as a whole
        _, first = np.unique(lines[last], return_index=True)
        chosen[last[first]] = False
    return chosen
