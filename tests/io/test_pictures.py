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

from advnmf.io.files import FileError
from advnmf.io.pictures import (
    Picture,
    check_picture_target,
    color_mask,
    fold,
    mask_of,
    near_color,
    not_kept,
    parse_color,
    png16,
    read_mask,
    read_picture,
    unfold,
    write_picture,
)
from advnmf.io.pictures.masks import grow

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


# --- channels, pages, types ---------------------------------------------------------------------------------


def read_back(tmp_path, array, **options):
    """A TIFF file of an array: what is read, and what is read of what is written of it."""
    tifffile.imwrite(tmp_path / "in.tif", array, **options)
    first = read_picture(tmp_path / "in.tif")
    write_picture(tmp_path / "out.tif", first, overwrite=True)
    return first, read_picture(tmp_path / "out.tif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("extras", [["unspecified"], ["unspecified", "unassalpha"], ["unassalpha", "unspecified"]])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_a_channel_is_what_the_file_declares(tmp_path, dtype, extras, photometric):
    colors = 3 if photometric == "rgb" else 1
    image = pixels(dtype, colors + len(extras))
    first, back = read_back(tmp_path, image, photometric=photometric, extrasamples=extras, planarconfig="contig")
    alpha = [colors + i for i, extra in enumerate(extras) if extra == "unassalpha"]
    for picture in (first, back):
        np.testing.assert_array_equal(picture.pixels, np.delete(image, alpha, axis=2).squeeze())
        assert picture.colors == colors
        assert (picture.alpha is None) == (not alpha)
        if alpha:
            np.testing.assert_array_equal(picture.alpha, image[:, :, alpha[0]])
    with pytest.raises(FileError, match=r"cannot hold .* more channel"):
        write_picture(tmp_path / "a.png", first)


def test_premultiplied_samples_stay_as_they_are(tmp_path):
    image = pixels(np.uint8, 4)
    for picture in read_back(tmp_path, image, photometric="rgb", extrasamples=["assocalpha"]):
        np.testing.assert_array_equal(np.dstack([picture.pixels, picture.alpha]), image)
        assert picture.premultiplied
    with pytest.raises(FileError, match="no premultiplied alpha"):
        write_picture(tmp_path / "a.png", picture)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint32, np.int8])
def test_any_number_type_comes_back_bit_for_bit(tmp_path, dtype):
    image = (RNG.normal(size=(5, 7)) * 50).astype(dtype)
    for picture in read_back(tmp_path, image):
        assert picture.pixels.dtype == dtype
        np.testing.assert_array_equal(picture.pixels, image)
    np.testing.assert_allclose(picture.from_unit(picture.to_unit()), image, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 5, 7), (4, 5, 7, 3)])
def test_a_stack_is_a_stack(tmp_path, shape):
    stack = RNG.integers(0, 256, shape).astype(np.uint8)
    options = {"photometric": "rgb" if len(shape) == 4 else "minisblack", "metadata": None}
    first, back = read_back(tmp_path, stack, **options)
    np.testing.assert_array_equal(back.pixels, first.pixels)
    assert back.pages == 4
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif").reshape(shape), stack)


def test_bigtiff_and_overviews(tmp_path):
    image = pixels(np.uint16, 1, 40, 60)
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=True) as file:
        file.write(image, tile=(16, 16), metadata=None)
        file.write(image[::2, ::2], subfiletype=1, metadata=None)
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, image)
    assert picture.lost == ("1 overviews",)


def test_lzw_by_pillow(tmp_path):
    deep, image = pixels(np.uint16, 1), pixels(np.uint8, 3)
    Image.fromarray(deep).save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, deep)
    Image.fromarray(image).save(tmp_path / "b.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read_picture(tmp_path / "b.tif").pixels, image)


def test_pages_that_differ_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(pixels(np.uint8, 1))
        file.write(pixels(np.uint8, 1, 9, 9))
    with pytest.raises(FileError, match="holds 2 pictures of different kinds"):
        read_picture(tmp_path / "a.tif")


def test_georeference_nodata_and_resolution_are_kept(tmp_path):
    scale, tie, keys = (10.0, 10.0, 0.0), (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), (1, 1, 0, 1, 3072, 0, 1, 32632)
    tags = [
        (33550, 12, 3, scale, True),
        (33922, 12, 6, tie, True),
        (34735, 3, 8, keys, True),
        (42113, 2, 5, "-999", True),
    ]
    image = np.arange(35, dtype=np.int16).reshape(5, 7)
    image[2, 3] = -999
    for picture in read_back(tmp_path, image, extratags=tags, resolution=(300, 300), description="field"):
        assert np.argwhere(picture.empty).tolist() == [[2, 3]]
        assert not picture.lost
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        kept = {tag.code: tag.value for tag in file.pages[0].tags}
    assert (kept[33550], kept[33922], kept[34735], kept[42113]) == (scale, tie, keys, "-999")
    assert (kept[282], kept[270]) == ((300, 1), "field")
    low, high = picture._limits()
    assert (low, high) == (0, 34)  # nodata is no value


def test_notes_of_a_photograph(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    image = pixels(np.uint8, 3)
    Image.fromarray(image).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300), comment=b"hello")
    picture = read_picture(tmp_path / "a.jpg")
    for name in ("b.jpg", "b.png"):
        write_picture(tmp_path / name, picture)
        with Image.open(tmp_path / name) as back:
            assert back.getexif().get(0x010F) == "maker"
            assert back.getexif().get(0x0112, 1) == 1  # it is turned already
            assert back.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert not_kept(picture, "b.jpg") == ["text"]
    assert not_kept(picture, "b.png") == []
    assert not_kept(picture, "b.tif") == ["exif", "text"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_texts_of_a_png(tmp_path, dtype):
    write_picture(tmp_path / "a.png", Picture(pixels(dtype, 3), notes={"text": {"Title": "näme"}, "dpi": (72.0, 72.0)}))
    picture = read_picture(tmp_path / "a.png")
    assert picture.notes["text"] == {"Title": "näme"}
    assert picture.notes["dpi"] == pytest.approx((72, 72), abs=0.1)


def test_webp_and_bmp_are_read(tmp_path):
    image = pixels(np.uint8, 3)
    np.testing.assert_array_equal(read_picture(save(tmp_path / "a", encoded(image, "BMP"))).pixels, image)
    np.testing.assert_array_equal(
        read_picture(save(tmp_path / "a", encoded(image, "WEBP", lossless=True))).pixels, image
    )


# --- memory -------------------------------------------------------------------------------------------------


def small_bomb(kind):
    if kind == "png":
        stream = io.BytesIO()
        Image.new("L", (9000, 9000)).save(stream, "PNG")
        return stream.getvalue()
    data = bytearray(tiff(np.zeros((1, 1), np.uint8), metadata=None))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for code in (256, 257):
            at = file.pages[0].tags[code].valueoffset
            data[at : at + 2] = struct.pack("<H", 9000)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_what_unpacks_to_far_more_is_refused_before_it_is_unpacked(tmp_path, kind, monkeypatch):
    path = save(tmp_path / "bomb", small_bomb(kind))
    monkeypatch.setattr("tifffile.TiffPage.asarray", lambda *_: pytest.fail("unpacked"))
    monkeypatch.setattr("PIL.ImageOps.exif_transpose", lambda *_: pytest.fail("unpacked"))
    for limit in (None, 100_000_000):
        with pytest.raises(FileError, match="--max-memory") as caught:
            read_picture(path, max_pixels=10**9, max_memory=limit)
        assert "\n" not in str(caught.value)


# --- what a mask means --------------------------------------------------------------------------------------

STROKES = np.zeros((20, 30), bool)
STROKES[5:8, 4:25] = True
STROKES[12:15, 2:20] = True
MANY = np.random.default_rng(1).random((20, 30)) < 0.8
PHOTO = np.random.default_rng(2).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def level(missing, polarity):
    white = missing if polarity == "white-missing" else ~missing
    return Picture(np.where(white, 255, 0).astype(np.uint8), path="m.png")


@pytest.mark.parametrize("missing", [STROKES, MANY], ids=["strokes", "most"])
@pytest.mark.parametrize("polarity", ["white-observed", "white-missing"])
@pytest.mark.parametrize("paint", [0, 255, 90])
@pytest.mark.parametrize("noise", [0, 4])
def test_holes_painted_in_one_colour_tell_the_polarity(missing, polarity, paint, noise):
    image = PHOTO.astype(int)
    image[missing] = paint + RNG.integers(-noise, noise + 1, (missing.sum(), 3))
    image = np.clip(image, 0, 255).astype(np.uint8)
    observed, words = mask_of(level(missing, polarity), pixels=image)
    np.testing.assert_array_equal(observed, ~missing)
    assert polarity in words


def test_a_mask_by_which_most_is_missing_is_asked_for():
    usual = mask_of(level(STROKES, "white-observed"), pixels=PHOTO)[0]
    np.testing.assert_array_equal(usual, ~STROKES)
    for pixels_ in (PHOTO, None):
        with pytest.raises(
            FileError, match=r"white-observed \(81.*missing\) or white-missing \(19|white-missing \("
        ) as e:
            mask_of(level(STROKES, "white-missing"), pixels=pixels_)
        assert "--mask-polarity" in str(e.value)
    for polarity in ("white-observed", "white-missing"):  # told: used, whatever the share
        np.testing.assert_array_equal(mask_of(level(MANY, polarity), polarity=polarity, pixels=PHOTO)[0], ~MANY)


def test_the_wrong_polarity_is_used_but_warned_of():
    image = np.where(STROKES[:, :, None], np.uint8(255), PHOTO)
    observed, words = mask_of(level(STROKES, "white-missing"), polarity="white-observed", pixels=image)
    np.testing.assert_array_equal(observed, STROKES)
    assert words.startswith("Warning")
    assert "--mask-polarity white-missing" in words
    assert not mask_of(level(STROKES, "white-missing"), polarity="white-missing", pixels=image)[1].startswith("W")


def test_text_on_a_flat_page_is_no_painted_hole():
    few = np.zeros((60, 60), bool)
    few[20:22, 5:40] = True
    page = np.full((60, 60), 255, np.uint8)
    page[few] = RNG.integers(0, 255, few.sum())
    for polarity in ("white-observed", "white-missing"):
        with pytest.raises(FileError, match="is white observed, or missing"):
            mask_of(level(few, polarity), pixels=page)


@pytest.mark.parametrize(("high", "dtype"), [(1, np.uint8), (255, np.uint16), (100, np.uint8)])
def test_the_two_levels_of_a_mask_count(high, dtype):
    mask = Picture((STROKES * high).astype(dtype))
    np.testing.assert_array_equal(mask_of(mask, polarity="white-missing")[0], ~STROKES)
    np.testing.assert_array_equal(mask_of(mask, polarity="white-observed")[0], STROKES)


@pytest.mark.parametrize("color", [0, 255])
@pytest.mark.parametrize("polarity", [None, "white-observed", "white-missing"])
@pytest.mark.parametrize("cut_out", [False, True])
def test_a_mask_in_alpha(color, polarity, cut_out):
    alpha = np.where(cut_out != STROKES, 255, 0).astype(np.uint8)
    mask = Picture(np.full(STROKES.shape, color, np.uint8), alpha)
    np.testing.assert_array_equal(mask_of(mask, polarity=polarity)[0], ~STROKES)


@pytest.mark.parametrize("polarity", ["white-observed", "white-missing"])
def test_half_covered_edges_are_missing(polarity):
    mask = np.where(STROKES, 255, 0)
    mask[4, 4:25], mask[8, 4:25] = 200, 3
    mask = mask if polarity == "white-missing" else 255 - mask
    observed, _ = mask_of(Picture(mask.astype(np.uint8)), polarity=polarity)
    np.testing.assert_array_equal(observed, mask == (0 if polarity == "white-missing" else 255))


def test_jpg_masks_and_no_masks(tmp_path):
    Image.fromarray(np.where(STROKES, 0, 255).astype(np.uint8)).save(tmp_path / "m.jpg", quality=90)
    observed = read_mask(tmp_path / "m.jpg")
    assert not observed[STROKES].any()
    assert (~observed).sum() < 1.5 * STROKES.sum()
    with pytest.raises(FileError, match="is no mask"):
        mask_of(Picture(PHOTO))
    with pytest.raises(FileError, match="every pixel of the mask is 7"):
        mask_of(Picture(np.full((3, 3), 7, np.uint8)))


def test_masks_grow_in_discs():
    observed = np.ones((7, 7), bool)
    observed[3, 3] = False
    y, x = np.mgrid[:7, :7] - 3
    for radius in (0, 1, 2):
        np.testing.assert_array_equal(grow(observed, radius), y**2 + x**2 > radius**2)


def test_colours_of_a_jpg_are_found_with_their_blur(tmp_path):
    y, x = np.mgrid[:40, :60]
    image = np.dstack([40 + x, 120 + y, 60 + x // 2 + y // 2]).astype(np.uint8)
    original = image.astype(int)
    holes = np.zeros((40, 60), bool)
    holes[10:14, 10:20] = True
    image[holes] = (255, 0, 255)
    Image.fromarray(image).save(tmp_path / "a.jpg", quality=90)
    picture = read_picture(tmp_path / "a.jpg")
    observed = color_mask(picture, "magenta")
    assert not observed[holes].any()
    spread = np.abs(picture.pixels.astype(int) - original).max(axis=2)
    assert spread[observed].max() < 30 < spread[~observed].max()  # nothing that the colour has bled into is kept
    assert (~observed).sum() <= 16 * 10
    assert color_mask(
        picture, "magenta", tolerance=0 if (picture.pixels == (255, 0, 255)).all(axis=2).any() else 5
    ).sum() > (observed.sum())
    half = image.copy()
    half[9, 10:20] = image[9, 10:20] // 2 + np.array([127, 0, 127])
    half[9, 10:20] = (230, 40, 230)
    sharp = Picture(half)
    assert near_color(sharp, "magenta", color_mask(sharp, "magenta")) == 10
    assert color_mask(sharp, "magenta", tolerance=40).sum() == 2400 - 50
