"""What the page of a report says, as tables and words; ``page.html`` makes HTML of it and escapes every value."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from itertools import groupby, islice, product
from operator import attrgetter
from typing import Any

from ..io.files import require
from .collecting import PRINT, Case, Study, smallest
from .effects import Effect, paired_effects
from .nearness import Nearness, nearness
from .printed import Printed
from .recipes import PROTOCOLS
from .summaries import DEVIATIONS, SHARE, Cell
from .targets import TARGETS

__all__ = ["Picture", "make_page"]

_EFFECTS = (
    "How the error of the missing entries changes with each part, the rest equal; below 0 the part helps. Means over "
    "the settings of the other parts and over draws of data, holes and candidates, with their 95 % confidence "
    "intervals; all models are tuned alike on held-out observed entries. Bold: the interval leaves out 0."
)
# Pictures of more pixels than that scroll in a narrow window, as tables do.
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
    """A table under a label, its rows in groups."""

    label: str
    heads: Sequence[str]
    bodies: Sequence[Sequence[Line]]


@dataclass(frozen=True)
class Part:
    """A table with words above it."""

    table: Table
    title: str = ""
    words: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure under one protocol as the bytes of a PNG file; or, where it could not be drawn, why (``missing``)."""

    file: str
    protocol: str
    title: str
    caption: str
    png: bytes
    missing: str = ""

    @property
    def width(self) -> int:
        """In pixels, as PNG files tell it."""
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


@dataclass(frozen=True)
class Section:
    """What is said of a study: tables, figures, tables that are folded away, and what has no rows."""

    name: str
    title: str
    quick: bool
    parts: Sequence[Part]
    figures: Sequence[Picture]
    summary: str
    folded: Sequence[Part]
    missing: Sequence[str]


_NOT_RUN = Value("not run", "missing")


def make_page(studies: Sequence[Study], pictures: Mapping[str, Sequence[Picture]], unknown: Sequence[str] = ()) -> str:
    """The whole page; ``unknown`` names targets that have rows, but that this version does not know."""
    tables = [study for study in studies if study.has_print]
    figures = [study for study in studies if not study.has_print]
    there = {study.name for study in studies}
    style, style_hash = _style()
    return (
        _template()
        .render(
            style=style,
            style_hash=style_hash,
            deviations=DEVIATIONS,
            share=f"{SHARE:.0%}",
            not_run=[name for name in TARGETS if name not in there],
            unknown=unknown,
            tables=[_section(study, _tables(study)) for study in tables],
            winners=_winners(tables),
            figures=[_section(study, *_contents_of(study, pictures[study.name])) for study in figures],
            effort=_effort(studies),
            settings=[(study.name, _settings(study)) for study in studies],
        )
        .lstrip()
    )


def _template() -> Any:
    jinja2 = require("jinja2", "results")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_text("page.html"))


def _style() -> tuple[str, str]:
    """The style sheet, and the hash by which the content security policy knows it."""
    style = _text("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return style, f"sha256-{digest}"


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _section(
    study: Study,
    parts: Iterable[Part],
    figures: Sequence[Picture] = (),
    summary: str = "",
    folded: Iterable[Part] = (),
) -> Section:
    missing = [", ".join(place) for place in _places(study) if not _has_rows(study, *place)]
    return Section(study.name, study.target.title, study.quick, list(parts), figures, summary, list(folded), missing)


# --- tables ----------------------------------------------------------------------------------------------------------


def _tables(study: Study) -> Iterator[Part]:
    """One for each data set and protocol that has rows."""
    for dataset, protocol in _places(study):
        if _has_rows(study, dataset, protocol):
            yield Part(_table(study, dataset, protocol), f"{dataset}, {protocol}")


def _places(study: Study) -> Iterator[tuple[str, str]]:
    return product(study.datasets, study.target.protocols)


def _has_rows(study: Study, dataset: str, protocol: str) -> bool:
    return any((cell.dataset, cell.protocol) == (dataset, protocol) for cell in study.cells)


def _table(study: Study, dataset: str, protocol: str) -> Table:
    """Methods x cases; under each method's errors those that were printed, where any were."""
    study = study.only(dataset, protocol)
    best, printed_best = (
        {case: _best(study.means(dataset, source, case)) for case in study.cases} for source in (protocol, PRINT)
    )
    bodies = []
    for method in study.methods:
        found = [_found(study.cell(dataset, protocol, method, case), method in best[case]) for case in study.cases]
        values = {case: study.printed(dataset, method, case) for case in study.cases}
        if not any(values.values()):
            bodies.append([Line(found, method, source="here" if study.has_print else "")])
            continue
        printed = [_printed(value, method in printed_best[case]) for case, value in values.items()]
        bodies.append([Line(found, method, 2, "here"), Line(printed, source="print", kind="print")])
    heads = ["missing", *([""] if study.has_print else []), *(_case(case) for case in study.cases)]
    return Table(f"{study.name} {dataset} {protocol}", heads, bodies)


def _best(means: dict[str, float]) -> list[str]:
    """The best methods of a column; the only one of a column is not told to be the best."""
    return smallest(means) if len(means) > 1 else []


def _found(cell: Cell | None, best: bool) -> Value:
    if cell is None:
        return _NOT_RUN
    agrees = cell.agrees if cell.protocol == "published" else None
    kind, mark, title = {
        True: ("agrees", "✓", "agrees with the print"),
        False: ("differs", "✗", "differs from the print"),
        None: ("", "", ""),
    }[agrees]
    spread = f"±{cell.rmse_std:.2g}, {cell.n_runs} runs" if cell.n_runs > 1 else "1 run"
    return Value(_number(cell.rmse_mean), kind, best, mark=mark, title=title, note=spread)


def _printed(value: Printed | None, best: bool) -> Value:
    if value is None:
        return Value()
    return Value(f"{value.mean:g}", best=best, after="" if value.std is None else f" ±{value.std:g}")


def _winners(studies: Sequence[Study]) -> list[Table]:
    """The method of the smallest error of each case, in print and under each protocol; a table a set of cases."""
    groups: dict[tuple[Case, ...], list[Study]] = {}
    for study in studies:
        groups.setdefault(tuple(study.cases), []).append(study)
    return [_winners_of(cases, group) for cases, group in groups.items()]


def _winners_of(cases: Sequence[Case], studies: Sequence[Study]) -> Table:
    bodies = []
    for study, dataset in [(each, dataset) for each in studies for dataset in each.datasets]:
        sources = [PRINT, *study.target.protocols]
        name = f"{study.name}, {dataset}" + ", quick" * study.quick
        lines = []
        for source in sources:
            values = [_winner(study.means(dataset, source, case), len(study.methods), source) for case in cases]
            lines.append(Line(values, "" if lines else name, len(sources), source))
        bodies.append(lines)
    return Table("winners", ["missing", "", *(_case(case) for case in cases)], bodies)


def _winner(means: dict[str, float], n_methods: int, source: str) -> Value:
    if not means:
        return Value() if source == PRINT else _NOT_RUN
    least = min(means.values())
    if source == PRINT:
        error = f"{least:g}"
    else:
        error = _number(least) + (f", of {len(means)}" if len(means) < n_methods else "")
    return Value(" = ".join(smallest(means)), "winner", note=error)


def _number(value: float) -> str:
    return f"{value:#.4g}".rstrip(".")


def _case(case: Case) -> str:
    fraction, mask = case
    pattern, _, corruption = mask.partition("+")
    if pattern not in ("released", "uniform"):
        return mask
    return f"{fraction:g}" + f", {corruption}" * bool(corruption)


# --- figures, effects, nearness --------------------------------------------------------------------------------------


def _contents_of(study: Study, pictures: Sequence[Picture]) -> tuple[list[Part], Sequence[Picture], str, list[Part]]:
    """What is nearest to the print; effects of the parts, if it has all that is compared; figures else."""
    nearest, numbers = list(_nearest(nearness(study))), list(_tables(study))
    effects = paired_effects(study.rows)
    if effects:
        return [*nearest, Part(_effects(study, effects), words=_EFFECTS)], (), "The errors", numbers
    return nearest, pictures, "The numbers", numbers


def _nearest(found: Sequence[Nearness]) -> Iterator[Part]:
    """The variants of each method that come nearest to the print."""
    for (dataset, protocol), variants in groupby(found, attrgetter("dataset", "protocol")):
        shown = [near for _, same in groupby(variants, attrgetter("method")) for near in islice(same, _N_NEAREST)]
        cases = list(dict.fromkeys(case for near in shown for case in near.ratios))
        lines = [
            Line([*(_ratio(near.ratios.get(case)) for case in cases), Value(f"{near.distance:.1f} %")], near.variant)
            for near in shown
        ]
        yield Part(
            Table(f"{dataset} {protocol} nearest", ["missing", *map(_case, cases), "off"], [lines]),
            f"{dataset}, {protocol}: nearest to the print",
            f"Error here as a multiple of what was printed, the {_N_NEAREST} nearest of each method; off: mean factor "
            "from 1, either way.",
        )


def _ratio(value: float | None) -> Value:
    return _NOT_RUN if value is None else Value(f"{value:.3g}")


def _effects(study: Study, effects: Sequence[Effect]) -> Table:
    """What each part changes in each case."""
    lines: dict[tuple[str, float | None, str], list[Value]] = {}
    for effect in effects:
        lines.setdefault((effect.dataset, effect.fraction, effect.corruption), []).append(_effect(effect))
    heads = ["missing", *dict.fromkeys(effect.part for effect in effects)]
    body = [Line(values, _draws(fraction, corruption)) for (_, fraction, corruption), values in lines.items()]
    return Table(f"{study.name} effects", heads, [body])


def _draws(fraction: float | None, corruption: str) -> str:
    return "all without corruption" if fraction is None else _case((fraction, f"uniform+{corruption}"))


def _effect(effect: Effect) -> Value:
    interval = "1 draw" if effect.n_draws == 1 else f"{effect.low:+.1f} … {effect.high:+.1f}, {effect.n_draws} draws"
    return Value(f"{effect.mean:+.1f} %", best=effect.low > 0 or effect.high < 0, note=interval)


# --- how it was computed ---------------------------------------------------------------------------------------------


def _effort(studies: Sequence[Study]) -> Table:
    heads = ["target", "runs", "seconds", "advnmf", "left out"]
    return Table("effort", heads, [[_effort_of(study) for study in studies]])


def _effort_of(study: Study) -> Line:
    seconds = sum(row.seconds for row in study.rows)
    versions = ", ".join(sorted({row.version for row in study.rows}))
    values = [len(study.rows), f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1f}", versions, study.n_left_out]
    return Line([Value(str(value)) for value in values], study.name)


def _settings(study: Study) -> Table:
    """Each method's settings under each protocol, and the range of what its searches found."""
    lines = []
    for protocol, method in product(PROTOCOLS, study.methods):
        rows = study.rows_of(protocol, method)
        for words in dict.fromkeys(_words(row.settings) for row in rows):
            found = _ranges([row.found for row in rows if _words(row.settings) == words])
            lines.append(Line([Value(protocol), Value(words, "words"), Value(found, "words")], method))
    return Table(f"settings of {study.name}", ["method", "protocol", "settings", "found"], [lines])


def _words(settings: Mapping[str, Any]) -> str:
    """Model and parameters, then what else is not as it would be without a word."""
    others = {name: value for name, value in settings.items() if name not in ("model", "params") and value}
    inner = ", ".join(f"{name}={_value(value)}" for name, value in settings["params"].items())
    outer = "".join(f"; {name} {_value(value)}" for name, value in others.items())
    return f"{settings['model']}({inner}){outer}"


def _ranges(found: Sequence[Mapping[str, Any]]) -> str:
    """Smallest and largest of each number that searches chose, all different values of anything else."""
    parts = []
    for name in dict.fromkeys(name for each in found for name in each):
        values = [each[name] for each in found if name in each]
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
