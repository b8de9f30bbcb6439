"""TIFF pictures: every declared channel and page, any sample type, with the tags that say what the picture shows.

TIFF 6.0, section 18 (ExtraSamples): 0 is a channel of data, 1 premultiplied alpha, 2 alpha. Nothing is guessed:
a fourth channel without a declaration is data.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..files import FileError, require

#: Resolution, description, software, date, artist, copyright, XMP, GeoTIFF reference, GDAL's metadata and nodata.
KEPT_TAGS = (270, 282, 283, 296, 305, 306, 315, 33432, 700, 33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)
#: The place of the pixels on the map: wrong once a picture is turned.
_PLACE = (33550, 33922, 34264)
_LOST_TAGS = {34665: "EXIF", 34853: "GPS", 34377: "Photoshop data"}
_MOST_PAGES = 10_000
_NODATA, _ORIENTATION, _PROFILE = 42113, 274, 34675
_TILES = {"MINISBLACK", "MINISWHITE", "RGB"}


@dataclass
class TiffContent:
    """What a TIFF file holds, before it is turned: samples of shape (height, width, channels)."""

    samples: np.ndarray
    n_colors: int
    alpha: int | None  # the channel that is alpha
    premultiplied: bool
    pages: int
    orientation: int
    profile: bytes | None
    tags: list[tuple[Any, ...]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    nodata: float | None = None


class ForPillow(Exception):
    """Colours or a compression that tifffile does not decode by itself and Pillow decodes without loss."""


def read(path: object, data: bytes, check: Any) -> TiffContent:
    """The full-size pages of a file; ``check(width, height, bytes per pixel)`` may refuse their size.

    Raises `ForPillow` where Pillow has to read it, FileError (one line) where neither can.
    """
    with require("tifffile", "image").TiffFile(io.BytesIO(data)) as file:
        pages, skipped = _full_size(path, file)
        page = pages[0]
        _check_kind(path, page, len(pages))
        check(page.imagewidth, page.imagelength, page.samplesperpixel * page.dtype.itemsize * len(pages))
        samples = np.concatenate([_samples(path, one) for one in pages], axis=2)
        extras = [int(extra) for extra in page.extrasamples]
        content = TiffContent(
            samples,
            n_colors=3 if page.photometric.name == "RGB" and len(pages) == 1 else 1,
            alpha=_alpha(path, extras, page.samplesperpixel, len(pages)),
            premultiplied=1 in extras,
            pages=len(pages),
            orientation=int(_tag(page, _ORIENTATION, 1)),
            profile=_tag(page, _PROFILE, None),
            nodata=_number(_tag(page, _NODATA, None)),
            lost=[f"{skipped} overviews"] if skipped else [],
        )
        _keep_tags(page, content)
    return content


def _full_size(path: object, file: Any) -> tuple[list[Any], int]:
    n_pages = len(file.pages)
    if n_pages > _MOST_PAGES:
        raise FileError(f"{path} holds {n_pages} pictures, more than {_MOST_PAGES}: split the file")
    every = [file.pages[i].aspage() for i in range(n_pages)]
    pages = [page for page in every if int(_tag(page, 254, 0)) & 5 == 0]
    if not pages:
        raise FileError(f"{path} is a TIFF file without a picture of full size")
    kinds = {(page.shape, page.dtype, page.photometric) for page in pages}
    if len(kinds) > 1:
        raise FileError(f"{path} holds {len(pages)} pictures of different kinds; save the one you mean by itself")
    return pages, n_pages - len(pages)


def _check_kind(path: object, page: Any, n_pages: int) -> None:
    colors, dtype = page.photometric.name, page.dtype
    if dtype is None or dtype.kind not in "buif" or page.bitspersample not in (1, 8, 16, 32, 64):
        raise FileError(
            f"{path}: TIFF samples of {page.bitspersample} bits are not read; save it with 8, 16 or 32 bits"
        )
    if colors not in _TILES:
        if dtype.itemsize == 1 and n_pages == 1 and colors in ("PALETTE", "YCBCR"):
            raise ForPillow
        raise FileError(f"{path}: TIFF pictures of kind {colors} are not read; convert it to grey or RGB")
    if page.axes not in ("YX", "YXS", "SYX"):
        raise FileError(f"{path}: a TIFF picture of layout {page.axes} is not read; save it as pages")


def _samples(path: object, page: Any) -> np.ndarray:
    try:
        samples = page.asarray()
    except (ValueError, ImportError) as error:
        if isinstance(error, ValueError) and "imagecodecs" not in str(error):
            raise
        return _by_pillow(path, page, error)
    if page.axes == "SYX":
        samples = np.moveaxis(samples, 0, 2)
    samples = samples.reshape(page.imagelength, page.imagewidth, -1)
    if samples.dtype == np.bool_:
        samples = samples.astype(np.uint8) * np.uint8(255)
    if page.photometric.name == "MINISWHITE" and samples.dtype.kind == "u":
        samples = np.iinfo(samples.dtype).max - samples
    return samples


def _by_pillow(path: object, page: Any, error: Exception) -> np.ndarray:
    """The samples of a page whose compression Pillow knows and whose samples it does not change."""
    Image = require("PIL.Image", "image")
    modes = {
        ("uint8", 1): ("L",),
        ("uint8", 3): ("RGB",),
        ("uint16", 1): ("I;16", "I;16B", "I;16L"),
        ("float32", 1): ("F",),
        ("int32", 1): ("I",),
        ("bool", 1): ("1",),
    }
    wanted = modes.get((page.dtype.name, page.samplesperpixel), ())
    if page.dtype == np.uint8 and page.samplesperpixel == 4 and [int(x) for x in page.extrasamples] == [2]:
        wanted = ("RGBA",)
    variant = f"{page.compression.name} compression of {page.samplesperpixel} x {page.dtype} samples"
    page.parent.filehandle.seek(0)
    try:
        if not wanted:
            raise ValueError
        with Image.open(io.BytesIO(page.parent.filehandle.read()), formats=["TIFF"]) as image:
            image.seek(page.index)
            if image.mode not in wanted:
                raise ValueError
            samples = np.asarray(image.convert("L") if image.mode == "1" else image)
    except Exception:
        raise FileError(
            f"{path}: {variant} is not read without imagecodecs: pip install imagecodecs, or save it with deflate"
        ) from error
    return samples.astype(samples.dtype.newbyteorder("=")).reshape(page.imagelength, page.imagewidth, -1)


def _alpha(path: object, extras: list[int], n_samples: int, n_pages: int) -> int | None:
    alphas = [n_samples - len(extras) + i for i, extra in enumerate(extras) if extra in (1, 2)]
    if len(alphas) > 1 or (alphas and n_pages > 1):
        raise FileError(f"{path}: several alpha channels are not read; save one page with one alpha channel")
    return alphas[0] if alphas else None


def _tag(page: Any, code: int, default: Any) -> Any:
    tag = page.tags.get(code)
    return default if tag is None else tag.value


def _number(text: Any) -> float | None:
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None


def _keep_tags(page: Any, content: TiffContent) -> None:
    """Fill `tags` with those that can be written again, `lost` with the names of the others."""
    turned = content.orientation != 1
    for code in KEPT_TAGS:
        tag = page.tags.get(code)
        if (
            tag is None
            or (code == 270 and str(tag.value).startswith('{"shape"'))
            or (code == 305 and tag.value == "tifffile.py")
        ):
            continue
        extra = (code, int(tag.dtype), tag.count, tag.value, True)
        if (turned and code in _PLACE) or not _writable(extra):
            content.lost.append("georeference" if code in _PLACE else f"tag {code}")
        else:
            content.tags.append(extra)
    content.lost += [name for code, name in _LOST_TAGS.items() if code in page.tags]


def _writable(tag: tuple[Any, ...]) -> bool:
    try:
        encode(np.zeros((1, 1), np.uint8), tags=[tag])
    except Exception:
        return False
    return True


def encode(
    samples: np.ndarray,
    *,
    n_colors: int = 1,
    extras: list[str] | None = None,
    profile: bytes | None = None,
    pages: int = 1,
    tags: list[tuple[Any, ...]] | tuple[tuple[Any, ...], ...] = (),
) -> bytes:
    """The bytes of a TIFF file with samples (height, width[, channels]), their channels spread over pages."""
    if pages > 1:
        height, width = samples.shape[:2]
        samples = samples.reshape(height, width, pages, -1).transpose(2, 0, 1, 3)
        samples = samples[..., 0] if samples.shape[3] == 1 else samples
    known = {tag[0]: tag[3] for tag in tags}
    options: dict[str, Any] = {}
    if {282, 283} <= known.keys():
        options["resolution"] = (_ratio(known[282]), _ratio(known[283]))
        options["resolutionunit"] = int(known.get(296, 2))
    stream = io.BytesIO()
    per_page = samples.ndim == (3 if pages == 1 else 4)
    require("tifffile", "image").imwrite(
        stream,
        samples,
        photometric="rgb" if n_colors == 3 else "minisblack",
        planarconfig="contig" if per_page else None,
        extrasamples=extras or None,
        compression="zlib",
        iccprofile=profile,
        metadata=None,
        description=known.get(270),
        software=known.get(305, False),
        extratags=[tag for tag in tags if tag[0] not in (270, 282, 283, 296, 305)],
        **options,
    )
    return stream.getvalue()


def _ratio(value: Any) -> tuple[int, int]:
    numerator, denominator = value
    return int(numerator), int(denominator)
