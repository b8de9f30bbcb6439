"""The search: where the held-out error is lowest over rank and ridge, then extras, more starts, an average.

Each step looks at what the steps before it have found; all choices meet the same holes.  A choice is first trained for
a few sweeps; the best ones are carried to their end.  The column means come first: what is not better than they are, by
more than a standard error, is not taken.  Where gross outliers are about, the whole search is under a loss that
withstands them, and held-out errors are capped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .choices import Choice, Units, column_means, highest_rank, variants
from .evaluation import Clock, Evaluation, HeldOut, best_average, better, evaluate

Array = np.ndarray

# Sweeps of a first look; looks that are carried to their end; more starts of the best choice; most models averaged.
_SCREEN, _FINALISTS, _STARTS, _MOST_AVERAGED = 40, 3, 5, 8
# Steps of the climb: factors of rank and ridge, the first ones and the last ones.
_STEPS = ((2.0, 10.0), (1.5, 3.0), (1.2, 1.7))
_STEPS_OF_EXTRAS = ((2.0, 3.0), (1.5, 1.7))
_STEPS_INTO_DEPTH = ((2.0, 3.0), (1.0, 3.0))
_RIDGES = (1e-7, 1.0)
# A step has to lower the mean squared error to this share at least.
_GAIN = 0.998
# Shares of the time limit after which a stage ends.
_UNTIL = {"climb": 0.4, "finals": 0.55, "extras": 0.65, "starts": 0.8}
# An error counts as at most this many robust standard deviations where outliers are about.
_CAP, _OUTLIERS = 6.0, 0.002
# The same from the size that this share of the errors is below, which a few outliers do not move: 6 of a normal one.
_CLEAN, _CAP_OF_CLEAN = 0.85, 4.2


@dataclass(frozen=True)
class Look:
    """What a callback is told after a candidate: root mean square errors over held-out entries, its and the lowest."""

    choice: str
    error: float
    best: float
    n_looks: int
    seconds: float
    time_limit: float | None


class Stopped(Exception):
    """The user's callback ends the search."""


class ColumnsNeedScales(Exception):
    """What is good by squares is no better than the column means once each column counts in its own unit."""


class Search:
    """Evaluations of choices, and the next one to make.

    Parameters
    ----------
    among_outliers : bool
        Whether gross outliers were left out before: there may be more, not so gross.
    column_weights : ndarray or None
        Of held-out entries, 1 / variance of their column, where the scales of columns differ; None where they do not.
    """

    def __init__(
        self,
        held_out: HeldOut,
        units: Units,
        shape: tuple[int, int],
        n_observed: int,
        clock: Clock,
        n_jobs: int | None,
        max_candidates: float,
        tell: Callable[[Look], bool],
        *,
        among_outliers: bool = False,
        column_weights: Array | None = None,
    ) -> None:
        self.held_out, self.units, self.shape, self.n_observed = held_out, units, shape, n_observed
        self.clock, self.n_jobs, self.tell = clock, n_jobs, tell
        self.max_candidates = max_candidates
        self.among_outliers, self.column_weights = among_outliers, column_weights
        self.found: dict[Choice, Evaluation] = {}
        self.notes: list[str] = []
        self.stop_reason = "done"

    # --- stages ---------------------------------------------------------------------------------------------------

    def run(self, first: Choice) -> list[Evaluation]:
        """The models to average, the best one first."""
        try:
            best = self._heed_outliers(self._finals(self._start(first)))
            best = self._extras(best)
            best = self._simplest(best)
            chosen = self._averaged(best)
        except (KeyboardInterrupt, Stopped) as end:
            whole = [found for found in self.found.values() if not found.failed]
            if not whole:  # nothing to keep yet
                raise
            self.stop_reason = "callback" if isinstance(end, Stopped) else "interrupted"
            chosen = [min(whole, key=lambda found: found.error)]
        else:
            if self.n_tried >= self.max_candidates:
                self.stop_reason = "max_candidates"
            elif not self._in_time("starts"):
                self.stop_reason = "time_limit"
        return self._above_the_means(chosen)

    @property
    def n_tried(self) -> int:
        """Candidates beside the column means."""
        return sum(choice.rank > 0 for choice in self.found)

    @property
    def means(self) -> Evaluation:
        """The yardstick."""
        return self.found[column_means()]

    def _start(self, first: Choice) -> Evaluation:
        """The column means, then the climb."""
        means = self._look(column_means(), None, "climb")
        for trial in means.trials:
            if trial.error is not None:  # what the means do not survive is no matter of choice
                raise trial.error
        best = self._climb(self._look(first, _SCREEN, "climb"), "climb")
        if self.column_weights is not None:
            of_means, of_best = (self.held_out.mean(self.column_weights * found.errors) for found in (means, best))
            if not of_best < of_means:
                raise ColumnsNeedScales
        return best

    def _above_the_means(self, chosen: list[Evaluation]) -> list[Evaluation]:
        """The chosen models, or the column means if these are not worse by more than a standard error."""
        average = np.mean([found.prediction for found in chosen], axis=0)
        gains = better(self.held_out, self.held_out.errors(average), self.means.errors)
        return chosen if gains else [self.means]

    def _cap(self, residuals: Array) -> None:
        """Tighten the cap to what residuals of the clean entries say."""
        size = _CAP_OF_CLEAN * float(np.quantile(np.abs(residuals), _CLEAN))
        if size > 0:
            self.held_out.cap = min(self.held_out.cap, size**2)

    def _tighten(self, best: Evaluation) -> None:
        """As the fit gets better, so does the cap that its residuals stand for, if there is one."""
        if np.isfinite(self.held_out.cap) and not best.failed:
            self._cap(self.held_out.truth - best.prediction)

    def _climb(self, best: Evaluation, stage: str) -> Evaluation:
        """Step along rank and ridge, as long as it goes down; then with smaller steps."""
        for rank_step, ridge_step in _STEPS:
            moving = True
            while moving and self._in_time(stage):
                before = best.choice
                self._tighten(best)
                best = self._line(best, self._with_ridge, ridge_step, stage)
                best = self._line(best, self._with_rank, rank_step, stage)
                moving = best.choice != before
        return best

    def _line(self, best: Evaluation, move: Callable[[Choice, float], Choice], step: float, stage: str) -> Evaluation:
        """Go one way while the error falls; the other way if it does not from the start."""
        for factor in (1 / step, step):
            start = best
            while self._in_time(stage):
                choice = move(best.choice, factor)
                if choice == best.choice:
                    break
                new = self._look(choice, _SCREEN if stage == "climb" else None, stage, after=best)
                if not new.error < _GAIN * best.error:
                    break
                best = new
            if best is not start:
                break
        return best

    def _finals(self, best: Evaluation) -> Evaluation:
        """Carry the best looks to their end; then the neighbours of the winner in rank and ridge."""
        for finalist in sorted(self.found.values(), key=lambda found: found.error)[:_FINALISTS]:
            self._look(finalist.choice, None, "finals")
        best = self._best()
        self._tighten(best)
        for rank_step, ridge_step in _STEPS[1:]:
            best = self._line(best, self._with_ridge, ridge_step, "finals")
            best = self._line(best, self._with_rank, rank_step, "finals")
        return self._line(best, self._with_ridge, _STEPS[-1][1], "finals")

    def _heed_outliers(self, best: Evaluation) -> Evaluation:
        """Where a few residuals are far beyond the others, a loss that withstands them is tried, and errors are capped.

        Held-out outliers cannot be predicted: uncapped they would drown what a model does to all other entries.
        """
        if best.choice.rank == 0 or not self._in_time("extras"):
            return best
        if self.among_outliers:
            return self._robust(best)
        residuals = self.held_out.truth - best.prediction
        sigma = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
        if not sigma > 0 or np.mean(np.abs(residuals) > _CAP * sigma) < _OUTLIERS:
            return best
        robust = self._look(replace(best.choice, correntropy=True), None, "extras")
        cap = (_CAP * 1.4826 * float(np.median(np.abs(self.held_out.truth - robust.prediction)))) ** 2
        capped = [self.held_out.errors(found.prediction, cap) for found in (best, robust)]
        # Outliers count alike against both, so uncapped it must not be worse: else large residuals are no outliers.
        if robust.error > 1.02 * best.error or not better(self.held_out, capped[1], capped[0]):
            self.notes.append("a loss against outliers does not help")
            return best
        self.held_out.cap = cap
        self._climb(robust, "extras")
        return self._look(self._best().choice, None, "extras")

    def _robust(self, best: Evaluation) -> Evaluation:
        """Where there were gross outliers: the robust loss, which new rows may need too, unless it does worse."""
        self._cap(self.held_out.truth - best.prediction)
        robust = self._look(replace(best.choice, correntropy=True), None, "extras", after=best)
        if better(self.held_out, best.errors, robust.errors):
            return best
        return self._climb(robust, "extras")

    def _extras(self, best: Evaluation) -> Evaluation:
        """Offsets, an adversary, the elastic loss, depth: kept if they gain more than a standard error."""
        if best.choice.rank == 0:
            return best
        typical = float(np.sqrt(best.error * self.n_observed / self.shape[0]))
        self.units = replace(self.units, residual=max(typical, 1e-12 * self.units.values))
        plain = best
        for choice in variants(plain.choice):
            if not self._in_time("extras"):
                break
            if choice.correntropy and choice.delta is not None:
                continue
            new = self._look(choice, None, "extras")
            if new.error < 1.05 * best.error:
                new = self._settled(new)
            self.notes.append(f"{_name_of_extra(plain.choice, choice)} ({_compared(new.error, plain.error)})")
            if not new.failed and better(self.held_out, new.errors, best.errors):
                best = self._confirmed(new, best)
        return best

    def _settled(self, extra: Evaluation) -> Evaluation:
        """An extra has a best ridge of its own; depth a best rank too, as it takes more of both."""
        deep = extra.choice.outer_rank is not None
        for rank_step, ridge_step in _STEPS_INTO_DEPTH if deep else ():
            if self._in_time("extras"):
                choice = self._with_ridge(self._with_rank(extra.choice, rank_step), ridge_step)
                extra = min(extra, self._look(choice, None, "extras"), key=lambda found: found.error)
        for rank_step, ridge_step in _STEPS_OF_EXTRAS:
            if deep:
                extra = self._line(extra, self._with_rank, rank_step, "extras")
            extra = self._line(extra, self._with_ridge, ridge_step, "extras")
        return extra

    def _confirmed(self, extra: Evaluation, plain: Evaluation) -> Evaluation:
        """The better of two, each the better of two starts: a lucky start is no gain of an extra."""
        pair = []
        for found in (extra, plain):
            again = replace(found.choice, seed=found.choice.seed + 1)
            other = self._look(again, None, "extras") if self._in_time("extras") else found
            pair.append(min(found, other, key=lambda each: each.error))
        return pair[0] if better(self.held_out, pair[0].errors, pair[1].errors) else pair[1]

    def _simplest(self, best: Evaluation) -> Evaluation:
        """The lowest rank that loses less than a standard error, by bisection."""
        good, too_low = best, 0
        while self._in_time("extras") and good.choice.rank - too_low > 1:
            rank = good.choice.rank
            rank = (too_low + rank) // 2 if too_low else max(1, min(rank - 1, int(0.85 * rank)))
            choice = self._of_rank(good.choice, rank)
            new = self._look(choice, None, "extras")
            for seed in range(1, 3):  # a low rank has bad local minima
                if self._in_time("extras") and (new.failed or better(self.held_out, best.errors, new.errors)):
                    other = self._look(replace(choice, seed=choice.seed + seed), None, "extras")
                    new = min(new, other, key=lambda found: found.error)
            if new.failed or better(self.held_out, best.errors, new.errors):
                too_low = rank
            else:
                good = new
        return good

    def _averaged(self, chosen: Evaluation) -> list[Evaluation]:
        """More starts of the choice, then its average with the best other models, where that lowers the error."""
        if chosen.choice.rank == 0:
            return [chosen]
        self._tighten(chosen)
        overall = self._best().choice
        for seed in range(1, _STARTS):
            for choice in dict.fromkeys((chosen.choice, overall)):
                if choice.rank > 0 and self._in_time("starts"):
                    self._look(replace(choice, seed=choice.seed + seed), None, "starts")
        starts = [found for found in self._done() if replace(found.choice, seed=0) == replace(chosen.choice, seed=0)]
        chosen = min([chosen, *starts], key=lambda found: found.error)
        others = sorted((found for found in self._done() if found is not chosen), key=lambda found: found.error)
        ranking = [chosen, *others][: self._affordable()]
        ranking = ranking[: best_average(self.held_out, ranking)]
        average = np.mean([found.prediction for found in ranking], axis=0)
        return ranking if self.held_out.mean(self.held_out.errors(average)) < _GAIN * chosen.error else [chosen]

    def _affordable(self) -> int:
        """How many models can still be fitted to all entries in the time left."""
        spent, number = 0.0, 0
        for found in sorted(self._done(), key=lambda found: found.error)[:_MOST_AVERAGED]:
            spent += found.seconds_of_refit
            if spent > 0.9 * self.clock.left:
                break
            number += 1
        return max(number, 1)

    # --- one evaluation -------------------------------------------------------------------------------------------

    def _look(self, choice: Choice, n_iter: int | None, stage: str, after: Evaluation | None = None) -> Evaluation:
        """The evaluation of a choice, trained for at least `n_iter` sweeps (to its end unless given).

        It begins where `after` has ended, if that differs in the ridge alone; or where least squares have, of which
        the robust loss would go astray from a random start.
        """
        if choice not in self.found:
            self.found[choice] = evaluate(choice, self.held_out, self.units)
            if choice.correntropy and self.among_outliers:
                after = self.found.get(replace(choice, correntropy=False), after)
            if after is not None and after.done and after.choice.same_shape(choice):
                self.found[choice].begin_with(after)
        found = self.found[choice]
        if found.done:  # nothing new to tell
            return found
        limit = found.trials[0].estimator.max_iter if n_iter is None else n_iter
        found.advance(limit, self.clock, self._reserve(stage), self.n_jobs)
        errors = [other.error for other in self.found.values()]
        error, best = float(np.sqrt(found.error)), float(np.sqrt(min(errors)))
        limit = self.clock.limit if np.isfinite(self.clock.limit) else None
        if self.tell(Look(choice.describe(), error, best, self.n_tried, self.clock.spent, limit)):
            raise Stopped
        return found

    def _reserve(self, stage: str) -> float:
        """Seconds that a stage leaves to those after it."""
        return (1 - _UNTIL[stage]) * self.clock.limit if np.isfinite(self.clock.limit) else 0.0

    def _in_time(self, stage: str) -> bool:
        kept = self.among_outliers and stage in ("climb", "finals")  # a candidate, for the robust loss
        return self.clock.left > self._reserve(stage) and self.n_tried + kept < self.max_candidates

    def _best(self) -> Evaluation:
        """The lowest error of all: one that time did not let come to its end still gives what it has."""
        return min(self.found.values(), key=lambda found: found.error)

    def _done(self) -> list[Evaluation]:
        return [found for found in self.found.values() if found.done and not found.failed]

    def _with_ridge(self, choice: Choice, factor: float) -> Choice:
        return replace(choice, ridge=float(np.clip(choice.ridge * factor, *_RIDGES)))

    def _with_rank(self, choice: Choice, factor: float) -> Choice:
        step = int(np.sign(factor - 1))
        rank = round(choice.rank * factor)
        rank = rank + step if rank == choice.rank else rank
        return self._of_rank(choice, int(np.clip(rank, 1, highest_rank(self.shape, self.n_observed))))

    def _of_rank(self, choice: Choice, rank: int) -> Choice:
        outer = None if choice.outer_rank is None else 2 * rank
        return replace(choice, rank=rank, outer_rank=outer)


def _name_of_extra(plain: Choice, other: Choice) -> str:
    if other.biases != plain.biases:
        return "offsets of rows and columns" if other.biases else "leaving out the offsets"
    if other.lam != plain.lam:
        return "an adversary"
    return "the elastic loss" if other.delta != plain.delta else "a second layer"


def _compared(new: float, old: float) -> str:
    """The root of one mean squared error beside that of another, in words."""
    if not (np.isfinite(new) and old > 0):
        return "no result" if np.isnan(new) or np.isinf(new) else f"error {np.sqrt(new):.4g}"
    change = np.sqrt(new / old) - 1
    return f"error {100 * abs(change):.1f} % {'higher' if change > 0 else 'lower'}"
