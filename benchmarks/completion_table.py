"""The table of `completion.py` in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from advnmf.studies import printed_values

HEADS = "data, missing, draws, AutoNMF, best printed, cmfrec tuned, ours / cmfrec, coverage of 90 %, s ours, s cmfrec"


@dataclass(frozen=True)
class Line:
    """A cell of a table of the studies: means over draws, each side over its own; the ratio over those of both.

    ``ours`` and ``cmfrec`` hold a row for each draw.
    """

    data: str
    fraction: float
    ours: dict[int, dict]
    cmfrec: dict[int, dict]
    printed: float

    @property
    def rmse(self) -> float:
        return _mean(self.ours.values(), "rmse")

    @property
    def ratio(self) -> float | None:
        """Of the errors, ours over cmfrec's."""
        if not (both := self.ours.keys() & self.cmfrec.keys()):
            return None
        ours, theirs = ([rows[draw] for draw in both] for rows in (self.ours, self.cmfrec))
        return _mean(ours, "rmse") / _mean(theirs, "rmse")

    def cells(self) -> list[str]:
        draws = str(len(self.ours))
        if self.cmfrec and len(self.cmfrec) != len(self.ours):
            draws += f", cmfrec {len(self.cmfrec)}"
        found = [self.data, f"{self.fraction:.0%}", draws, f"{self.rmse:.4g}", f"{self.printed:g}"]
        coverage, seconds = (_mean(self.ours.values(), key) for key in ("coverage", "seconds"))
        error_there = ratio = seconds_there = ""
        if self.ratio is not None:
            ratio = f"{self.ratio:.2f}"
            error_there = f"{_mean(self.cmfrec.values(), 'rmse'):.4g}"
            seconds_there = f"{_mean(self.cmfrec.values(), 'seconds'):.0f}"
        return [*found, error_there, ratio, f"{coverage:.1%}", f"{seconds:.0f}", seconds_there]


def table(rows: Sequence[dict], targets: Mapping[str, str]) -> str:
    """The table, and a line that counts."""
    lines = _lines(rows, targets)
    if not lines:
        return "There are no cells of ours."
    heads = HEADS.split(", ")
    cells = [heads, ["---"] * len(heads), *(line.cells() for line in lines)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    beaten = sum(line.rmse < line.printed for line in lines)
    said = [f"{beaten} of {len(lines)} cells are below the best that was printed"]
    if compared := [line for line in lines if line.ratio is not None]:
        worst = max(compared, key=lambda line: line.ratio)
        lower = sum(line.ratio < 1 for line in compared)
        said.append(f"{lower} of {len(compared)} below cmfrec")
        said.append(f"the worst ratio to it is {worst.ratio:.2f} ({worst.data}, {worst.fraction:.0%})")
    return f"{text}\n\n{'; '.join(said)}."


def _lines(rows: Sequence[dict], targets: Mapping[str, str]) -> list[Line]:
    found = []
    for data, target in targets.items():
        for fraction in sorted({row["fraction"] for row in rows if row["data"] == data}):
            sides = {
                side: {row["draw"]: row for row in rows if _key(row) == (side, data, fraction)}
                for side in ("ours", "cmfrec")
            }
            ours, theirs = sides.values()
            if ours:
                values = printed_values(target).values()
                best = min(value.mean for value in values if (value.dataset, value.fraction) == (data, fraction))
                found.append(Line(data, fraction, ours, theirs, best))
    return found


def _key(row: dict) -> tuple[str, str, float]:
    return row["side"], row["data"], row["fraction"]


def _mean(rows: Iterable[dict], key: str) -> float:
    return statistics.mean(row[key] for row in rows)
