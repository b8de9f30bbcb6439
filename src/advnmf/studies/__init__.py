"""The studies, run again: every table and figure, what was printed beside what comes out here.

    tasks = plan("table4", ["published", "masked"], runs=3)
    store = Store("results")
    for outcome in run(tasks, store):      # skips what is there, keeps each row as it comes
        ...
    cells = summarise(read_rows("results"))
    write_report("results")              # a page, tables and pictures in results/report

A `Task` says what is run: a `Recipe` on an instance of a data set.  A `Row` is its result, a `Cell` the mean over
seeds beside the `Printed` figure.  Protocols are told in `recipes`, targets in `targets`.
"""

from .effects import Effect, paired_effects
from .instances import instance
from .nearness import Nearness, nearness
from .printed import Printed, printed_values
from .recipes import METHODS, PROTOCOLS, SETTINGS, Setting
from .report import write_report
from .rows import Row
from .running import Failure, run
from .store import Store, load_arrays, read_rows
from .summaries import Cell, summarise
from .targets import TARGETS, Target, plan
from .tasks import Recipe, Task

__all__ = [
    "METHODS",
    "PROTOCOLS",
    "SETTINGS",
    "TARGETS",
    "Cell",
    "Effect",
    "Failure",
    "Nearness",
    "Printed",
    "Recipe",
    "Row",
    "Setting",
    "Store",
    "Target",
    "Task",
    "instance",
    "load_arrays",
    "nearness",
    "paired_effects",
    "plan",
    "printed_values",
    "read_rows",
    "run",
    "summarise",
    "write_report",
]
