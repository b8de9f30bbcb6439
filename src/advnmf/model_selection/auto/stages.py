"""The stages of a search: rank and ridge, then optional parts of the model, more random starts, an average of models.

Each stage starts from the best candidate of the stages before it; all candidates are scored on the same held-out
entries.  A candidate is first trained for a few sweeps; only the best are trained to convergence.  The column means are
evaluated first: a model that does not beat them by more than a standard error is not used.  If the data hold gross
outliers, the search uses a robust loss and caps held-out errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .candidates import SMOOTH, Candidate, Scales, column_means, highest_rank, variants
from .evaluation import Clock, Evaluation, HeldOut, best_average, better, evaluate

Array = np.ndarray

# Sweeps of a first screening; candidates trained to convergence; starts of the best one; most models averaged.
_SCREEN, _FINALISTS, _STARTS, _MOST_AVERAGED = 40, 3, 5, 8
# Below this number of observed entries the search is shorter, with this number of starts, where models leave more than
# this share of the squared error of the column means: noise decides then.
_SMALL, _STARTS_IF_SMALL, _NOISY = 10_000, 2, 0.03
# Step factors of rank and ridge in the line searches, from coarse to fine.
_STEPS = ((2.0, 10.0), (1.5, 3.0), (1.2, 1.7))
_STEPS_OF_EXTRAS = ((2.0, 3.0), (1.5, 1.7))
_STEPS_INTO_DEPTH = ((2.0, 3.0), (1.0, 3.0))
# A step is accepted if it lowers the mean squared error to less than this share.
_GAIN = 0.998
# The column means are beaten by a mean squared error below this share of theirs: the best of many is a little luck.
_LITTLE = 0.97
# Share of the time limit after which a stage ends.
_UNTIL = {"climb": 0.4, "finals": 0.55, "extras": 0.65, "starts": 0.8}
# With outliers, errors are capped at this many robust standard deviations; share of the errors beyond it that counts as
# outliers.
_CAP, _OUTLIERS = 6.0, 0.002
# The same cap from a quantile of the errors, which a few outliers do not move: 4.2 times it is 6 normal deviations.
_CLEAN, _CAP_OF_CLEAN = 0.85, 4.2


@dataclass(frozen=True)
class SearchProgress:
    """The argument of a callback, after each candidate.

    ``error`` is the candidate's root mean square error over held-out entries, ``best`` the lowest so far.
    """

    candidate: str
    error: float
    best: float
    n_tried: int
    seconds: float
    time_limit: float | None


class Stopped(Exception):
    """The callback has ended the search."""


class AutoSearch:
    """The evaluations of a search, and its stages.

    Parameters
    ----------
    among_outliers : bool
        Whether gross outliers were left out: smaller ones may remain.
    signed : bool
        Whether factors have any sign, as suits columns that are centred.
    share : float
        Of the time for rank and ridge, what has gone when that search ends.
    """

    def __init__(
        self,
        held_out: HeldOut,
        scales: Scales,
        shape: tuple[int, int],
        n_observed: int,
        clock: Clock,
        n_jobs: int | None,
        max_candidates: float,
        report: Callable[[SearchProgress], bool],
        *,
        among_outliers: bool = False,
        signed: bool = False,
        share: float = 1.0,
    ) -> None:
        self.held_out, self.scales, self.shape, self.n_observed = held_out, scales, shape, n_observed
        self.clock, self.n_jobs, self.report = clock, n_jobs, report
        self.max_candidates = max_candidates
        self.among_outliers, self.signed = among_outliers, signed
        self.until = _UNTIL | {"climb": share * _UNTIL["climb"]}
        self.found: dict[Candidate, Evaluation] = {}
        self.notes: list[str] = []
        self.stop_reason = "done"

    # --- stages ---------------------------------------------------------------------------------------------------

    def begin(self, first: Candidate) -> bool:
        """Search rank and ridge; whether the search may go on."""
        try:
            self._start(first)
            self._evaluate(self.best.candidate, None, "climb")
        except (KeyboardInterrupt, Stopped) as end:
            self.end(end)
        return self.stop_reason == "done"

    def finish(self) -> list[Evaluation]:
        """The models to average, the best one first."""
        try:
            chosen = self._chosen() if self.stop_reason == "done" else [self.best]
        except (KeyboardInterrupt, Stopped) as end:
            self.end(end)
            chosen = [self.best]
        else:
            if self.stop_reason == "done":
                self._tell_end()
        return self._above_the_means(chosen)

    def end(self, why: BaseException) -> None:
        """End here, by an interruption or by the callback, if there is a result."""
        if all(found.failed for found in self.found.values()):
            raise why
        self.stop_reason = "callback" if isinstance(why, Stopped) else "interrupted"

    def _chosen(self) -> list[Evaluation]:
        best = self._extras(self._handle_outliers(self._finals()))
        return self._averaged(best if self.signed else self._simplest(best))

    def _tell_end(self) -> None:
        if self.n_tried >= self.max_candidates:
            self.stop_reason = "max_candidates"
        elif not self._in_time("starts"):
            self.stop_reason = "time_limit"

    @property
    def n_tried(self) -> int:
        """Number of candidates besides the column means."""
        return sum(candidate.rank > 0 for candidate in self.found)

    @property
    def means(self) -> Evaluation:
        """The column means, the baseline."""
        return self.found[column_means(signed=self.signed)]

    @property
    def best(self) -> Evaluation:
        """The evaluation with the lowest error, whether or not its training has ended."""
        return min(self.found.values(), key=lambda found: found.error)

    @property
    def _short(self) -> bool:
        """Whether a longer search would tell little more."""
        return self.n_observed < _SMALL and self.best.error > _NOISY * self.means.error

    def _start(self, first: Candidate) -> None:
        """Evaluate the column means, then search rank and ridge."""
        means = self._evaluate(column_means(signed=self.signed), None, "climb")
        for trial in means.trials:
            if trial.error is not None:  # an error of the data, not of a candidate
                raise trial.error
        self._climb(self._evaluate(first, _SCREEN, "climb"), "climb")

    def _above_the_means(self, chosen: list[Evaluation]) -> list[Evaluation]:
        """The chosen models if they beat the column means by a little, and more than a standard error; else these."""
        average = np.mean([found.prediction for found in chosen], axis=0)
        errors = self.held_out.errors(average)
        gains = self.held_out.mean(errors) < _LITTLE * self.means.error
        gains = gains and better(self.held_out, errors, self.means.errors)
        return chosen if gains else [self.means]

    def _cap(self, residuals: Array) -> None:
        """Lower the cap to the size of the residuals of clean entries."""
        size = _CAP_OF_CLEAN * float(np.quantile(np.abs(residuals), _CLEAN))
        if size > 0:
            self.held_out.cap = min(self.held_out.cap, size**2)

    def _tighten(self, best: Evaluation) -> None:
        """Lower the cap, if there is one, as the residuals get smaller."""
        if np.isfinite(self.held_out.cap) and not best.failed:
            self._cap(self.held_out.truth - best.prediction)

    def _climb(self, best: Evaluation, stage: str) -> Evaluation:
        """Line searches along ridge and rank in turn, with ever smaller steps."""
        for rank_step, ridge_step in _STEPS:
            moving = True
            while moving and self._in_time(stage):
                before = best.candidate
                self._tighten(best)
                best = self._line(best, Candidate.with_ridge, ridge_step, stage)
                best = self._line(best, self._with_rank, rank_step, stage)
                best = self._smoothed(best, ridge_step, stage)
                moving = best.candidate != before
            if stage == "climb" and rank_step == _STEPS[0][0]:
                best = self._bent(best, stage)
        return best

    def _line(
        self, best: Evaluation, move: Callable[[Candidate, float], Candidate], step: float, stage: str
    ) -> Evaluation:
        """Step in one direction while the error falls; in the other one if the first step does not lower it."""
        for factor in (1 / step, step):
            start = best
            while self._in_time(stage):
                candidate = move(best.candidate, factor)
                if candidate == best.candidate:
                    break
                new = self._evaluate(candidate, _SCREEN if stage == "climb" else None, stage, after=best)
                if not new.error < _GAIN * best.error:
                    break
                best = new
            if best is not start:
                break
        return best

    def _smoothed(self, best: Evaluation, step: float, stage: str) -> Evaluation:
        """Line searches along the strengths of smoothness, of those that are not 0."""
        for name in SMOOTH:
            if getattr(best.candidate, name):
                best = self._line(best, partial(Candidate.with_strength, name=name), step, stage)
        return best

    def _bent(self, best: Evaluation, stage: str) -> Evaluation:
        """With smoothness of the other order, if that is better once its strength is searched."""
        if not any(getattr(best.candidate, name) for name in SMOOTH) or not self._in_time(stage):
            return best
        candidate = replace(best.candidate, smooth_order=3 - best.candidate.smooth_order)
        other = self._evaluate(candidate, _SCREEN if stage == "climb" else None, stage, after=best)
        for step in (10.0, 3.0):
            other = self._smoothed(other, step, stage)
        return min(best, other, key=lambda found: found.error)

    def _less_smooth(self, best: Evaluation) -> Evaluation:
        """Without smoothness of the codes, of the components, unless that is worse."""
        for name in SMOOTH:
            if getattr(best.candidate, name) and self._in_time("finals"):
                rough = self._evaluate(replace(best.candidate, **{name: 0.0}), None, "finals")
                best = best if better(self.held_out, best.errors, rough.errors) else rough
        return best

    def _finals(self) -> Evaluation:
        """Train the best candidates to convergence; then search around the best one in rank and ridge."""
        for finalist in sorted(self.found.values(), key=lambda found: found.error)[:_FINALISTS]:
            self._evaluate(finalist.candidate, None, "finals")
        best = self.best
        self._tighten(best)
        for rank_step, ridge_step in _STEPS[1:]:
            best = self._line(best, Candidate.with_ridge, ridge_step, "finals")
            best = self._line(best, self._with_rank, rank_step, "finals")
            best = self._smoothed(best, ridge_step, "finals")
        best = self._less_smooth(self._bent(best, "finals"))
        return self._line(best, Candidate.with_ridge, _STEPS[-1][1], "finals")

    def _handle_outliers(self, best: Evaluation) -> Evaluation:
        """If a few residuals are far larger than the others, try a robust loss, with capped errors.

        Held-out outliers cannot be predicted: without a cap they would dominate the comparison of candidates.
        """
        if best.candidate.rank == 0 or not self._in_time("extras"):
            return best
        if self.among_outliers:
            return self._robust(best)
        if self.signed:  # columns in units of their own have long tails, which are no outliers
            return best
        residuals = self.held_out.truth - best.prediction
        sigma = 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
        if not sigma > 0 or np.mean(np.abs(residuals) > _CAP * sigma) < _OUTLIERS:
            return best
        robust = self._evaluate(replace(best.candidate, correntropy=True), None, "extras")
        cap = (_CAP * 1.4826 * float(np.median(np.abs(self.held_out.truth - robust.prediction)))) ** 2
        capped = [self.held_out.errors(found.prediction, cap) for found in (best, robust)]
        # Outliers add the same error to both, so the robust loss must not be worse without the cap either; if it is,
        # the large residuals are not outliers.
        if robust.error > 1.02 * best.error or not better(self.held_out, capped[1], capped[0]):
            self.notes.append("a loss against outliers does not help")
            return best
        self.held_out.cap = cap
        self._climb(robust, "extras")
        return self._evaluate(self.best.candidate, None, "extras")

    def _robust(self, best: Evaluation) -> Evaluation:
        """After gross outliers: the robust loss, which new rows may need too, unless it is worse."""
        self._cap(self.held_out.truth - best.prediction)
        robust = self._evaluate(replace(best.candidate, correntropy=True), None, "extras", after=best)
        if better(self.held_out, best.errors, robust.errors):
            return best
        return self._climb(robust, "extras")

    def _extras(self, best: Evaluation) -> Evaluation:
        """Offsets, an adversary, the elastic loss, a second layer: kept if they gain more than a standard error."""
        if best.candidate.rank == 0:
            return best
        typical = float(np.sqrt(best.error * self.n_observed / self.shape[0]))
        self.scales = replace(self.scales, residual=max(typical, 1e-12 * self.scales.values))
        plain = best
        for candidate in variants(plain.candidate, small=self._short):
            if not self._in_time("extras"):
                break
            if candidate.correntropy and candidate.delta is not None:
                continue
            new = self._evaluate(candidate, None, "extras")
            if new.error < 1.05 * best.error:
                new = self._settled(new)
            self.notes.append(f"{candidate.extra_beside(plain.candidate)} ({_compared(new.error, plain.error)})")
            if not new.failed and better(self.held_out, new.errors, best.errors):
                best = self._confirmed(new, best)
        return best

    def _settled(self, extra: Evaluation) -> Evaluation:
        """Search the ridge again with the new part; with a second layer also the rank, as it needs more of both."""
        deep = extra.candidate.outer_rank is not None
        for rank_step, ridge_step in _STEPS_INTO_DEPTH if deep else ():
            if self._in_time("extras"):
                candidate = self._with_rank(extra.candidate, rank_step).with_ridge(ridge_step)
                extra = min(extra, self._evaluate(candidate, None, "extras"), key=lambda found: found.error)
        for rank_step, ridge_step in _STEPS_OF_EXTRAS:
            if deep:
                extra = self._line(extra, self._with_rank, rank_step, "extras")
            extra = self._line(extra, Candidate.with_ridge, ridge_step, "extras")
        return extra

    def _confirmed(self, extra: Evaluation, plain: Evaluation) -> Evaluation:
        """The better of two candidates, each with the better of two starts, so that luck of a start decides less."""
        pair = []
        for found in (extra, plain):
            again = replace(found.candidate, seed=found.candidate.seed + 1)
            other = self._evaluate(again, None, "extras") if self._in_time("extras") else found
            pair.append(min(found, other, key=lambda each: each.error))
        return pair[0] if better(self.held_out, pair[0].errors, pair[1].errors) else pair[1]

    def _simplest(self, best: Evaluation) -> Evaluation:
        """The lowest rank whose error is within a standard error of the best, by bisection."""
        good, too_low = best, 0
        while self._in_time("extras") and good.candidate.rank - too_low > 1:
            rank = good.candidate.rank
            rank = (too_low + rank) // 2 if too_low else max(1, min(rank - 1, int(0.85 * rank)))
            candidate = good.candidate.of_rank(rank)
            new = self._evaluate(candidate, None, "extras")
            for seed in range(1, 3):  # a low rank has bad local minima
                if self._in_time("extras") and (new.failed or better(self.held_out, best.errors, new.errors)):
                    other = self._evaluate(replace(candidate, seed=candidate.seed + seed), None, "extras")
                    new = min(new, other, key=lambda found: found.error)
            if new.failed or better(self.held_out, best.errors, new.errors):
                too_low = rank
            else:
                good = new
        return good

    def _averaged(self, chosen: Evaluation) -> list[Evaluation]:
        """More starts of the best candidate; then average it with other models if that lowers the error."""
        if chosen.candidate.rank == 0:
            return [chosen]
        self._tighten(chosen)
        overall = self.best.candidate
        for seed in range(1, _STARTS_IF_SMALL if self._short else _STARTS):
            for candidate in dict.fromkeys((chosen.candidate, overall)):
                if candidate.rank > 0 and self._in_time("starts"):
                    self._evaluate(replace(candidate, seed=candidate.seed + seed), None, "starts")
        starts = [
            found for found in self._done() if replace(found.candidate, seed=0) == replace(chosen.candidate, seed=0)
        ]
        chosen = min([chosen, *starts], key=lambda found: found.error)
        others = sorted((found for found in self._done() if found is not chosen), key=lambda found: found.error)
        ranking = [chosen, *others][: self._affordable()]
        ranking = ranking[: best_average(self.held_out, ranking)]
        average = np.mean([found.prediction for found in ranking], axis=0)
        return ranking if self.held_out.mean(self.held_out.errors(average)) < _GAIN * chosen.error else [chosen]

    def _affordable(self) -> int:
        """How many models can be fitted to all entries in the time left."""
        spent, number = 0.0, 0
        for found in sorted(self._done(), key=lambda found: found.error)[:_MOST_AVERAGED]:
            spent += found.seconds_of_refit
            if spent > 0.9 * self.clock.left:
                break
            number += 1
        return max(number, 1)

    # --- one evaluation -------------------------------------------------------------------------------------------

    def _evaluate(
        self, candidate: Candidate, n_iter: int | None, stage: str, after: Evaluation | None = None
    ) -> Evaluation:
        """The evaluation of a candidate after at least `n_iter` sweeps; None trains it to convergence.

        It starts from the factors of `after` if they have the same shape.  The robust loss starts from those of least
        squares, as it may end in a poor local minimum from a random start.
        """
        if candidate not in self.found:
            self.found[candidate] = evaluate(candidate, self.held_out, self.scales)
            if candidate.correntropy and self.among_outliers:
                after = self.found.get(replace(candidate, correntropy=False), after)
            if after is not None and after.done and after.candidate.same_shape(candidate):
                self.found[candidate].begin_with(after)
        found = self.found[candidate]
        if found.done:  # nothing to report
            return found
        limit = found.trials[0].estimator.max_iter if n_iter is None else n_iter
        found.advance(limit, self.clock, self._reserve(stage), self.n_jobs)
        errors = [other.error for other in self.found.values()]
        error, best = float(np.sqrt(found.error)), float(np.sqrt(min(errors)))
        limit = self.clock.limit if np.isfinite(self.clock.limit) else None
        if self.report(SearchProgress(candidate.describe(), error, best, self.n_tried, self.clock.spent, limit)):
            raise Stopped
        return found

    def _reserve(self, stage: str) -> float:
        """Seconds that a stage leaves for those after it."""
        return (1 - self.until[stage]) * self.clock.limit if np.isfinite(self.clock.limit) else 0.0

    def _in_time(self, stage: str) -> bool:
        kept = self.among_outliers and stage in ("climb", "finals")  # one candidate is reserved for the robust loss
        return self.clock.left > self._reserve(stage) and self.n_tried + kept < self.max_candidates

    def _done(self) -> list[Evaluation]:
        return [found for found in self.found.values() if found.done and not found.failed]

    def _with_rank(self, candidate: Candidate, factor: float) -> Candidate:
        return candidate.with_rank(factor, highest_rank(self.shape, self.n_observed))


def _compared(new: float, old: float) -> str:
    """The change from one mean squared error to another, as roots and in words."""
    if not (np.isfinite(new) and old > 0):
        return "no result" if np.isnan(new) or np.isinf(new) else f"error {np.sqrt(new):.4g}"
    change = np.sqrt(new / old) - 1
    return f"error {100 * abs(change):.1f} % {'higher' if change > 0 else 'lower'}"
