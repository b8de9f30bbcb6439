"""The data sets of the matrix completion studies, and masks that hide some of their entries.

Each function gives a scikit-learn ``Bunch``:

- ``X``: the data, one instance (face, pixel, digit, user) a row;
- ``masks``: the masks that were released with the data, ``{missing fraction: array like X, True = observed}``; empty
  where none were;
- ``target``: labels, where there are any;
- ``image_shape``: of the picture in each row; or ``cube_shape``, lines x samples x bands, where each row is a pixel;
- ``DESCR``: what the data are, where they are from, and their licence.

``load_...`` computes, ``fetch_...`` reads files: from the folder that the environment variable ``ADVNMF_DATA`` names,
else from a cache, else from where the authors put them (``pip install 'advnmf[data]'``).  What is read has
the published SHA-256.  All raise FileError (a ValueError) with one line for a file that is not to be had.
"""

from .catalogue import CATALOGUE, DataSet
from .cubes import fetch_madonna, fetch_moffet
from .images import fetch_cbcl, fetch_coco2017, fetch_fashion_mnist, fetch_mnist
from .missing import make_missing
from .movielens import fetch_movielens_100k
from .pictures import fetch_inpainting_pictures
from .synthetic import fetch_synthetic, load_synthetic

__all__ = [
    "CATALOGUE",
    "DataSet",
    "fetch_cbcl",
    "fetch_coco2017",
    "fetch_fashion_mnist",
    "fetch_inpainting_pictures",
    "fetch_madonna",
    "fetch_mnist",
    "fetch_moffet",
    "fetch_movielens_100k",
    "fetch_synthetic",
    "load_synthetic",
    "make_missing",
]
