"""Compare with other libraries, in one run on one machine.

    python benchmarks/compare.py [--only cmfrec,implicit] [--quick] [--out benchmarks/results.md]

Each peer is installed from PyPI into an environment of its own, and drives itself in a process of its own; so does
this package, in the environment that runs this script.  See README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import report
from cases import Case, all_cases
from children import HERE, PEERS, Failed, build, environment, measure

LIMIT = 300  # sweeps of ours, after which the peer's end counts as not reached


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare advnmf with other libraries.")
    parser.add_argument("--only", metavar="PEERS", help=f"some of {','.join(PEERS)}")
    parser.add_argument("--cases", metavar="TEXT", default="", help="only cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="tiny problems, once, on standard output: does it run?")
    parser.add_argument("--out", type=Path, default=HERE / "results.md", help="file of the table")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=HERE / ".peers", help="folder of the peers' environments")
    parser.add_argument("--constraint", type=Path, help="constraints file for pip")
    chosen = parser.parse_args()
    chosen.peers = chosen.only.split(",") if chosen.only else list(PEERS)
    if unknown := set(chosen.peers) - set(PEERS):
        parser.error(f"--only: {', '.join(sorted(unknown))} not among {', '.join(PEERS)}")
    chosen.cache = chosen.cache.resolve()
    chosen.repetitions = 1 if chosen.quick else chosen.repetitions
    return chosen


def compare(case: Case, folder: Path, chosen: argparse.Namespace) -> report.Row:
    """Measure ours and the peer in turn; each repetition has a seed and a goal of its own."""
    peer = PEERS[case.peer]
    python, archive = environment(peer, chosen.cache, chosen.constraint), build(case.problem, folder)
    common = {"sweeps": case.sweeps, "threads": chosen.threads}

    def theirs(parameters: dict, seed: int) -> dict:
        settings = json.dumps(common | {"parameters": parameters, "seed": seed})
        return measure(
            python, f"peers/{peer.script}", archive, settings, threads=chosen.threads, variables=peer.variables
        )

    def ours(target: float | None, seed: int) -> dict:
        more = {"model": "NMF", "parameters": case.ours, "seed": seed, "target": target, "limit": LIMIT}
        settings = json.dumps(common | more)
        return measure(sys.executable, "peers/run_advnmf.py", archive, settings, threads=chosen.threads)

    pairs = []
    for seed in range(chosen.repetitions):
        found = min((theirs(parameters, seed) for parameters in case.theirs), key=lambda each: each["score"] or 0.0)
        pairs.append((ours(found["score"] if case.goal else None, seed), found))
    return report.Row(case, pairs)


def main() -> None:
    chosen = options()
    cases = [case for case in all_cases(chosen.quick) if case.peer in chosen.peers and chosen.cases in case.name]
    ceilings, rows = measure(sys.executable, "ceilings.py", threads=chosen.threads), []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            print(f"{case.peer}: {case.name}", file=sys.stderr)
            try:
                rows.append(compare(case, Path(folder), chosen))
            except Failed as error:
                rows.append(report.Row(case, failure=str(error)))
            table = report.text(rows, ceilings, chosen.threads, chosen.repetitions)
            if not chosen.quick:  # after each case: an interrupted run keeps what it has
                chosen.out.write_text(table)
    if chosen.quick:
        print(table)


if __name__ == "__main__":
    main()
