"""The page of a report: plain HTML in one file, readable without colours, in a narrow window, in the dark, on paper."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from itertools import groupby, islice, product
from operator import attrgetter
from string import Template
from typing import Any

from .collecting import PRINT, Case, Study, smallest
from .effects import Effect, paired_effects
from .nearness import Nearness, nearness
from .printed import Printed
from .recipes import PROTOCOLS
from .summaries import DEVIATIONS, SHARE, Cell
from .targets import TARGETS

__all__ = ["Picture", "make_page"]

_INTRODUCTION = f"""
<p>Each table gives the root mean square error over the missing entries: what comes out here, and what the studies
print. Three protocols tell apart what a method can do and how it was run.</p>
<dl>
<dt>published</dt><dd>Each method as its authors released it. The printed columns of NMF, ANMF and AT-NMF count missing
entries as observed zeros, so these three do so here (not on the pictures of Table 9, where the print does not); the
other methods see true masks. Such errors say little about how well a method completes.</dd>
<dt>masked</dt><dd>The same hyper-parameters with true masks: every method is told what is missing.</dd>
<dt>tuned</dt><dd>Hyper-parameters, iterations and clipping chosen on held-out <em>observed</em> entries,
with as many candidates for each method. The missing entries choose nothing.</dd>
</dl>
<p>Of the published protocol it is asked whether it gives the printed figure:
<span class="agrees"><span class="mark">✓</span></span> is within the larger of {DEVIATIONS} printed deviations and
{SHARE:.0%}, <span class="differs"><span class="mark">✗</span></span> is not. The other protocols ask something else
than the print, which stands beside them to compare. <b>Bold</b> is the smallest of its column. ± is the sample
deviation over the runs; “not run” marks what has no results.</p>
"""
_QUICK = '<p class="note">Quick runs with few iterations: a look at the machinery, not at results.</p>'
# Pictures of more pixels than that scroll in a narrow window, as tables do.
_WIDE = 800
_N_NEAREST = 5
_NOT_RUN = '<td class="missing">not run</td>'


@dataclass(frozen=True)
class Picture:
    """A figure under one protocol as the bytes of a PNG file; or, where it could not be drawn, why (``missing``)."""

    file: str
    protocol: str
    caption: str
    png: bytes
    missing: str = ""


def make_page(studies: Sequence[Study], pictures: Mapping[str, Sequence[Picture]], unknown: Sequence[str] = ()) -> str:
    """The whole page; ``unknown`` names targets that have rows, but that this version does not know."""
    tables = [study for study in studies if study.has_print]
    figures = [study for study in studies if not study.has_print]
    content = [
        _INTRODUCTION,
        _not_run({study.name for study in studies}, unknown),
        _contents(tables, figures),
        *(_section(study, _tables(study)) for study in tables),
        _winners(tables) if tables else "",
        *(_section(study, _contents_of(study, pictures[study.name])) for study in figures),
        _making(studies),
    ]
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(content="\n".join(content))


def _not_run(there: set[str], unknown: Sequence[str]) -> str:
    missing = [name for name in TARGETS if name not in there]
    words = f"<p>Not run: {', '.join(missing)}.</p>" if missing else ""
    if unknown:
        words += f'<p class="note">Left out, as this version does not know them: {escape(", ".join(unknown))}.</p>'
    return words


def _contents(tables: Sequence[Study], figures: Sequence[Study]) -> str:
    names = [study.name for study in tables] + ["winners"] * bool(tables) + [study.name for study in figures]
    links = {name: name for name in names} | {"making": "how it was computed"}
    items = "".join(f'<li><a href="#{target}">{words}</a></li>' for target, words in links.items())
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>'


def _section(study: Study, content: Iterable[str]) -> str:
    heading = f'<h2 id="{study.name}">{escape(study.target.title)}</h2>'
    note = _QUICK if study.quick else ""
    return "\n".join(["<section>", heading, note, *content, _without_rows(study), "</section>"])


# --- tables ----------------------------------------------------------------------------------------------------------


def _tables(study: Study) -> Iterator[str]:
    """One for each data set and protocol that has rows."""
    for dataset, protocol in _places(study):
        if _has_rows(study, dataset, protocol):
            yield f"<h3>{escape(dataset)}, {protocol}</h3>" + _table(study, dataset, protocol)


def _without_rows(study: Study) -> str:
    """Which of them have none."""
    missing = [escape(", ".join(place)) for place in _places(study) if not _has_rows(study, *place)]
    return f'<p class="missing">Not run: {"; ".join(missing)}.</p>' if missing else ""


def _places(study: Study) -> Iterator[tuple[str, str]]:
    return product(study.datasets, study.target.protocols)


def _has_rows(study: Study, dataset: str, protocol: str) -> bool:
    return any((cell.dataset, cell.protocol) == (dataset, protocol) for cell in study.cells)


def _table(study: Study, dataset: str, protocol: str) -> str:
    """Methods x cases; under each method's errors those that were printed, where any were."""
    best, printed_best = (
        {case: _best(study.means(dataset, source, case)) for case in study.cases} for source in (protocol, PRINT)
    )
    bodies = []
    for method in study.methods:
        found = [_found(study.cell(dataset, protocol, method, case), method in best[case]) for case in study.cases]
        values = {case: study.printed(dataset, method, case) for case in study.cases}
        if not any(values.values()):
            source = _source("here") if study.has_print else ""
            bodies.append(f"<tbody><tr>{_row_head(method)}{source}{''.join(found)}</tr></tbody>")
            continue
        printed = [_printed(value, method in printed_best[case]) for case, value in values.items()]
        bodies.append(
            f"<tbody><tr>{_row_head(method, 2)}{_source('here')}{''.join(found)}</tr>"
            f'<tr class="print">{_source("print")}{"".join(printed)}</tr></tbody>'
        )
    heads = ["missing", *([""] if study.has_print else []), *(_case(case) for case in study.cases)]
    return _box(heads, bodies, f"{study.name} {dataset} {protocol}")


def _best(means: dict[str, float]) -> list[str]:
    """The best methods of a column; the only one of a column is not told to be the best."""
    return smallest(means) if len(means) > 1 else []


def _found(cell: Cell | None, best: bool) -> str:
    if cell is None:
        return _NOT_RUN
    agrees = cell.agrees if cell.protocol == "published" else None
    kind, mark = {
        True: ("agrees", ' <span class="mark" title="agrees with the print">✓</span>'),
        False: ("differs", ' <span class="mark" title="differs from the print">✗</span>'),
        None: ("", ""),
    }[agrees]
    spread = f"±{cell.rmse_std:.2g}, {cell.n_runs} runs" if cell.n_runs > 1 else "1 run"
    return f'<td class="{kind}">{_bold(_number(cell.rmse_mean), best)}{mark}<small>{spread}</small></td>'


def _printed(value: Printed | None, best: bool) -> str:
    if value is None:
        return "<td></td>"
    spread = "" if value.std is None else f" ±{value.std:g}"
    return f"<td>{_bold(f'{value.mean:g}', best)}{spread}</td>"


def _winners(studies: Sequence[Study]) -> str:
    """The method of the smallest error of each case, in print and under each protocol; a table a set of cases."""
    groups: dict[tuple[Case, ...], list[Study]] = {}
    for study in studies:
        groups.setdefault(tuple(study.cases), []).append(study)
    note = (
        "<p>The method of the smallest error in each column, with that error. “of 3” says that only so many of the "
        "methods have been run there; the means may be closer together than the runs are.</p>"
    )
    tables = [_winners_of(cases, group) for cases, group in groups.items()]
    return "\n".join(['<section><h2 id="winners">Winners</h2>', note, *tables, "</section>"])


def _winners_of(cases: Sequence[Case], studies: Sequence[Study]) -> str:
    bodies = []
    for study, dataset in [(each, dataset) for each in studies for dataset in each.datasets]:
        sources = [PRINT, *study.target.protocols]
        name = f"{study.name}, {dataset}" + ", quick" * study.quick
        lines = []
        for source in sources:
            cells = "".join(_winner(study.means(dataset, source, case), len(study.methods), source) for case in cases)
            head = "" if lines else _row_head(name, len(sources))
            lines.append(f"<tr>{head}{_source(source)}{cells}</tr>")
        bodies.append(f"<tbody>{''.join(lines)}</tbody>")
    return _box(["missing", "", *(_case(case) for case in cases)], bodies, "winners")


def _winner(means: dict[str, float], n_methods: int, source: str) -> str:
    if not means:
        return "<td></td>" if source == PRINT else _NOT_RUN
    least = min(means.values())
    if source == PRINT:
        error = f"{least:g}"
    else:
        error = _number(least) + (f", of {len(means)}" if len(means) < n_methods else "")
    return f'<td class="winner">{escape(" = ".join(smallest(means)))}<small>{error}</small></td>'


def _box(heads: Sequence[str], bodies: Sequence[str], label: str) -> str:
    """A table that scrolls within its box, by the keyboard too."""
    cells = "".join(f'<th scope="col">{head}</th>' if head else "<td></td>" for head in heads)
    return (
        f'<div class="box" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{cells}</tr></thead>{''.join(bodies)}</table></div>"
    )


def _source(words: str) -> str:
    return f'<th scope="row" class="source">{words}</th>'


def _row_head(words: str, rows: int = 1) -> str:
    return f'<th scope="rowgroup" rowspan="{rows}">{escape(words)}</th>'


def _bold(words: str, best: bool) -> str:
    return f"<b>{words}</b>" if best else words


def _number(value: float) -> str:
    return f"{value:#.4g}".rstrip(".")


def _case(case: Case) -> str:
    fraction, mask = case
    pattern, _, corruption = mask.partition("+")
    if pattern not in ("released", "uniform"):
        return escape(mask)
    return f"{fraction:g}" + f", {corruption}" * bool(corruption)


# --- figures ---------------------------------------------------------------------------------------------------------


def _figures(study: Study, pictures: Sequence[Picture]) -> Iterator[str]:
    """The pictures, and their numbers for those who want to read them."""
    for picture in pictures:
        if picture.missing:
            yield f'<p class="note">{picture.protocol}: no figure. {escape(picture.missing)}</p>'
            continue
        title = f"{study.target.title}, {picture.protocol}"
        data = base64.b64encode(picture.png).decode()
        width, height = (int.from_bytes(picture.png[at : at + 4]) for at in (16, 20))  # as PNG files tell them
        size = f'width="{width}" height="{height}"' + ' class="wide"' * (width > _WIDE)
        yield (
            f'<figure><div class="box" tabindex="0" role="region" aria-label="{escape(title)}">'
            f'<img alt="{escape(title)}" {size} src="data:image/png;base64,{data}"></div>'
            f"<figcaption><b>{picture.protocol}.</b> {escape(picture.caption)}</figcaption></figure>"
        )
    yield f"<details><summary>The numbers</summary>{''.join(_tables(study))}</details>"


# --- effects ---------------------------------------------------------------------------------------------------------


def _contents_of(study: Study, pictures: Sequence[Picture]) -> Iterator[str]:
    """What is nearest to the print; effects of the parts, if it has all that is compared; figures else."""
    effects = paired_effects(study.rows)
    yield from _nearest(nearness(study))
    yield from _effects(study, effects) if effects else _figures(study, pictures)


# --- nearness --------------------------------------------------------------------------------------------------------


def _nearest(found: Sequence[Nearness]) -> Iterator[str]:
    """The variants of each method that come nearest to the print."""
    for (dataset, protocol), variants in groupby(found, attrgetter("dataset", "protocol")):
        shown = [near for _, same in groupby(variants, attrgetter("method")) for near in islice(same, _N_NEAREST)]
        cases = list(dict.fromkeys(case for near in shown for case in near.ratios))
        bodies = [
            f"<tr>{_row_head(near.variant)}{''.join(_ratio(near.ratios.get(case)) for case in cases)}"
            f"<td>{near.distance:.1f} %</td></tr>"
            for near in shown
        ]
        yield (
            f"<h3>{escape(dataset)}, {protocol}: nearest to the print</h3><p>Error here as a multiple of what was "
            f"printed, the {_N_NEAREST} nearest of each method; off: mean factor from 1, either way.</p>"
        )
        heads = ["missing", *map(_case, cases), "off"]
        yield _box(heads, [f"<tbody>{''.join(bodies)}</tbody>"], f"{dataset} {protocol} nearest")


def _ratio(value: float | None) -> str:
    return _NOT_RUN if value is None else f"<td>{value:.3g}</td>"


def _effects(study: Study, effects: Sequence[Effect]) -> Iterator[str]:
    """What each part changes in each case, and the errors that this is from."""
    parts = list(dict.fromkeys(effect.part for effect in effects))
    lines: dict[tuple[str, float | None, str], list[Effect]] = {}
    for effect in effects:
        lines.setdefault((effect.dataset, effect.fraction, effect.corruption), []).append(effect)
    bodies = [
        f"<tr>{_row_head('all without corruption' if place[1] is None else _case((place[1], f'uniform+{place[2]}')))}"
        f"{''.join(map(_effect, found))}</tr>"
        for place, found in lines.items()
    ]
    yield (
        "<p>How the error of the missing entries changes with each part, the rest equal; below 0 the part helps. Means "
        "over the settings of the other parts and over draws of data, holes and candidates, with their 95 % "
        "confidence intervals; all models are tuned alike on held-out observed entries. <b>Bold</b>: the interval "
        "leaves out 0.</p>"
    )
    yield _box(["missing", *parts], [f"<tbody>{''.join(bodies)}</tbody>"], f"{study.name} effects")
    yield f"<details><summary>The errors</summary>{''.join(_tables(study))}</details>"


def _effect(effect: Effect) -> str:
    interval = "1 draw" if effect.n_draws == 1 else f"{effect.low:+.1f} … {effect.high:+.1f}, {effect.n_draws} draws"
    return f"<td>{_bold(f'{effect.mean:+.1f} %', effect.low > 0 or effect.high < 0)}<small>{interval}</small></td>"


# --- how it was computed ---------------------------------------------------------------------------------------------


def _making(studies: Sequence[Study]) -> str:
    heads = ["target", "runs", "seconds", "advnmf", "left out"]
    bodies = [f"<tbody>{''.join(_effort(study) for study in studies)}</tbody>"]
    note = (
        "<p>Seconds are those of all runs together, each on its own. Left out are runs that "
        "others of the same place have replaced, with newer settings or of a newer version, and quick ones where there "
        "are thorough ones.</p>"
    )
    settings = (
        f"<details><summary>Settings of {study.name}</summary>{_settings(study)}</details>" for study in studies
    )
    return "\n".join(
        [
            '<section><h2 id="making">How it was computed</h2>',
            _box(heads, bodies, "effort"),
            note,
            *settings,
            "</section>",
        ]
    )


def _effort(study: Study) -> str:
    seconds = sum(row.seconds for row in study.rows)
    versions = ", ".join(sorted({row.version for row in study.rows}))
    values = [len(study.rows), f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1f}", versions, study.n_left_out]
    return f'<tr><th scope="row">{study.name}</th>{"".join(f"<td>{escape(str(value))}</td>" for value in values)}</tr>'


def _settings(study: Study) -> str:
    """Each method's settings under each protocol, and the range of what its searches found."""
    lines = []
    for protocol, method in product(PROTOCOLS, study.methods):
        rows = study.rows_of(protocol, method)
        told = dict.fromkeys(_words(row.settings) for row in rows)
        for words in told:
            found = _ranges([row.found for row in rows if _words(row.settings) == words])
            lines.append(
                f'<tr><th scope="row">{escape(method)}</th><td>{protocol}</td>'
                f'<td class="words">{escape(words)}</td><td class="words">{escape(found)}</td></tr>'
            )
    return _box(
        ["method", "protocol", "settings", "found"], [f"<tbody>{''.join(lines)}</tbody>"], f"settings of {study.name}"
    )


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
