"""The page of a report as tables and words; ``page.html`` makes HTML of them and escapes every value."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from itertools import groupby, islice, product
from operator import attrgetter
from typing import Any

from ..inspection.pages import render_page
from .comparisons import Effect, VariantDistance, paired_effects, variant_distances
from .experiments import EXPERIMENTS
from .protocols import PROTOCOLS
from .runs import Result
from .summaries import DEVIATIONS, PRINT, SHARE, Case, ExperimentResults, PrintedValue, Summary, smallest

__all__ = ["Picture", "make_page"]

_EFFECTS = (
    "How the error of the missing entries changes with each part, the rest equal; below 0 the part helps. Means over "
    "the settings of the other parts and over draws of data, holes and candidates, with their 95 % confidence "
    "intervals; all models are tuned alike on held-out observed entries. Bold: the interval leaves out 0."
)
# Wider pictures scroll in a narrow window, as tables do; in pixels.
_WIDE = 800
_N_NEAREST = 5


@dataclass(frozen=True)
class Value:
    """A cell of a table: text, what follows it, a mark with its title, and a small line below."""

    text: str = ""
    kind: str = ""
    best: bool = False
    after: str = ""
    mark: str = ""
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table, with a head that may stand for several rows, and the source of its values."""

    values: Sequence[Value]
    head: str = ""
    span: int = 1
    source: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table under a label, its rows in groups; a title and words above it."""

    label: str
    heads: Sequence[str]
    bodies: Sequence[Sequence[Line]]
    title: str = ""
    words: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure under one protocol as the bytes of a PNG file; or the reason why there is none (``missing``)."""

    file: str
    protocol: str
    title: str
    caption: str
    png: bytes
    missing: str = ""

    @property
    def width(self) -> int:
        """In pixels, from the header of the PNG file."""
        return int.from_bytes(self.png[16:20])

    @property
    def height(self) -> int:
        """The same."""
        return int.from_bytes(self.png[20:24])

    @property
    def wide(self) -> bool:
        """Whether it scrolls in a narrow window."""
        return self.width > _WIDE

    @cached_property
    def data(self) -> str:
        """The file as text."""
        return base64.b64encode(self.png).decode()


_NOT_RUN = Value("not run", "missing")


def make_page(
    experiments: Sequence[ExperimentResults], pictures: Mapping[str, Sequence[Picture]], unknown: Sequence[str] = ()
) -> str:
    """The whole page; ``unknown`` names experiments that have results, but that this version does not know."""
    printed = [each for each in experiments if each.has_print]
    others = [each for each in experiments if not each.has_print]
    return render_page(
        _text("page.html"),
        deviations=DEVIATIONS,
        share=f"{SHARE:.0%}",
        not_run=[name for name in EXPERIMENTS if name not in {each.name for each in experiments}],
        unknown=unknown,
        tables=[_section(each, _tables(each)) for each in printed],
        winners=_winners(printed),
        figures=[_section(each, *_contents(each, pictures[each.name])) for each in others],
        effort=Table(
            "effort", ["target", "runs", "seconds", "advnmf", "left out"], [[_effort(each) for each in experiments]]
        ),
        settings=[(each.name, _settings(each)) for each in experiments],
    )


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _section(
    results: ExperimentResults,
    tables: Iterable[Table],
    figures: Sequence[Picture] = (),
    summary: str = "",
    folded: Iterable[Table] = (),
) -> dict[str, Any]:
    """What is said of an experiment: tables, figures, tables that are folded away, and what has no results."""
    missing = [", ".join(place) for place in _places(results) if not results.has_results(*place)]
    return {
        "name": results.name,
        "title": results.experiment.title,
        "quick": results.quick,
        "tables": tables,
        "figures": figures,
        "summary": summary,
        "folded": list(folded),
        "missing": missing,
    }


# --- tables ----------------------------------------------------------------------------------------------------------


def _tables(results: ExperimentResults) -> Iterator[Table]:
    """One for each data set and protocol that has results."""
    return (_table(results.only(*place), *place) for place in _places(results) if results.has_results(*place))


def _places(results: ExperimentResults) -> Iterator[tuple[str, str]]:
    return product(results.datasets, results.experiment.protocols)


def _table(results: ExperimentResults, dataset: str, protocol: str) -> Table:
    """Methods x cases; below the errors of each method the printed ones, if there are any."""
    best, printed_best = (
        {case: _best(results.means(dataset, source, case)) for case in results.cases} for source in (protocol, PRINT)
    )
    bodies = []
    for method in results.methods:
        found = [
            _found(results.summary(dataset, protocol, method, case), method in best[case]) for case in results.cases
        ]
        values = {case: results.printed(dataset, method, case) for case in results.cases}
        if not any(values.values()):
            bodies.append([Line(found, method, source="here" if results.has_print else "")])
            continue
        printed = [_printed(value, method in printed_best[case]) for case, value in values.items()]
        bodies.append([Line(found, method, 2, "here"), Line(printed, source="print", kind="print")])
    heads = ["missing", *([""] if results.has_print else []), *map(_case, results.cases)]
    return Table(f"{results.name} {dataset} {protocol}", heads, bodies, f"{dataset}, {protocol}")


def _best(means: dict[str, float]) -> list[str]:
    """The best methods of a column, if it has more than one."""
    return smallest(means) if len(means) > 1 else []


def _found(summary: Summary | None, best: bool) -> Value:
    if summary is None:
        return _NOT_RUN
    agrees = summary.agrees if summary.protocol == "published" else None
    kind, mark, title = {
        True: ("agrees", "✓", "agrees with the print"),
        False: ("differs", "✗", "differs from the print"),
        None: ("", "", ""),
    }[agrees]
    spread = f"±{summary.rmse_std:.2g}, {summary.n_runs} runs" if summary.n_runs > 1 else "1 run"
    return Value(_number(summary.rmse_mean), kind, best, mark=mark, title=title, note=spread)


def _printed(value: PrintedValue | None, best: bool) -> Value:
    if value is None:
        return Value()
    return Value(f"{value.mean:g}", best=best, after="" if value.std is None else f" ±{value.std:g}")


def _winners(experiments: Sequence[ExperimentResults]) -> list[Table]:
    """The method of the smallest error of each case, in print and under each protocol; a table a set of cases."""
    groups: dict[tuple[Case, ...], list[list[Line]]] = {}
    for each in experiments:
        groups.setdefault(tuple(each.cases), []).extend(_winners_on(each, dataset) for dataset in each.datasets)
    return [Table("winners", ["missing", "", *map(_case, cases)], bodies) for cases, bodies in groups.items()]


def _winners_on(results: ExperimentResults, dataset: str) -> list[Line]:
    sources = [PRINT, *results.experiment.protocols]
    heads = [f"{results.name}, {dataset}" + ", quick" * results.quick] + [""] * (len(sources) - 1)
    return [
        Line([_winner(results, dataset, source, case) for case in results.cases], head, len(sources), source)
        for head, source in zip(heads, sources, strict=True)
    ]


def _winner(results: ExperimentResults, dataset: str, source: str, case: Case) -> Value:
    means = results.means(dataset, source, case)
    if not means:
        return Value() if source == PRINT else _NOT_RUN
    least = min(means.values())
    incomplete = f", of {len(means)}" if len(means) < len(results.methods) else ""
    error = f"{least:g}" if source == PRINT else _number(least) + incomplete
    return Value(" = ".join(smallest(means)), "winner", note=error)


def _number(value: float) -> str:
    return f"{value:#.4g}".rstrip(".")


def _case(case: Case) -> str:
    fraction, mask = case
    pattern, _, corruption = mask.partition("+")
    if pattern not in ("released", "uniform"):
        return mask
    return f"{fraction:g}" + f", {corruption}" * bool(corruption)


# --- figures and comparisons -----------------------------------------------------------------------------------------


def _contents(
    results: ExperimentResults, pictures: Sequence[Picture]
) -> tuple[list[Table], Sequence[Picture], str, Iterator[Table]]:
    """The variants nearest to the print; effects of the parts, if all their pairs were run, otherwise figures."""
    nearest, numbers = list(_nearest(variant_distances(results))), _tables(results)
    effects = paired_effects(results.results)
    if effects:
        return [*nearest, _effects(results, effects)], (), "The errors", numbers
    return nearest, pictures, "The numbers", numbers


def _nearest(found: Sequence[VariantDistance]) -> Iterator[Table]:
    """The variants of each method that come nearest to the print."""
    for (dataset, protocol), variants in groupby(found, attrgetter("dataset", "protocol")):
        shown = [near for _, same in groupby(variants, attrgetter("method")) for near in islice(same, _N_NEAREST)]
        cases = list(dict.fromkeys(case for near in shown for case in near.ratios))
        lines = [
            Line([*(_ratio(near.ratios.get(case)) for case in cases), Value(f"{near.distance:.1f} %")], near.variant)
            for near in shown
        ]
        yield Table(
            f"{dataset} {protocol} nearest",
            ["missing", *map(_case, cases), "off"],
            [lines],
            f"{dataset}, {protocol}: nearest to the print",
            f"Error here as a multiple of what was printed, the {_N_NEAREST} nearest of each method; off: mean factor "
            "from 1, either way.",
        )


def _ratio(value: float | None) -> Value:
    return _NOT_RUN if value is None else Value(f"{value:.3g}")


def _effects(results: ExperimentResults, effects: Sequence[Effect]) -> Table:
    """The effect of each part in each case."""
    lines: dict[tuple[str, float | None, str], list[Value]] = {}
    for effect in effects:
        lines.setdefault((effect.dataset, effect.fraction, effect.corruption), []).append(_effect(effect))
    heads = ["missing", *dict.fromkeys(effect.part for effect in effects)]
    body = [
        Line(values, "all without corruption" if fraction is None else _case((fraction, f"uniform+{corruption}")))
        for (_, fraction, corruption), values in lines.items()
    ]
    return Table(f"{results.name} effects", heads, [body], words=_EFFECTS)


def _effect(effect: Effect) -> Value:
    interval = "1 draw" if effect.n_draws == 1 else f"{effect.low:+.1f} … {effect.high:+.1f}, {effect.n_draws} draws"
    return Value(f"{effect.mean:+.1f} %", best=effect.low > 0 or effect.high < 0, note=interval)


# --- how it was computed ---------------------------------------------------------------------------------------------


def _effort(results: ExperimentResults) -> Line:
    seconds = sum(each.seconds for each in results.results)
    versions = ", ".join(sorted({each.version for each in results.results}))
    total = f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1f}"
    values = [len(results.results), total, versions, results.n_left_out]
    return Line([Value(str(value)) for value in values], results.name)


def _settings(results: ExperimentResults) -> Table:
    """The configurations of each method under each protocol, and the range of what tuning chose."""
    lines = []
    for protocol, method in product(PROTOCOLS, results.methods):
        groups: dict[str, list[Result]] = {}
        for each in results.results_of(protocol, method):
            groups.setdefault(_words(each.config), []).append(each)
        for words, same in groups.items():
            tuned = _ranges([each.tuned for each in same])
            lines.append(Line([Value(protocol), Value(words, "words"), Value(tuned, "words")], method))
    return Table(f"settings of {results.name}", ["method", "protocol", "settings", "found"], [lines])


def _words(config: Mapping[str, Any]) -> str:
    """Model and parameters, then all other values that are set."""
    others = {name: value for name, value in config.items() if name not in ("model", "params") and value}
    inner = ", ".join(f"{name}={_value(value)}" for name, value in config["params"].items())
    outer = "".join(f"; {name} {_value(value)}" for name, value in others.items())
    return f"{config['model']}({inner}){outer}"


def _ranges(tuned: Sequence[Mapping[str, Any]]) -> str:
    """Smallest and largest of each number that tuning chose, all different values of anything else."""
    parts = []
    for name in dict.fromkeys(name for each in tuned for name in each):
        values = [each[name] for each in tuned if name in each]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            ends = dict.fromkeys((_value(min(values)), _value(max(values))))
            parts.append(f"{name} {' … '.join(ends)}")
        else:
            parts.append(f"{name} {' | '.join(dict.fromkeys(map(_value, values)))}")
    return "; ".join(parts)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
