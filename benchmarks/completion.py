"""Completion with everything chosen from observed entries: `AutoNMF` beside cmfrec, tuned by held-out entries.

    python benchmarks/completion.py --side ours          # first: cmfrec gets as many trials
    python benchmarks/completion.py --side cmfrec
    python benchmarks/completion.py --table

Each cell of the tables of the studies that these data sets stand in is a line of a file, kept as soon as it is there;
what is there is not computed again.  See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from children import HERE, PEERS, Failed, build, environment, measure
from completion_table import table

FRACTIONS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Data sets, the tables that they stand in, and whether pictures and masks are drawn by a seed (they were not released).
TARGETS = {"synthetic": "table2", "cbcl": "table3", "moffet": "table4", "mnist": "table6"}
DRAWN = ("mnist",)


@dataclass(frozen=True)
class Cell:
    """A data set with a share of its entries missing; `draw` is the seed of all that is random."""

    data: str
    fraction: float
    draw: int


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Complete the cells of the studies, everything chosen from the data.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--side", choices=list(SIDES), help="whose cells to compute")
    what.add_argument("--table", action="store_true", help="print the table of what is there")
    parser.add_argument("--out", type=Path, default=HERE / "completion.jsonl", help="file of the cells")
    parser.add_argument("--data", metavar="NAMES", default=",".join(TARGETS), help=f"some of {','.join(TARGETS)}")
    parser.add_argument("--fractions", metavar="NUMBERS", default=",".join(map(str, FRACTIONS)))
    parser.add_argument("--draws", type=int, default=5, help="draws of pictures and masks, where these are drawn")
    parser.add_argument("--time-limit", type=float, default=100, help="seconds of AutoNMF, for a cell")
    parser.add_argument("--trials", type=int, default=40, help="of cmfrec, where there is no cell of ours")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=HERE / ".peers", help="folder of the peers' environments")
    parser.add_argument("--constraint", type=Path, help="constraints file for pip")
    chosen = parser.parse_args()
    chosen.data = chosen.data.split(",")
    if unknown := set(chosen.data) - set(TARGETS):
        parser.error(f"--data: {', '.join(sorted(unknown))} not among {', '.join(TARGETS)}")
    try:
        chosen.fractions = [float(part) for part in chosen.fractions.split(",")]
    except ValueError:
        parser.error(f"--fractions: {chosen.fractions!r} is no list of numbers such as 0.3,0.9")
    if unknown := set(chosen.fractions) - set(FRACTIONS):
        parser.error(f"--fractions: {sorted(unknown)} not among {FRACTIONS}")
    chosen.cache = chosen.cache.resolve()
    return chosen


def cells(chosen: argparse.Namespace) -> Iterator[Cell]:
    """One draw of everything, then the second, and so on."""
    for draw in range(chosen.draws):
        for data in chosen.data:
            if draw == 0 or data in DRAWN:
                yield from (Cell(data, fraction, draw) for fraction in chosen.fractions)


def read(file: Path) -> list[dict]:
    """The rows of a file; a line that a killed program left half written is none."""
    rows = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def keep(row: dict, file: Path) -> None:
    """Add a row, on a line of its own whatever was there before, and force it to the disk."""
    with file.open("a") as stream:
        stream.write("\n" + json.dumps(row))
        stream.flush()
        os.fsync(stream.fileno())


def ours(archive: Path, cell: Cell, chosen: argparse.Namespace) -> dict:
    settings = {"seed": cell.draw, "time_limit": chosen.time_limit}
    return measure(sys.executable, "peers/complete_advnmf.py", archive, json.dumps(settings), threads=chosen.threads)


def cmfrec(archive: Path, cell: Cell, chosen: argparse.Namespace) -> dict:
    """As many trials as ours tried candidates."""
    candidates = [row["candidates"] for row in read(chosen.out) if is_of(row, "ours", cell)]
    settings = {"seed": cell.draw, "trials": (candidates or [chosen.trials])[0], "threads": chosen.threads}
    python = environment(PEERS["cmfrec"], chosen.cache, chosen.constraint)
    return measure(python, "peers/complete_cmfrec.py", archive, json.dumps(settings), threads=chosen.threads)


def is_of(row: dict, side: str, cell: Cell) -> bool:
    return row.items() >= ({"side": side} | asdict(cell)).items()


SIDES = {"ours": ours, "cmfrec": cmfrec}


def main() -> None:
    chosen = options()
    if chosen.table:
        print(table(read(chosen.out), TARGETS))
        return
    failed = 0
    for cell in cells(chosen):
        if any(is_of(row, chosen.side, cell) for row in read(chosen.out)):
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                problem = ("cell", TARGETS[cell.data], cell.fraction, cell.draw)
                found = SIDES[chosen.side](build(problem, Path(folder)), cell, chosen)
        except Failed as error:
            failed += 1
            print(f"{chosen.side}, {cell}: {error}", file=sys.stderr)
            continue
        keep({"side": chosen.side} | asdict(cell) | {"threads": chosen.threads} | found, chosen.out)
        print(f"{chosen.side}, {cell}: RMSE {found['rmse']:.5g}, {found['seconds']:.0f} s", file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
