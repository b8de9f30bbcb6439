"""Automatic choice of rank, ridge, loss, adversary, depth, offsets and averaging, by held-out observed entries."""

from __future__ import annotations

from .estimator import AutoNMF

__all__ = ["AutoNMF"]
