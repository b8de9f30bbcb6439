"""Data sets of small grey pictures: one picture a row."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.utils import Bunch, check_random_state

from ..io.files import FileError, reason, replacing, require
from . import matfiles
from .fetching import cache_folder, fetch, local

_CBCL = """CBCL faces: 2429 grey pictures of 19 x 19 pixels, collected at MIT, with the seven masks of the
AT-NMF study that miss 30 % to 90 % at random.
Prepared as {preparation!r}: {words}
Source of the pictures: data/CBCL_Face.mat of https://github.com/hiroyuki-kasai/NMFLibrary, of the masks:
https://github.com/caiting123321/AT_NMF. The pictures are for research only; nothing is redistributed."""
_CBCL_WORDS = {
    "study": "each face shifted and scaled to mean 0.25 and\nsample standard deviation 0.25, then clipped to 0 ... 1. "
    "With it a cost that the study's notebook prints comes out to all its digits.",
    "raw": "grey levels from 0 (black) to less than 1, as in the file but for its polarity, which is the opposite.",
}
_MNIST = """{name}: {n} pictures of {what}, 28 x 28 pixels, grey levels / 255, out of subset {subset!r}
(at random, unless n_samples=None); `target` has their classes 0 to 9. The studies took 1000 random ones of all 70000;
which ones is not known.
Source: {source}"""
_MNIST_SOURCES = {
    "mnist": ("MNIST", "handwritten digits", "Y. LeCun, C. Cortes, C. Burges; copy at https://github.com/fgnt/mnist."),
    "fashion-mnist": (
        "Fashion-MNIST",
        "articles of clothing",
        "Zalando Research, https://github.com/zalandoresearch/fashion-mnist (MIT licence).",
    ),
}
_SUBSETS = {"train": ("train",), "test": ("t10k",), "all": ("train", "t10k")}
_COCO = """MS-COCO 2017: the 5000 pictures of the validation set, by file name, each turned to grey (ITU-R 601),
resized to 64 x 64 pixels (bicubic, proportions not kept) and divided by 255. The study tells the size, not the
filter nor the scale.
Source: https://cocodataset.org; the pictures are under the terms of Flickr and of their authors; nothing is
redistributed."""
_COCO_ARCHIVE = "coco2017/val2017.zip"
_COCO_PICTURES, _COCO_SIZE = 5000, 64
#: What is kept of the archive of MS-COCO 2017.
COCO_EXTRACT = "coco2017/val2017-grey64.npy"

Subset = Literal["train", "test", "all"]


def fetch_cbcl(*, preparation: Literal["study", "raw"] = "study") -> Bunch:
    """CBCL faces, 2429 x 361, and the masks of the AT-NMF study.

    With x the grey levels of a face, mean m and sample standard deviation s over its 361 pixels:

        study: clip(0.25 + 0.25 (x - m) / s, 0, 1)          raw: x

    Parameters
    ----------
    preparation : "study" or "raw"

    Returns
    -------
    Bunch
        ``X``, ``masks``, ``image_shape``, ``DESCR``.  The file has the pixels of a face column by column; here
        they are row by row, so that ``X[i].reshape(image_shape)`` is a face.
    """
    if preparation not in _CBCL_WORDS:
        raise ValueError(f"preparation must be 'study' or 'raw', not {preparation!r}")
    X = _upright(1.0 - matfiles.matrix("cbcl/CBCL_Face.mat").T)
    if preparation == "study":
        mean, std = X.mean(axis=1, keepdims=True), X.std(axis=1, ddof=1, keepdims=True)
        X = np.clip(0.25 + 0.25 * (X - mean) / std, 0.0, 1.0)
    masks = {fraction: _upright(mask) for fraction, mask in matfiles.masks("cbcl").items()}
    descr = _CBCL.format(preparation=preparation, words=_CBCL_WORDS[preparation])
    return Bunch(X=X, masks=masks, image_shape=(19, 19), DESCR=descr)


def _upright(faces: np.ndarray) -> np.ndarray:
    """Faces whose pixels stand column by column, row by row."""
    return faces.reshape(-1, 19, 19).transpose(0, 2, 1).reshape(-1, 361)


def fetch_mnist(
    n_samples: int | None = 1000,
    *,
    subset: Subset = "test",
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Handwritten digits, n_samples x 784, values from 0 to 1.

    Parameters
    ----------
    n_samples : int or None
        How many are drawn at random, without replacement; None: all, in the order of the files.
    subset : "train" (60000), "test" (10000) or "all"
        Which are drawn from.
    random_state : int, RandomState or None
        The same number gives the same pictures.

    Returns
    -------
    Bunch
        ``X``, ``target`` (0 to 9), ``image_shape``, ``masks`` (empty), ``DESCR``.
    """
    return _mnist("mnist", n_samples, subset, random_state)


def fetch_fashion_mnist(
    n_samples: int | None = 1000,
    *,
    subset: Subset = "test",
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Articles of clothing, n_samples x 784, values from 0 to 1.  Arguments and result as in `fetch_mnist`."""
    return _mnist("fashion-mnist", n_samples, subset, random_state)


def _mnist(
    folder: str, n_samples: int | None, subset: Subset, random_state: int | np.random.RandomState | None
) -> Bunch:
    if subset not in _SUBSETS:
        raise ValueError(f"subset must be one of {', '.join(map(repr, _SUBSETS))}, not {subset!r}")
    parts = [f"{folder}/{part}" for part in _SUBSETS[subset]]
    images = np.concatenate([_idx(fetch(f"{part}-images-idx3-ubyte.gz")) for part in parts])
    labels = np.concatenate([_idx(fetch(f"{part}-labels-idx1-ubyte.gz")) for part in parts])
    if n_samples is not None:
        if not 1 <= n_samples <= len(images):
            raise ValueError(f"n_samples must be from 1 to {len(images)} or None, not {n_samples}")
        chosen = check_random_state(random_state).choice(len(images), n_samples, replace=False)
        images, labels = images[chosen], labels[chosen]
    name, what, source = _MNIST_SOURCES[folder]
    descr = _MNIST.format(name=name, n=len(images), what=what, subset=subset, source=source)
    X = images.reshape(len(images), -1) / 255.0
    return Bunch(X=X, target=labels, masks={}, image_shape=images.shape[1:], DESCR=descr)


def _idx(file: Path) -> np.ndarray:
    """The array in a gzipped IDX file of bytes: two zeros, 8, number of axes n, n big-endian sizes, the bytes."""
    data = gzip.decompress(file.read_bytes())
    n_axes = data[3]
    shape = np.frombuffer(data, ">u4", n_axes, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def fetch_coco2017() -> Bunch:
    """The 5000 validation pictures of MS-COCO 2017, 5000 x 4096, grey, float32 from 0 to 1.

    The archive, 816 MB, is fetched once and read picture by picture (this needs Pillow: the image extra); what comes
    out, 20 MB, is kept in the cache, and the archive is removed from the cache again.

    Returns
    -------
    Bunch
        ``X``, ``image_shape``, ``masks`` (empty), ``DESCR``.
    """
    file = local(COCO_EXTRACT) or _coco_file()
    try:
        images = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise FileError(f"{file} cannot be read ({reason(error)}); remove it to have it made again") from error
    X = images / np.float32(255)
    return Bunch(X=X, masks={}, image_shape=(_COCO_SIZE, _COCO_SIZE), DESCR=_COCO)


def _coco_file() -> Path:
    """The pictures as an array file in the cache, made if need be."""
    file = cache_folder() / COCO_EXTRACT
    if not file.exists():
        require("PIL.Image", "image")  # to be known before 816 MB are on their way
        archive = fetch(_COCO_ARCHIVE)
        images = _coco_images(archive)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file, overwrite=True) as temporary:
            np.save(temporary, images)
        if local(_COCO_ARCHIVE) is None:
            archive.unlink()
    return file


def _coco_images(archive: Path) -> np.ndarray:
    Image = require("PIL.Image", "image")
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg"))
        if len(names) != _COCO_PICTURES:
            raise FileError(f"{archive} holds {len(names)} jpg pictures; {_COCO_PICTURES} were expected")
        images = np.empty((len(names), _COCO_SIZE**2), np.uint8)
        for i, name in enumerate(names):
            with Image.open(io.BytesIO(file.read(name))) as image:
                grey = image.convert("L").resize((_COCO_SIZE, _COCO_SIZE), Image.Resampling.BICUBIC)
            images[i] = np.asarray(grey).ravel()
    return images
