"""Pages of HTML in one file that needs nothing else: a template, its style, and pictures within it.

Every value is escaped, and the page's own policy lets nothing run and nothing be fetched, whatever a value holds.
"""

from __future__ import annotations

import base64
import hashlib
import io
from importlib import resources
from typing import Any

from ..io.files import require

_DPI = 130


def render_page(template: str, **values: Any) -> str:
    """The page of a template, which is also given `style` and the hash of it that its policy names, `style_hash`."""
    style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    jinja2 = require("jinja2", "results")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.from_string(template).render(style=style, style_hash=style_hash, **values).lstrip()


def png(figure: Any) -> bytes:
    """A picture of 256 colours, which suffice for lines, maps and grey faces, and make a small file."""
    image = require("PIL.Image", "plot")
    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", dpi=_DPI)
    with image.open(full) as picture:
        picture.convert("RGB").quantize(256, dither=image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


def embedded(figure: Any) -> str:
    """A figure as the address of a picture within a page."""
    return f"data:image/png;base64,{base64.b64encode(png(figure)).decode()}"
