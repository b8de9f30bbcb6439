"""The studies, run again: every table and figure, with the printed values beside the new results.

    runs = plan("table4", ["published", "masked"], runs=3)
    store = Store("results")
    for outcome in execute(runs, store):   # skips what is there, stores each result as it comes
        ...
    summaries = summarise(read_results("results"))
    write_report("results")                # a page, tables and pictures in results/report

An `Experiment` is a table or figure.  `plan` gives its runs: each `Run` is a `RunConfig` on the data of a seed.  A
`Result` is what a run gives, a `Summary` the mean over seeds beside the `PrintedValue`.  The protocols are explained in
`protocols`.
"""

from .comparisons import Effect, VariantDistance, paired_effects, variant_distances
from .execution import Failure, execute
from .experiments import EXPERIMENTS, Experiment, plan
from .folder import Store, load_arrays, read_results
from .inputs import load_input
from .protocols import HYPER_PARAMETERS, METHODS, PROTOCOLS, HyperParameters
from .reporting import write_report
from .runs import Result, Run, RunConfig
from .summaries import PrintedValue, Summary, printed_values, summarise

__all__ = [
    "EXPERIMENTS",
    "HYPER_PARAMETERS",
    "METHODS",
    "PROTOCOLS",
    "Effect",
    "Experiment",
    "Failure",
    "HyperParameters",
    "PrintedValue",
    "Result",
    "Run",
    "RunConfig",
    "Store",
    "Summary",
    "VariantDistance",
    "execute",
    "load_arrays",
    "load_input",
    "paired_effects",
    "plan",
    "printed_values",
    "read_results",
    "summarise",
    "variant_distances",
    "write_report",
]
