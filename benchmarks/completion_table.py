"""The table of `completion.py` in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from advnmf.studies import printed_values

HEADS = "data, missing, AutoNMF, best printed, cmfrec tuned, ours / cmfrec, coverage of 90 %, s ours, s cmfrec"


@dataclass(frozen=True)
class Line:
    """A cell of a table of the studies, means over draws.  With both sides there, only over the draws of both."""

    data: str
    fraction: float
    ours: list[dict]
    cmfrec: list[dict]
    printed: float

    @property
    def rmse(self) -> float:
        return _mean(self.ours, "rmse")

    @property
    def ratio(self) -> float | None:
        """Of the errors, ours over cmfrec's."""
        return self.rmse / _mean(self.cmfrec, "rmse") if self.cmfrec else None

    def cells(self) -> list[str]:
        found = [self.data, f"{self.fraction:.0%}", f"{self.rmse:.4g}", f"{self.printed:g}"]
        seconds = f"{_mean(self.ours, 'seconds'):.0f}"
        coverage = f"{_mean(self.ours, 'coverage'):.1%}"
        if not self.cmfrec:
            return [*found, "", "", coverage, seconds, ""]
        peer = [f"{_mean(self.cmfrec, 'rmse'):.4g}", f"{self.ratio:.2f}"]
        return [*found, *peer, coverage, seconds, f"{_mean(self.cmfrec, 'seconds'):.0f}"]


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
    if compared := [line for line in lines if line.cmfrec]:
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
                both = sorted(ours.keys() & theirs.keys())
                pairs = [ours[draw] for draw in both] or list(ours.values()), [theirs[draw] for draw in both]
                values = printed_values(target).values()
                best = min(value.mean for value in values if (value.dataset, value.fraction) == (data, fraction))
                found.append(Line(data, fraction, *pairs, best))
    return found


def _key(row: dict) -> tuple[str, str, float]:
    return row["side"], row["data"], row["fraction"]


def _mean(rows: Sequence[dict], key: str) -> float:
    return statistics.mean(row[key] for row in rows)
