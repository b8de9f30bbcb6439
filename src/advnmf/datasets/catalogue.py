"""What can be fetched, how large it is, under which terms, and how much of it is on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from .fetching import RemoteFile, local_or_cached, registry
from .images import COCO_EXTRACT

__all__ = ["CATALOGUE", "DataSet"]


@dataclass(frozen=True)
class DataSet:
    """A data set that can be fetched by the function `loader` of `advnmf.datasets`; `folder` has its files.

    `extract` is the one file that is kept in place of all others once they have been read.
    """

    loader: str
    folder: str
    content: str
    licence: str
    extract: str | None = None

    @property
    def files(self) -> list[RemoteFile]:
        """Its files."""
        return [file for path, file in registry().items() if path.startswith(f"{self.folder}/")]

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(file.bytes for file in self.files)

    @property
    def n_here(self) -> int:
        """How many of its files are on this machine."""
        if self.extract is not None and local_or_cached(self.extract) is not None:
            return len(self.files)
        return sum(local_or_cached(file.path) is not None for file in self.files)


_UNSTATED = "none stated"
CATALOGUE = (
    DataSet("fetch_synthetic", "synthetic", "50 x 100", _UNSTATED),
    DataSet("fetch_cbcl", "cbcl", "2429 x 361, faces", "for research"),
    DataSet("fetch_moffet", "moffet", "2500 x 165, spectra", _UNSTATED),
    DataSet("fetch_madonna", "madonna", "2500 x 160, spectra", _UNSTATED),
    DataSet("fetch_mnist", "mnist", "70000 x 784, digits", _UNSTATED),
    DataSet("fetch_fashion_mnist", "fashion-mnist", "70000 x 784, clothes", "MIT"),
    DataSet("fetch_coco2017", "coco2017", "5000 x 4096, photos", "authors' terms", extract=COCO_EXTRACT),
    DataSet("fetch_movielens_100k", "ratings", "943 x 1682, ratings", "for research"),
    DataSet("fetch_inpainting_pictures", "inpainting", "300 x 300, 4 photos", _UNSTATED),
)
