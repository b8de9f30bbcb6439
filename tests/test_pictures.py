"""Pictures: no bit is lost, and what cannot be kept is refused in one line."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from advnmf.files import FileError
from advnmf.pictures import (
    Picture,
    check_picture_target,
    color_mask,
    fold,
    parse_color,
    png16,
    read_mask,
    read_picture,
    unfold,
    write_picture,
)

RNG = np.random.default_rng(0)


def pixels(dtype, channels, height=5, width=7):
    shape = (height, width) if channels == 1 else (height, width, channels)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def encoded(array, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **options)
    return stream.getvalue()


def save(path, content):
    path.write_bytes(content)
    return path


# --- the matrix of a picture --------------------------------------------------------------------------------


def test_channels_stand_side_by_side():
    image = pixels(np.uint8, 3)
    np.testing.assert_array_equal(unfold(image), np.hstack([image[:, :, 0], image[:, :, 1], image[:, :, 2]]))


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (1, 1, 3)])
def test_fold_undoes_unfold(shape):
    image = RNG.random(shape)
    np.testing.assert_array_equal(fold(unfold(image), shape), image)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="2 or 3 dimensions"):
        unfold(np.ones(3))
    with pytest.raises(ValueError, match="no picture of shape"):
        fold(np.ones((4, 5)), (4, 5, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_unit_scale_is_exact(dtype):
    peak = np.iinfo(dtype).max
    picture = Picture(np.arange(peak + 1, dtype=dtype)[None])
    np.testing.assert_array_equal(picture.from_unit(picture.to_unit()), picture.pixels)
    np.testing.assert_array_equal(picture.from_unit(np.array([-1.0, 2.0])), np.array([0, peak], dtype))


# --- round trips --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.TIF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_lossless_formats_keep_every_bit(tmp_path, name, dtype, channels, alpha):
    picture = Picture(pixels(dtype, channels), pixels(dtype, 1) if alpha else None, b"profile")
    write_picture(tmp_path / name, picture)
    back = read_picture(tmp_path / name)
    assert back.pixels.dtype == dtype
    np.testing.assert_array_equal(back.pixels, picture.pixels)
    assert (back.alpha is None) == (picture.alpha is None)
    if alpha:
        np.testing.assert_array_equal(back.alpha, picture.alpha)
    assert back.icc_profile == b"profile"


@pytest.mark.parametrize("channels", [1, 3])
def test_other_readers_agree(tmp_path, channels):
    deep, shallow = Picture(pixels(np.uint16, channels)), Picture(pixels(np.uint8, channels))
    write_picture(tmp_path / "a.tiff", deep)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tiff"), deep.pixels)
    write_picture(tmp_path / "b.tiff", shallow)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.tiff")), shallow.pixels)
    write_picture(tmp_path / "a.png", deep)
    seen = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(seen, deep.pixels if channels == 1 else deep.pixels >> 8)


def test_jpg_comes_close(tmp_path):
    image = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8) * 4
    write_picture(tmp_path / "a.jpg", Picture(image))
    assert np.abs(read_picture(tmp_path / "a.jpg").pixels.astype(int) - image).max() < 16


def paeth_png(samples):
    """A 16-bit RGB PNG with every filter in turn, by the text of the standard."""
    height, width, channels = samples.shape
    lines = samples.astype(">u2").view(np.uint8).reshape(height, -1).astype(int)
    step, body = 2 * channels, b""
    for y, line in enumerate(lines):
        above = lines[y - 1] if y else np.zeros_like(line)
        left = np.concatenate([np.zeros(step, int), line[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        p = left + above - corner
        distances = np.stack([abs(p - left), abs(p - above), abs(p - corner)])
        paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
        guess = [np.zeros_like(line), left, above, (left + above) // 2, paeth][y % 5]
        body += bytes([y % 5]) + ((line - guess) % 256).astype(np.uint8).tobytes()

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    packed = zlib.compress(body)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", packed[:50])
        + chunk(b"IDAT", packed[50:])
        + chunk(b"IEND", b"")
    )


def test_all_png_filters():
    samples = pixels(np.uint16, 3, 15, 9)
    np.testing.assert_array_equal(png16.decode(paeth_png(samples)), samples)


@settings(deadline=None)  # the first example compiles
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
def test_png16_undoes_itself(channels, height, width):
    samples = RNG.integers(0, 65536, (height, width, channels)).astype(np.uint16)
    np.testing.assert_array_equal(png16.decode(png16.encode(samples)), samples)


# --- kinds of pictures --------------------------------------------------------------------------------------


def test_palette_and_one_bit_pictures(tmp_path):
    image = pixels(np.uint8, 3) // 128 * 255
    stream = io.BytesIO()
    Image.fromarray(image).convert("P", palette=Image.Palette.ADAPTIVE).save(stream, "PNG")
    np.testing.assert_array_equal(read_picture(save(tmp_path / "p.png", stream.getvalue())).pixels, image)
    bits = pixels(np.uint8, 1) > 127
    bilevel = read_picture(save(tmp_path / "b.png", encoded(bits))).pixels
    np.testing.assert_array_equal(bilevel, np.where(bits, 255, 0))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_as_displayed(tmp_path, orientation):
    image = pixels(np.uint8, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = read_picture(save(tmp_path / "a.png", encoded(image, exif=exif))).pixels
    deep = image.astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tiff", deep, photometric="rgb", extratags=[(0x0112, 3, 1, orientation, True)])
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tiff").pixels, shown)
    assert shown.shape == ((5, 7, 3) if orientation < 5 else (7, 5, 3))
    assert np.array_equal(shown, image) == (orientation == 1)


def test_planes_and_inverted_tiffs(tmp_path):
    image = pixels(np.uint16, 3)
    tifffile.imwrite(tmp_path / "a.tiff", image.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tiff").pixels, image)
    tifffile.imwrite(tmp_path / "b.tiff", image[:, :, 0], photometric="miniswhite")
    np.testing.assert_array_equal(read_picture(tmp_path / "b.tiff").pixels, 65535 - image[:, :, 0])


def test_content_counts_not_the_name(tmp_path):
    image = pixels(np.uint8, 3)
    np.testing.assert_array_equal(read_picture(save(tmp_path / "a.jpg", encoded(image))).pixels, image)


def frames():
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels(np.uint8, 1)[None].repeat(3, 0), photometric="minisblack")
    return stream.getvalue()


def tiff(array, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


LARGE = encoded(pixels(np.uint8, 3, 40, 40))
DEEP = png16.encode(pixels(np.uint16, 3, 40, 40))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"some text\n", "is no png, jpg, tiff, webp or bmp picture"),
        (b"GIF89a....", "it is a GIF"),
        (LARGE[: len(LARGE) // 2], "not a readable PNG"),
        (LARGE[:20], "not a readable PNG"),
        (DEEP[: len(DEEP) // 2], "not a readable PNG picture: it is truncated"),
        (DEEP[:100] + bytes([DEEP[100] ^ 1]) + DEEP[101:], "a checksum is wrong"),
        (encoded(pixels(np.uint8, 3, 99, 99), "JPEG")[:2000], "not a readable JPEG"),
        (tiff(pixels(np.uint16, 3, 40, 40))[:900], "not a readable TIFF"),
        (tiff(np.ones((3, 3), np.complex64)), "64 bits are not read|not read"),
        (encoded(np.zeros((3, 3, 4), np.uint8), "PNG")[:8] + b"x" * 50, "not a readable PNG"),
    ],
)
def test_wrong_pictures(tmp_path, content, words):
    with pytest.raises(FileError, match=words) as caught:
        read_picture(save(tmp_path / "a.png", content))
    assert "\n" not in str(caught.value)


def test_cmyk_is_refused(tmp_path):
    Image.fromarray(pixels(np.uint8, 4)).convert("CMYK").save(tmp_path / "a.jpg")
    with pytest.raises(FileError, match="kind CMYK are not read"):
        read_picture(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.jpg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixel_limit(tmp_path, name, dtype):
    if name == "a.jpg" and dtype == np.uint16:
        pytest.skip("no 16-bit jpg")
    write_picture(tmp_path / name, Picture(pixels(dtype, 3)))
    assert read_picture(tmp_path / name, max_pixels=35).size == (5, 7)
    with pytest.raises(FileError, match="7 x 5 = 35 pixels, more than 34"):
        read_picture(tmp_path / name, max_pixels=34)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_bomb_is_not_unpacked(tmp_path, depth):
    """A header that promises 2.5 gigapixels."""
    good = bytearray(encoded(np.zeros((1, 1), np.uint8)) if depth == 8 else png16.encode(np.zeros((1, 1), np.uint16)))
    good[16:24] = struct.pack(">II", 50_000, 50_000)
    good[29:33] = struct.pack(">I", zlib.crc32(good[12:29]))
    with pytest.raises(FileError, match="pixels") as caught:
        read_picture(save(tmp_path / "a.png", bytes(good)))
    assert "\n" not in str(caught.value)


def test_what_jpg_cannot_hold(tmp_path):
    with pytest.raises(FileError, match="no alpha channel"):
        write_picture(tmp_path / "a.jpg", Picture(pixels(np.uint8, 3), pixels(np.uint8, 1)))
    with pytest.raises(FileError, match="8 bits, the picture 16"):
        check_picture_target(tmp_path / "a.jpg", Picture(pixels(np.uint16, 3)))
    with pytest.raises(FileError, match=r"must end in one of \.png"):
        check_picture_target(tmp_path / "a.gif", Picture(pixels(np.uint8, 3)))
    assert list(tmp_path.iterdir()) == []


# --- masks --------------------------------------------------------------------------------------------------

HOLES = np.array([[True, False, True], [False, True, True]])


@pytest.mark.parametrize(
    "mask",
    [
        HOLES,
        HOLES.astype(np.uint8) * 255,
        HOLES.astype(np.uint8) * 100 + 90,  # 90 is black, 190 white
        np.dstack([HOLES.astype(np.uint8) * 255] * 3),
        np.dstack([HOLES.astype(np.uint8) * 255] * 3 + [np.zeros((2, 3), np.uint8)]),
        HOLES.astype(np.uint16) * 65535,
    ],
)
def test_white_is_observed_or_missing(tmp_path, mask):
    path = save(tmp_path / "m.png", encoded(mask))
    np.testing.assert_array_equal(read_mask(path), HOLES)
    np.testing.assert_array_equal(read_mask(path, polarity="white-missing"), ~HOLES)


def test_wrong_masks(tmp_path):
    path = save(tmp_path / "m.png", encoded(HOLES))
    with pytest.raises(FileError, match=r"mask has 3 x 2 pixels \(width x height\), the picture 2 x 3"):
        read_mask(path, size=(3, 2))
    with pytest.raises(ValueError, match="polarity must be"):
        read_mask(path, polarity="black")


def test_colours():
    color = Picture(np.zeros((1, 1, 3), np.uint8))
    deep = Picture(np.zeros((1, 1, 3), np.uint16))
    grey = Picture(np.zeros((1, 1), np.uint8))
    assert parse_color("#ff00ff", color).tolist() == [255, 0, 255]
    assert parse_color("magenta", deep).tolist() == [65535, 0, 65535]
    assert parse_color("1, 2,3", color).tolist() == [1, 2, 3]
    assert parse_color("1000", deep).tolist() == [1000] * 3
    assert parse_color("white", grey).tolist() == [255]
    for text, picture, words in (
        ("red", grey, "is grey"),
        ("256", color, "from 0 to 255"),
        ("1,2", color, "one or three numbers"),
        ("nonsense", color, "is no colour: give a name"),
    ):
        with pytest.raises(FileError, match=words):
            parse_color(text, picture)


def test_pixels_of_a_colour_are_missing():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 1] = (255, 0, 255)
    image[1, 1] = (255, 0, 254)
    observed = color_mask(Picture(image), "#ff00ff")
    np.testing.assert_array_equal(observed, [[True, False], [True, True]])
    with pytest.raises(FileError, match="no pixel of exactly the colour 'red'"):
        color_mask(Picture(image), "red")
