"""The hyperspectral cubes of the AT-NMF study: one pixel a row, one band a column."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from . import matfiles

_SOURCE = """Source: https://github.com/caiting123321/AT_NMF (no licence is stated there, so nothing of it is
redistributed).
The pixels stand in the order of the file; whether its picture runs along lines or columns is not stated."""
_MOFFET = f"""Moffet: 50 x 50 pixels of an AVIRIS scene of Moffett Field, reflectances in 165 bands, with seven
masks that miss 30 % to 90 % at random. The study had dropped the bands 1-4, 104-115, 151-175 and 205-222
(counted from 1; water and noise) and set negative values to zero; nothing is scaled.
{_SOURCE}"""
_MADONNA = f"""Madonna: 50 x 50 pixels of a scene taken by a Hyspex camera, 160 bands, with seven masks that
miss 30 % to 90 % at random; nothing is scaled or dropped.
{_SOURCE}"""


def fetch_moffet() -> Bunch:
    """Moffet: 2500 pixels x 165 bands, cleaned by the AT-NMF study, and its masks."""
    return _cube("moffet/clean_Moffet.mat", _MOFFET)


def fetch_madonna() -> Bunch:
    """Madonna: 2500 pixels x 160 bands, and the masks of the AT-NMF study."""
    return _cube("madonna/clean_Madonna.mat", _MADONNA)


def _cube(path: str, descr: str) -> Bunch:
    # The files have bands in rows.
    X = np.ascontiguousarray(matfiles.matrix(path).T, dtype=np.float64)
    masks = {fraction: mask.T.copy() for fraction, mask in matfiles.masks(path.partition("/")[0]).items()}
    return Bunch(X=X, masks=masks, cube_shape=(50, 50, X.shape[1]), DESCR=descr)
