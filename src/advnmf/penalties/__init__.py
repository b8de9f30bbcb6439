"""Penalties: what a factor costs by itself, and where its entries may lie."""

from __future__ import annotations

from .base import NO_PENALTY, ElasticNet, Penalty, Quadratic, Together
from .offset import WithOffset
from .smooth import Coupling, Smooth

__all__ = [
    "NO_PENALTY",
    "PENALTIES",
    "Coupling",
    "ElasticNet",
    "Penalty",
    "Quadratic",
    "Smooth",
    "Together",
    "WithOffset",
    "check_penalty",
]

PENALTIES: dict[str, type[Penalty]] = {cls.name: cls for cls in (ElasticNet, Smooth)}


def check_penalty(name: str, penalty: object) -> None:
    """Refuse what is no penalty, by the name of the parameter."""
    if penalty is not None and not isinstance(penalty, Penalty):
        raise ValueError(f"{name}={penalty!r} must be None or one of advnmf.penalties, such as Smooth(chain=True)")
