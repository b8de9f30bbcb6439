"""Progress bars and notes on stderr."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import rich_click as click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from sklearn.exceptions import ConvergenceWarning

from ..io.files import printable
from .options import in_options

_SECONDS_BETWEEN_UPDATES = 0.05
_LONGEST = 5000  # characters of a note


def note(text: str, quiet: bool = False) -> None:
    """One printable line on stderr, unless quiet; a stderr that is full or closed is no reason to lose a result."""
    if not quiet:
        with contextlib.suppress(OSError, ValueError):
            click.echo(printable(text, _LONGEST), err=True)


@contextlib.contextmanager
def warnings_as_notes(quiet: bool = False, words: Callable[[str], str] = in_options) -> Iterator[None]:
    """Warnings for users become lines; those for programmers, and "not converged", are not shown.

    ``words`` is how a message is put.  Whether a fit converged is in the closing line of the command.
    """

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        note(f"Warning: {words(' '.join(str(message).split()))}", quiet)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def progress_bar(label: str, quiet: bool = False) -> Iterator[Callable[[Any], None] | None]:
    """A callback for a fit that draws a progress bar on stderr; None if that is not a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("loss {task.fields[loss]:.4g}"),
        TimeElapsedColumn(),
    )
    with _drawn(columns, quiet) as progress:
        yield None if progress is None else _Updates(progress, label)


@contextlib.contextmanager
def search_bar(limit: float, quiet: bool = False) -> Iterator[Callable[[Any], None] | None]:
    """A callback for a search that draws the time used on stderr; None if that is not a terminal."""
    columns = (
        TextColumn("auto: {task.fields[looks]} candidates"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:.0f}/{task.total:.0f} s"),
        TextColumn("error {task.fields[best]:.4g}"),
    )
    with _drawn(columns, quiet) as progress:
        if progress is None:
            yield None
            return
        task = progress.add_task("auto", total=limit, looks=0, best=float("nan"))
        yield lambda look: progress.update(task, completed=look.seconds, looks=look.n_tried, best=look.best)


@contextlib.contextmanager
def runs_bar(total: int, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """A function to be called after each of so many runs, which moves a progress bar on stderr if there is one."""
    columns = TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeElapsedColumn()
    with _drawn(columns, quiet) as progress:
        if progress is None:
            yield lambda: None
            return
        task = progress.add_task("runs", total=total)
        yield lambda: progress.advance(task)


@contextlib.contextmanager
def _drawn(columns: Sequence[ProgressColumn], quiet: bool) -> Iterator[Progress | None]:
    """A display of progress on stderr; None if quiet, or where stderr is no terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with Progress(*columns, console=console, expand=console.width < 100) as progress:
        yield progress


class _Updates:
    """Passes the records of a fit to a bar, a few times a second at most."""

    def __init__(self, progress: Progress, label: str) -> None:
        self.progress = progress
        self.label = label
        self.task: TaskID | None = None
        self.last = 0.0

    def __call__(self, record: Any) -> None:
        now = time.monotonic()
        if now - self.last < _SECONDS_BETWEEN_UPDATES and record.n_iter < record.max_iter:
            return
        self.last = now
        label = self.label
        if getattr(record, "phase", "train") != "train":
            label += f", {record.phase}"
        if record.n_init > 1:
            label += f" {record.start + 1}/{record.n_init}"
        # The bar appears with the first sweep, so that its clock and loss are never made up.
        if self.task is None:
            self.task = self.progress.add_task(label, total=record.max_iter, loss=record.objective)
        self.progress.update(
            self.task,
            description=label,
            completed=record.n_iter,
            total=record.max_iter,
            loss=record.objective,
        )
