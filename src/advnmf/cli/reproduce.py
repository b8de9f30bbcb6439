"""`advnmf reproduce`: a table or figure of the studies, run again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import rich_click as click
from rich.console import Console
from rich.table import Table

from .progress import note, runs_bar, warnings_as_notes

_INTERRUPTED = 130


class ListType(click.ParamType):
    """A list of values separated by commas."""

    def __init__(self, convert: Callable[[str], Any], name: str) -> None:
        self.one, self.name = convert, name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        """The values."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.one(part.strip()) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not {self.name}", param, ctx)


@click.command()
@click.argument("experiment", metavar="EXPERIMENT")
@click.option(
    "--protocol",
    type=click.Choice(["published", "masked", "tuned", "all"]),
    default="published",
    show_default=True,
    help="As released; the same hyper-parameters with true masks; tuned on held-out observed entries.",
)
@click.option("--methods", type=ListType(str, "A,B"), help="Only these. [default: all of the experiment]")
@click.option("--missing", type=ListType(float, "F,F"), help="Only these missing fractions. [default: all]")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, metavar="N", help="Seeds.")
@click.option("--out", default="advnmf-results", show_default=True, metavar="DIR", help="Folder of the results.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Runs at a time. [default: number of cores]")
@click.option(
    "--quick", is_flag=True, help="One run of two cases on one data set, with few iterations: to see that it works."
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Begin no further run then; 0 shows what is there.",
)
@click.option("--quiet", is_flag=True, help="No progress bar, no notes.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def reproduce(
    experiment: str,
    protocol: str,
    methods: Sequence[str] | None,
    missing: Sequence[float] | None,
    runs: int,
    out: str,
    jobs: int | None,
    quick: bool,
    time_limit: float | None,
    quiet: bool,
) -> int:
    """Run a table or figure of the studies again, and print it beside what was printed.

    EXPERIMENT: table2 ... table9, slides, lambda, fig6, fig7, fig8, parts, restoration; or layers-synthetic, -cbcl,
    -moffet, -mnist; or, tuned, ablation-synthetic, -cbcl, -moffet, -mnist.

    Every result is stored in DIR as soon as it is there: the same command resumes after an interruption, and computes
    nothing twice. Commands with the same DIR at the same time share the work. Results of other settings, or of another
    version, are never mixed in.

    The data are read from the folder that ADVNMF_DATA names, or downloaded (see advnmf datasets).

    In the table ✓ is within the larger of 3 printed deviations and 3 % of the printed figure, ✗ is not.
    """
    from .. import studies

    if experiment not in studies.EXPERIMENTS:
        raise click.UsageError(f"{experiment!r} is no experiment; choose from {', '.join(studies.EXPERIMENTS)}")
    protocols = list(studies.PROTOCOLS) if protocol == "all" else [protocol]
    offered = studies.EXPERIMENTS[experiment].protocols
    if not set(protocols) & set(offered):
        raise click.UsageError(f"{experiment} has no protocol {protocol}; choose from {', '.join(offered)}")
    planned = studies.plan(experiment, protocols, methods=methods, missing=missing, runs=runs, quick=quick)
    with warnings_as_notes(quiet, str):  # file names may look like parameters
        store = studies.Store(out)
    there = len(store.results(planned))
    note(f"{experiment}: {len(planned)} runs, {there} of them in {out} already", quiet)
    failures, interrupted = [], False
    try:
        if there < len(planned):
            for run in {run.dataset: run for run in planned if run not in store}.values():
                studies.load_input(run)  # missing data are one error now, not a failure of each run
            outcomes = studies.execute(planned, store, jobs=jobs, time_limit=time_limit)
            failures = _watch(outcomes, len(planned) - there, quiet)
    except KeyboardInterrupt:
        interrupted = True
    results = store.results(planned)
    title = studies.EXPERIMENTS[experiment].title + " (quick: few iterations)" * quick
    _print(title, studies.summarise(results))
    if len(results) < len(planned):
        why = "interrupted; " if interrupted else ""
        note(f"{why}{len(results)} of {len(planned)} runs are in {out}: the same command goes on with the rest", quiet)
    if interrupted:
        return _INTERRUPTED
    return 1 if failures else 0


def _watch(outcomes: Iterator[Any], total: int, quiet: bool) -> list[Any]:
    """Carry out the runs under a progress bar; returns the failures, after a line for each."""
    from ..studies import Failure

    failures = []
    with runs_bar(total, quiet) as advance:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                failures.append(outcome)
                run, words = outcome.run, " ".join(str(outcome.error).split())
                where = f"{run.dataset} {run.fraction:g} {run.method} {run.protocol} run {run.seed}"
                note(f"Error: {where}: {type(outcome.error).__name__}: {words}")
            advance()
    return failures


def _print(title: str, summaries: list[Any]) -> None:
    """A line for each method in each case: the printed value, and the mean under each protocol."""
    if not summaries:
        return
    protocols = list(dict.fromkeys(summary.protocol for summary in summaries))
    figures = ["printed"] if any(summary.printed for summary in summaries) else []
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("data", "missing", "method", *figures, *protocols):
        grid.add_column(name, justify="left" if name in ("data", "missing", "method") else "right", no_wrap=True)
    for (dataset, _, mask), group in groupby(sorted(summaries, key=_place), key=_place):
        if grid.row_count:
            grid.add_row()
        here = list(group)
        pattern, _, corruption = mask.partition("+")
        case = f"{here[0].fraction:g} {corruption}" if pattern in ("released", "uniform") else mask
        for method in dict.fromkeys(summary.method for summary in here):
            found = {summary.protocol: summary for summary in here if summary.method == method}
            printed = [_printed(next(iter(found.values())).printed) for _ in figures]
            grid.add_row(dataset, case, method, *printed, *(_found(found.get(name)) for name in protocols))
            dataset = case = ""  # once for each place
    Console().print(grid)


def _place(summary: Any) -> tuple[str, float, str]:
    return summary.dataset, summary.fraction, summary.mask


def _printed(value: Any) -> str:
    if value is None:
        return ""
    return f"{value.mean:g}" + (f" ±{value.std:g}" if value.std else "")


def _found(summary: Any) -> str:
    """Mean and deviation over the runs; only the published protocol is compared with the printed value."""
    if summary is None:
        return ""
    agrees = summary.agrees if summary.protocol == "published" else None
    mark = {True: "[green] ✓[/]", False: "[yellow] ✗[/]", None: ""}[agrees]
    spread = f" ±{summary.rmse_std:.1g}" if summary.n_runs > 1 else ""
    return f"{summary.rmse_mean:.4g}{spread}{mark}"
