"""The matrices and masks of the AT-NMF study, which are MATLAB files with one array each."""

from __future__ import annotations

import numpy as np

from ..io.files import FileError, read_bytes, reason
from ..io.limits import max_bytes_of
from .fetching import fetch

#: The missing fractions of the released masks, mask1.mat to mask7.mat.
FRACTIONS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def matrix(path: str) -> np.ndarray:
    """The only array of a file of the registry."""
    from ..io.tables import matlab  # with it come the kernels, which nothing else here needs

    file = fetch(path)
    try:
        content = matlab.read(read_bytes(file))
        (name,) = content.elements
        return content.array(name, max_bytes_of(None))
    except ValueError as error:
        raise FileError(f"{file} is not a MATLAB file with one array of numbers: {reason(error)}") from error


def masks(folder: str) -> dict[float, np.ndarray]:
    """The released masks in their files' orientation, by missing fraction; True = observed."""
    return {
        fraction: matrix(f"{folder}/mask{number}.mat").astype(bool)
        for number, fraction in enumerate(FRACTIONS, start=1)
    }
