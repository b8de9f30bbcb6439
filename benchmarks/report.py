"""The measured table in Markdown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numba
import numpy as np
import scipy

from cases import Case
from ceilings import WORK


@dataclass(frozen=True)
class Row:
    """A case: results (ours, the peer's) of each repetition, or why there are none."""

    case: Case
    pairs: list[tuple[dict, dict]] = field(default_factory=list)
    failure: str = ""

    def median(self, key: str) -> tuple[float, float, float]:
        """Ours, the peer's, and the ratio ours / peer, each the median over the repetitions."""
        values = [(ours[key], theirs[key]) for ours, theirs in self.pairs]
        ratios = [a / b if b else np.nan for a, b in values]
        return tuple(statistics.median(column) for column in (*zip(*values, strict=True), ratios))


def text(rows: Sequence[Row], ceilings: dict, threads: int, repetitions: int) -> str:
    """The whole report."""
    done = [row for row in rows if row.pairs]
    with_goal = [row for row in rows if row.case.goal]
    # A peer that knows nothing of sweeps makes none.
    sweeping = [row for row in rows if row.failure or row.pairs[0][1]["sweeps"]]
    sparse = [row for row in done if row.case.problem[0] == "ratings"]
    counted = list({row.case.work: row for row in done if row.case.work}.values())
    versions = {"advnmf": done[0].pairs[0][0]["version"]} if done else {}
    versions |= {row.case.peer: row.pairs[0][1]["version"] for row in done}
    versions |= {"NumPy": np.__version__, "SciPy": scipy.__version__, "Numba": numba.__version__}
    parts = [
        "# Measured",
        f"{_machine()}. {threads} threads for everybody; medians of {repetitions}, in turn with the peer, each in a "
        "fresh process. Ratios are ours / peer: below 1 we are faster.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        *_section(
            "Time to where the peer ends",
            "case, peer, reached, s ours, s peer, ratio, sweeps ours, sweeps peer",
            with_goal,
            _time_to_goal,
        ),
        *_section(
            "Time of a sweep, and memory that a fit adds to its data",
            "case, peer, ms ours, ms peer, ratio, MiB ours, MiB peer",
            sweeping,
            _sweep,
        ),
        *_section(
            "Sparse data: linear in the entries",
            "entries, ms a sweep, ns an entry and sweep, data MiB, factors MiB, peak MiB, (peak − factors) / data",
            sparse,
            _scaling,
        ),
        *_section(
            f"Ceilings: matrix product {ceilings['gflops']:.0f} GFLOP/s (float32, 2000³), memory "
            f"{ceilings['gbytes']:.1f} GB/s (triad)",
            "case, GFLOP a sweep, GFLOP/s, of the product rate, GB/s, of the bandwidth",
            counted,
            lambda row: _share(row, ceilings),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, heads: str, rows: Sequence[Row], cells: Callable[[Row], list[str]]) -> list[str]:
    """A title and a table, unless there is nothing to show."""
    if not rows:
        return []
    names = heads.split(", ")
    lines = [names, ["---"] * len(names)]
    lines += [[row.case.name, row.case.peer, row.failure] if row.failure else cells(row) for row in rows]
    return [f"## {title}", "\n".join(f"| {' | '.join(line + [''] * (len(names) - len(line)))} |" for line in lines)]


def _number(value: float) -> str:
    """Three digits, and never an exponent for large ones."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _time_to_goal(row: Row) -> list[str]:
    score, goal, _ = row.median("score")
    if all(ours["sweeps"] for ours, _ in row.pairs):
        seconds, theirs, ratio = row.median("seconds")
        sweeps = statistics.median(ours["sweeps"] for ours, _ in row.pairs)
        found = [_number(seconds), _number(theirs), f"{ratio:.3f}", f"{sweeps:g}"]
    else:
        theirs = statistics.median(theirs["seconds"] for _, theirs in row.pairs)
        found = [f"not reached ({score:.4g})", _number(theirs), "", ""]
    return [row.case.name, row.case.peer, f"{row.case.goal} {goal:.4g}", *found, str(row.pairs[0][1]["sweeps"] or "")]


def _sweep(row: Row) -> list[str]:
    ours, theirs, ratio = row.median("sweep_seconds")
    sizes = [_number(size / 2**20) for size in row.median("bytes")[:2]]
    return [row.case.name, row.case.peer, _number(1e3 * ours), _number(1e3 * theirs), f"{ratio:.2f}", *sizes]


def _scaling(row: Row) -> list[str]:
    n, m, entries = row.case.problem[1:]
    K = row.case.ours["n_components"]
    data, factors = 8 * entries + 4 * (n + 1), 4 * K * (n + m)
    seconds, peak = row.median("sweep_seconds")[0], data + row.median("bytes")[0]
    sizes = [_number(size / 2**20) for size in (data, factors, peak)]
    times = [_number(1e3 * seconds), _number(1e9 * seconds / entries)]
    return [f"{entries:,}", *times, *sizes, f"{(peak - factors) / data:.2f}"]


def _share(row: Row, ceilings: dict) -> list[str]:
    kind, *arguments = row.case.work
    flops, size = WORK[kind](*arguments)
    seconds = row.median("sweep_seconds")[0]
    cells = [row.case.name, f"{flops / 1e9:.3g}"]
    for amount, ceiling in ((flops, ceilings["gflops"]), (size, ceilings["gbytes"])):
        rate = amount / seconds / 1e9
        cells += [f"{rate:.1f}", f"{rate / ceiling:.0%}"]
    return cells


def _machine() -> str:
    """Processor, cores, memory, system."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{model or platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}"
