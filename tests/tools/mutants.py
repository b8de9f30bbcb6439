"""Plant faults in a copy of the package, and see which of them the contract tests notice.

    python tests/tools/mutants.py [--only WORD] [--list]

Each fault is a line of `mutants.csv`: the file, the text there, what is put in its place, and why that is a fault.  A
text that is not in its file, or there more than once, is an error: a table that nobody runs would rot.  A fault that no
test notices is listed at the end, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

# What takes long to import, once for all processes; not the package itself.
import numba  # noqa: F401
import pytest
import scipy.optimize  # noqa: F401
import sklearn.impute  # noqa: F401

ROOT = Path(__file__).parents[2]
# One failure is enough: first those that look at the room of the fault.
TESTS = ["penalties", "loss_contract", "adversary_contract", "solver_contract", "censored"]
FIRST = {room: TESTS[::-1] for room in ("solvers", "kernels", "engine")}
FIRST["data"] = FIRST["model_selection"] = ["censored"]
FIRST["adversaries.py"] = [TESTS[2], TESTS[1], TESTS[3]]
MOST_SECONDS = 900.0


class Mutant(NamedTuple):
    """One fault."""

    file: str
    old: str
    new: str
    why: str

    def planted(self, source: str) -> str:
        """The source with the fault."""
        if source.count(self.old) != 1:
            raise SystemExit(
                f"mutants.csv: {self.old!r} is {source.count(self.old)} times in {self.file}, expected once"
            )
        return source.replace(self.old, self.new)


def read_mutants() -> list[Mutant]:
    """The table."""
    with open(Path(__file__).with_name("mutants.csv"), encoding="utf-8", newline="") as stream:
        return [Mutant(*row) for row in list(csv.reader(stream))[1:]]


def fails(package: Path, room: str) -> bool:
    """Whether a contract test fails with this package, in a process of its own."""
    child = multiprocessing.get_context("fork").Process(target=_run, args=(package, FIRST.get(room, TESTS)))
    child.start()
    child.join(MOST_SECONDS)
    if child.is_alive():  # a fault that never ends is noticed by whoever waits
        child.kill()
        child.join()
    return child.exitcode != 0


def _run(package: Path, tests: list[str]) -> None:
    os.setpgrp()
    sys.path[:0] = [str(package), str(ROOT / "tests" / "support")]
    output = os.open(os.devnull, os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    paths = [str(ROOT / "tests" / "contracts" / f"test_{name}.py") for name in tests]
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", *paths])
    os._exit(int(code))


def main() -> int:
    """Plant one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only faults whose file or reason contains this")
    parser.add_argument("--list", action="store_true", help="check the table, and run nothing")
    args = parser.parse_args()
    sources = ROOT / "src" / "advnmf"
    mutants = read_mutants()
    for mutant in mutants:
        mutant.planted((sources / mutant.file).read_text("utf-8"))
    chosen = [mutant for mutant in mutants if args.only in f"{mutant.file} {mutant.why}"]
    if args.list:
        print(f"{len(chosen)} faults can be planted")
        return 0
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder)
        shutil.copytree(sources, package / "advnmf")  # with times: what is compiled stays so
        if fails(package, ""):
            raise SystemExit("the contract tests fail without any fault: python -m pytest tests/contracts")
        for number, mutant in enumerate(chosen, 1):
            target = package / "advnmf" / mutant.file
            began = time.monotonic()
            target.write_text(mutant.planted((sources / mutant.file).read_text("utf-8")), encoding="utf-8")
            caught = fails(package, mutant.file.split("/")[0])
            shutil.copy2(sources / mutant.file, target)
            missed += [] if caught else [mutant]
            what = f"{'caught' if caught else 'MISSED'} {mutant.file}: {mutant.why} ({time.monotonic() - began:.0f} s)"
            print(f"{number}/{len(chosen)} {what}", flush=True)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults are caught")
    for mutant in missed:
        print(f"MISSED {mutant.file}: {mutant.old!r} -> {mutant.new!r}: {mutant.why}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
