"""Damaged files of every format that is read: no process dies, no traceback, no gigabyte, no half-written output.

Each file is read, and written again with its holes filled, in a process of its own that can die without harm (the
files of one format share it until it does). ``pytest -m soak --soak-seconds 300 tests/soak/test_damaged_tables.py``.
"""

from __future__ import annotations

import io
import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

#: Inputs of each format, if the time is enough, and of these through the whole command line.
MOST, MOST_COMMANDS = 2000, 100
MOST_BYTES = 10**9
_SECONDS = 60  # for one input

# --- what is damaged ------------------------------------------------------------------------------------------------


def matrix(rng):
    """Values with holes, of some size and kind."""
    X = rng.random((int(rng.integers(2, 12)), int(rng.integers(2, 9)))) * 10.0 ** rng.integers(-3, 6)
    X[rng.random(X.shape) < 0.2] = np.nan
    return X


def text_table(rng, sign):
    """A table with a header, labels, a date, quotes and holes."""
    X = matrix(rng)
    cells = [[("" if np.isnan(x) else f"{x:.6g}") for x in row] for row in X]
    rows = [[f"s{i}", f"2020-01-{i + 1:02}", *row] for i, row in enumerate(cells)]
    if rng.random() < 0.3:
        rows = [[f'"{cell}"' for cell in row] for row in rows]
    head = ["id", "when", *(f"c{j}" for j in range(X.shape[1]))]
    end = str(rng.choice(["\n", "\r\n", "\r"]))
    return (end.join(map(sign.join, [head, *rows])) + end).encode()


def triplet_table(rng, sign):
    """A list of ratings."""
    rows = [f"u{i}{sign}x{j}{sign}{'' if rng.random() < 0.2 else i % 5}" for i in range(6) for j in range(5)]
    return "\n".join([f"user{sign}item{sign}rating", *rows]).encode()


def npy(rng):
    """An array of some type and order."""
    stream = io.BytesIO()
    X = matrix(rng)
    dtype = rng.choice(["<f8", ">f4", "<i4", "u1", "f2", "<c16", "?"])
    with np.errstate(all="ignore"):
        X = np.nan_to_num(X).astype(dtype) if rng.random() < 0.5 else X
    np.lib.format.write_array(
        stream, np.asfortranarray(X) if rng.random() < 0.3 else X, version=(int(rng.integers(1, 3)), 0)
    )
    return stream.getvalue()


def npz(rng):
    """Some arrays; damaged ones among them, in an archive that is whole."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", int(rng.choice([0, 8]))) as archive:
        for k in range(int(rng.integers(1, 3))):
            content = npy(rng)
            archive.writestr(f"a{k}.npy" if k else "X.npy", damaged(content, rng) if rng.random() < 0.7 else content)
    return stream.getvalue()


def mat(rng):
    """A file of version 4 or 5; the bytes within its compressed elements are damaged, too."""
    from scipy.io import savemat

    stream = io.BytesIO()
    X = np.nan_to_num(matrix(rng)).astype(rng.choice(["f8", "f4", "i2", "u1"]))
    others = {"t": "text", "c": np.array([1, "a"], object), "s": {"f": 1.5}, "z": np.ones((2, 2), complex)}
    if rng.random() < 0.2:
        savemat(stream, {"X": X, "t": "text"}, format="4")
        return stream.getvalue()
    savemat(stream, {"X": X, **(others if rng.random() < 0.5 else {})})
    content = stream.getvalue()
    if rng.random() < 0.6:
        body = damaged(content[128:], rng)
        packed = zlib.compress(body)
        content = content[:128] + struct.pack("<II", 15, len(packed)) + packed
    return content


def parquet(rng):
    """A table of ratings, packed in some way."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = int(rng.integers(1, 200))
    labels = pa.array([f"u{k % 7}" for k in range(n)])
    columns = {"user": labels, "item": rng.integers(0, 9, n), "rating": rng.random(n)}
    stream = io.BytesIO()
    pq.write_table(
        pa.table(columns),
        stream,
        compression=str(rng.choice(["none", "snappy", "gzip", "zstd"])),
        use_dictionary=bool(rng.random() < 0.5),
        row_group_size=int(rng.integers(1, n + 1)),
        data_page_version=str(rng.choice(["1.0", "2.0"])),
    )
    return stream.getvalue()


def envi(rng):
    """The header of a cube of 4 x 3 pixels and 5 bands; `envi_samples` are its samples."""
    kind = int(rng.choice([1, 2, 3, 4, 5, 12, 13]))
    lines = ["ENVI", "samples = 3", "lines = 4", "bands = 5", "header offset = 0", "file type = ENVI Standard"]
    lines += [
        f"data type = {kind}",
        f"interleave = {rng.choice(['bsq', 'bil', 'bip'])}",
        f"byte order = {rng.integers(2)}",
    ]
    lines += ["data ignore value = 0", "bbl = {1, 1, 0, 1, 1}", "wavelength = {400, 500, 600, 700, 800}"]
    return "\n".join(lines).encode() + b"\n"


FORMATS = {
    "csv": lambda rng: text_table(rng, str(rng.choice([",", ";"]))),
    "tsv": lambda rng: text_table(rng, "\t"),
    "npy": npy,
    "npz": npz,
    "mat": mat,
    "hdr": envi,
    "ratings.csv": lambda rng: triplet_table(rng, ","),
    "parquet": parquet,
}
TEXTS = ("csv", "tsv", "ratings.csv", "hdr")
TOKENS = (
    "",
    "1e999",
    "-1",
    "9" * 400,
    "9999999999999",
    "nan",
    "inf",
    '"',
    '""',
    ",",
    ";",
    "\t",
    "\0",
    "\n",
    "\r",
    "{",
    "}",
)
TOKENS += ("\x1b[2J", "\u202e", "1,5", "1.234.567", "0x10", "1_000", "=", "\ufeff", "-999", "2020-13-45", "’", "\ud800")


def damaged(content, rng):
    """Bytes with some of them changed, gone, doubled, or cut off."""
    content = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        if not content:
            break
        at, kind = int(rng.integers(len(content))), rng.random()
        if rng.random() < 0.4:  # heads matter most
            at = int(rng.integers(min(len(content), 200)))
        if kind < 0.4:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind < 0.6:
            content[at] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind < 0.7:
            content[at : at + 4] = struct.pack("<I", int(rng.choice([0, 2**31 - 1, 2**31, 2**32 - 1, 10**6])))
        elif kind < 0.8:
            del content[at : at + int(rng.integers(1, 20))]
        elif kind < 0.9:
            content[at:at] = content[at : at + int(rng.integers(1, 50))]
        elif kind < 0.95:
            content[at:at] = rng.bytes(int(rng.integers(1, 20)))
        else:
            del content[at:]
    return bytes(content)


def damaged_text(content, rng):
    """Text with something else in the place of a few of its characters."""
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(content) + 1))
        token = str(rng.choice(np.array(TOKENS, object))).encode("utf-8", "surrogatepass")
        content = content[:at] + token + content[at + int(rng.integers(0, 4)) :]
    return content


def build(name, seed, folder):
    """A damaged file of a format."""
    rng = np.random.default_rng([seed, sum(name.encode())])
    content = FORMATS[name](rng)
    if name in TEXTS and rng.random() < 0.5:
        content = damaged_text(content, rng)
    elif name not in ("npz", "mat") or rng.random() < 0.5:  # within these are damaged arrays
        content = damaged(content, rng)
    path = folder / f"in.{name}"
    path.write_bytes(content)
    if name == "hdr":
        path.with_suffix(".img").write_bytes(rng.bytes(480 if rng.random() < 0.8 else int(rng.integers(600))))
    return path


# --- the process that may die ---------------------------------------------------------------------------------------


def work(name, how, folder):
    """Answer each seed of standard input by what became of its file: one line of JSON."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (8 * 10**9, 8 * 10**9))
    sys.stdout.flush()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if name == "parquet" and how == "reader":
        _fork_instead_of_start()
    for line in sys.stdin:
        path = build(name, int(line), folder)
        target = folder / f"out.{name}"
        outcome = (_through_reader if how == "reader" else _through_command)(name, path, target)
        left = sorted(p.name for p in folder.iterdir() if not p.name.startswith("in."))
        if outcome.startswith("refused") and left:
            outcome = f"half-written: {left}"
        if any(".part" in file for file in left):
            outcome = f"left over: {left}"
        for file in left:
            (folder / file).unlink()
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answers.write(json.dumps({"outcome": outcome, "rss": rss}) + "\n")


def _fork_instead_of_start():
    """The reader of parquet files as a fork of this process, which has its libraries: the same code, sooner."""
    import pyarrow.parquet  # noqa: F401

    from advnmf.io.tables import columns_child, frames

    def run(command, **_):
        inlet, outlet = os.pipe()
        child = os.fork()
        if not child:
            os.close(inlet)
            answer = json.dumps(columns_child.main(*command[3:7], int(command[7])))
            os.write(outlet, answer.encode() + b"\n")
            os._exit(0)
        os.close(outlet)
        with os.fdopen(inlet, "rb") as stream:
            output = stream.read()
        _, status = os.waitpid(child, 0)
        return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(status), output)

    frames.subprocess.run = run


def _through_reader(name, path, target):
    from advnmf.io.files import FileError
    from advnmf.io.tables import check_table, read_table, write_table
    from advnmf.io.triplets import read_source

    try:
        if name in ("parquet", "ratings.csv"):
            source = read_source(path, ("user", "item", "rating"))
            content = source.filled(np.ones(len(source.triplets)))
            target.write_bytes(content if isinstance(content, bytes) else b"")
            return "read"
        table = read_table(path, key="X" if name in ("npz", "mat") else None)
        try:
            check_table(table)
        except FileError as error:
            if "\n" in str(error) or not str(error).isprintable():
                return f"unprintable: {error!r}"
        write_table(target, table, np.ones(table.values.shape))
        return "read"
    except FileError as error:
        text = str(error)
        good = text.isprintable() and len(text) < 2000 and (str(path) in text or str(target) in text)
        return "refused" if good else f"unprintable or unnamed: {text!r}"
    except BaseException as error:
        return f"traceback: {type(error).__name__}: {error}"[:500]


def _through_command(name, path, target):
    from click.testing import CliRunner

    from advnmf.cli.app import program

    options = ["--key", "X"] if name in ("npz", "mat") else []
    if name in ("parquet", "ratings.csv"):
        options = ["--triplets", "user,item,rating"]
    command = ["complete", str(path), str(target), "--rank", "1", "--max-iter", "2", *options]
    done = CliRunner().invoke(program, command)
    if "Traceback" in done.output or "unexpected" in done.output or done.exit_code not in (0, 2):
        return f"traceback: {done.exit_code} {done.output[-400:]} {done.exception!r}"
    if not done.output.replace("\n", "").isprintable():
        return f"unprintable: {done.output!r}"
    return "refused" if done.exit_code else "read"


# --- the tests ------------------------------------------------------------------------------------------------------


class Worker:
    """The process that may die; it is started anew when it does."""

    def __init__(self, name, how, folder):
        self.command = [sys.executable, __file__, name, how, str(folder)]
        self.folder = Path(folder)
        self.start()

    def start(self):
        path = os.pathsep.join(filter(None, sys.path))
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            env={**os.environ, **threads, "PYTHONPATH": path},
        )

    def ask(self, seed):
        try:
            self.process.stdin.write(f"{seed}\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], _SECONDS)
            line = self.process.stdout.readline() if ready else ""
        except BrokenPipeError:
            line, ready = "", True
        if line:
            return json.loads(line)
        self.stop()
        self.start()
        return {"outcome": "death" if ready else "hangs", "rss": 0}

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def soak(name, how, budget, most):
    """Counts of what became of the files, the seeds of what must not be, and the most memory of the process."""
    outcomes, wrong, rss = Counter(), {}, 0
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(name, how, folder)
        try:
            seed = budget.seed
            while budget.left() > 0 and seed < budget.seed + most:
                answer = worker.ask(seed)
                outcome, rss = answer["outcome"], max(rss, answer["rss"])
                kind = outcome.partition(":")[0]
                outcomes[kind] += 1
                if kind not in ("read", "refused") or answer["rss"] > MOST_BYTES:
                    wrong.setdefault(outcome, seed)
                seed += 1
        finally:
            worker.stop()
    print(f"\n{name} through the {how}: {dict(outcomes)}, at most {rss / 1e6:.0f} MB, {time.strftime('%H:%M:%S')}")
    return outcomes, wrong, rss


@pytest.mark.soak
@pytest.mark.skipif(os.name == "nt", reason="memory limits of POSIX")
@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_read_or_refused(name, budget):
    if name == "parquet":
        pytest.importorskip("pyarrow")
    if name == "hdr":
        pytest.importorskip("spectral")
    outcomes, wrong, rss = soak(name, "reader", budget, MOST)
    assert not wrong, wrong
    assert outcomes["refused"]
    assert rss < MOST_BYTES


@pytest.mark.soak
@pytest.mark.skipif(os.name == "nt", reason="memory limits of POSIX")
@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_through_the_command_line(name, budget):
    if name == "parquet":
        pytest.importorskip("pyarrow")
    if name == "hdr":
        pytest.importorskip("spectral")
    outcomes, wrong, rss = soak(name, "command", budget, MOST_COMMANDS)
    assert not wrong, wrong
    assert outcomes["refused"]
    assert rss < MOST_BYTES


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
