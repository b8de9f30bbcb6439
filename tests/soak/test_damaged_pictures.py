"""Damaged pictures, read in a process of their own with little memory: refused in one line, or read; nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.soak, pytest.mark.skipif(os.name == "nt", reason="memory limits of POSIX")]

# One process tries many inputs of one kind, so that a death, a leak or a traceback is seen from outside.
_TRIALS = """
import io, os, pathlib, resource, struct, sys, tempfile, time
import numpy as np, tifffile
from PIL import Image
from click.testing import CliRunner
from advnmf.cli.app import program
from advnmf.io.files import FileError
from advnmf.io.pictures import png16, read_mask, read_picture

kind, seconds, seed, most = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng([seed, len(kind), *kind.encode()])

def pillow(array, name, **options):
    stream = io.BytesIO(); Image.fromarray(array).save(stream, name, **options); return stream.getvalue()

def tiff(array, **options):
    stream = io.BytesIO(); tifffile.imwrite(stream, array, **options); return stream.getvalue()

def samples(dtype, channels):
    return rng.integers(0, 200, (24, 30, channels)).astype(dtype).squeeze()

def good():
    if kind == "png8": return pillow(samples("u1", rng.choice([1, 3, 4])), "PNG")
    if kind == "png16": return png16.encode(samples("u2", rng.choice([1, 3])))
    if kind == "jpeg": return pillow(samples("u1", rng.choice([1, 3])), "JPEG", dpi=(72, 72))
    if kind == "webp": return pillow(samples("u1", 3), "WEBP", lossless=bool(rng.integers(2)))
    if kind == "bmp": return pillow(samples("u1", rng.choice([1, 3])), "BMP")
    if kind == "mask": return pillow(np.uint8(rng.random((24, 30)) > 0.3) * 255, "PNG")
    i = rng.integers(8)
    if i == 0: return tiff(samples("u1", 3), photometric="rgb", compression="zlib")
    if i == 1: return tiff(samples("u2", 4), photometric="rgb", extrasamples=["unspecified"])
    if i == 2: return tiff(samples("f4", 1), bigtiff=True)
    if i == 3: return tiff(np.stack([samples("u1", 1)] * 4), photometric="minisblack")
    if i == 4: return tiff(samples("i2", 1), tile=(16, 16), extratags=[(42113, 2, 5, "-999", True)])
    if i == 5: return pillow(samples("u1", 3), "TIFF", compression="tiff_lzw")
    if i == 6: return pillow(samples("u1", 3), "TIFF", compression="jpeg")
    return tiff(samples("u1", 3).transpose(2, 0, 1), photometric="rgb", planarconfig="separate")

def damaged(data):
    data = bytearray(data)
    head = 120 if rng.integers(2) else len(data)
    if kind in ("png8", "png16", "mask") and rng.integers(2):  # a header that makes sense and does not fit
        fields = [1, 24, 30, 65535], [1, 24, 30], [1, 8, 16], [0, 2, 3, 4, 6], [0], [0], [0, 1]
        values = [int(rng.choice(choice)) for choice in fields]
        data[16:29] = struct.pack(">IIBBBBB", *values)
        repair(data)
        return bytes(data)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(0, min(head, len(data))))
        how = rng.integers(5)
        if how == 0: data[at] ^= 1 << int(rng.integers(8))
        elif how == 1: data[at] = int(rng.integers(256))
        elif how == 2: data[at:at + 4] = struct.pack("<I", int(rng.choice([0, 1, 65535, 2**31 - 1, 2**32 - 1, 30000])))
        elif how == 3: del data[at:]
        else: data[at:at] = bytes(rng.integers(0, 256, int(rng.integers(1, 9)), np.uint8))
        if not data: data = bytearray(b"x")
    if kind in ("png8", "png16", "mask") and rng.integers(2):
        repair(data)
    return bytes(data)

def repair(data):  # a right checksum lets the damage through to the decoder
    import zlib
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at:at + 4])
        if at + 12 + length > len(data): return
        data[at + 8 + length:at + 12 + length] = struct.pack(">I", zlib.crc32(data[at + 4:at + 8 + length]))
        at += 12 + length

folder = pathlib.Path(tempfile.mkdtemp(dir=sys.argv[5])); os.chdir(folder)
name = {"png8": "a.png", "png16": "a.png", "jpeg": "a.jpg", "mask": "m.png"}.get(kind, "a.tif")
pathlib.Path("good.png").write_bytes(pillow(samples("u1", 3), "PNG"))
mask = Image.fromarray(np.uint8(rng.random((24, 30)) > 0.2) * 255); mask.save("good-mask.png")
png16.decode(png16.encode(np.ones((2, 2), "u2")))  # compiled before memory is limited
usage = lambda: int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
if pathlib.Path("/proc/self/statm").exists():
    resource.setrlimit(resource.RLIMIT_AS, (usage() + 1_000_000_000,) * 2)
began, n, read, commands, slowest = time.monotonic(), 0, 0, 0, 0.0
while n < most and (time.monotonic() - began < seconds):
    n += 1
    data = damaged(good()); path = folder / name; path.write_bytes(data)
    started = time.monotonic()
    try:
        (read_mask(path, polarity="white-missing") if kind == "mask" else read_picture(path)); read += 1
    except FileError as error:
        text = str(error)
        if not all(c.isprintable() for c in text): raise SystemExit(f"not printable: {text!r} trial {n}")
        if "takes more memory than there is" in text: raise SystemExit(f"memory: {text!r} trial {n}")
    except BaseException as error:
        (folder.parent / f"failed-{kind}").write_bytes(data)
        raise SystemExit(f"{type(error).__name__}: {error} trial {n}")
    slowest = max(slowest, time.monotonic() - started)
    if n % 20 == 0:
        commands += 1
        source, m = ("good.png", name) if kind == "mask" else (name, "good-mask.png")
        fast = ["--rank", "1", "--max-iter", "3", "--force"]
        result = CliRunner().invoke(program, ["inpaint", source, "out.tif", "--mask", m, *fast])
        if result.exit_code not in (0, 2) or "Traceback" in result.output or "unexpected" in result.output:
            (folder.parent / f"failed-{kind}").write_bytes(data)
            raise SystemExit(f"rc {result.exit_code}: {result.output[-500:]} trial {n}")
        if result.exit_code == 0: read_picture("out.tif")
        extra = set(os.listdir()) - {name, "good.png", "good-mask.png", "out.tif"}
        if extra: raise SystemExit(f"left over: {extra}")
        pathlib.Path("out.tif").unlink(missing_ok=True)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(f"{kind}: {n} inputs, {read} read, {commands} commands, slowest {slowest:.2f} s, peak {peak} MB")
"""

KINDS = ("png8", "png16", "jpeg", "tiff", "webp", "bmp", "mask")


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_pictures_are_refused_or_read(kind, budget, tmp_path):
    """No death, no traceback, no more than a gigabyte, no half-written output."""
    seconds = max(budget.left(), 1.0)
    command = [sys.executable, "-c", _TRIALS, kind, str(seconds), str(budget.seed), "1000000", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, check=False)
    assert result.returncode == 0, (result.returncode, result.stdout[-500:], result.stderr[-3000:])
    print(result.stdout, list(Path(tmp_path).glob("failed-*")))
