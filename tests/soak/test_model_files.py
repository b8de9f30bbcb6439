"""Damaged and hostile model files: `load` gives one clear error or a model that works, whatever the file says.

Each trial damages one file of a corpus that holds every model class, loads it, and uses whatever came out.  Most damage
is done below the checksums of the archive: to the header's values and to the arrays, which are packed anew.  Trials run
in a child process, so that one that dies, hangs or asks for memory is seen and named by its number, from which
``python tests/soak/test_model_files.py FOLDER N`` makes it again.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, clone

from advnmf import (
    ADNMF,
    ANMF,
    ATNMF,
    DMF,
    EADNMF,
    HQASD,
    L21,
    NMF,
    AutoNMF,
    DeepNMF,
    FrobeniusPenalty,
    NMFImputer,
    load,
    save,
)
from advnmf.solvers import HALS, MU

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::advnmf.DataWarning"),
]

# Of one trial: processor seconds, and bytes of memory beyond what the corpus takes.
SECONDS, BYTES = 5, 2**30

FEW = {"max_iter": 5, "random_state": 0}
X = np.random.default_rng(0).gamma(1.0, size=(9, 6))
X[np.random.default_rng(1).random(X.shape) < 0.25] = np.nan
RATINGS = sparse.csr_array(np.nan_to_num(X))
FRAME = pd.DataFrame(X).add_prefix("band ")
CORPUS: list[tuple[BaseEstimator, object]] = [
    (NMF(2, **FEW), X),
    (NMF(2, **FEW), X.astype(np.float32)),
    (NMF((3, 2), loss="correntropy", solver="mu", **FEW), FRAME),
    (NMF(2, loss=L21(floor=0.5), adversary=FrobeniusPenalty(3.0), solver=HALS(1), alpha_W=0.1, **FEW), X),
    (NMF(2, solver=MU(1), alpha_W=0.1, l1_ratio=0.5, **FEW), np.nan_to_num(X)),
    (NMF(2, biases=True, alpha_W=0.1, alpha_scale="observed", sparse_missing="absent", **FEW), RATINGS),
    (NMF(2, sparse_missing="absent", **FEW), RATINGS.astype(np.float32)),
    (NMF(3), None),
    (ATNMF(2, lam=1.5, attack="alternating", **FEW), X),
    (DeepNMF((3, 2), loss="elastic", **FEW), X),
    (ADNMF((3, 2), **FEW), X),
    (EADNMF((3, 2), delta=1.7, **FEW), X),
    (HQASD(2, switch_tol=np.inf, **FEW), X),
    (HQASD(2, solver="pf", **FEW), X.astype(np.float32)),
    (HQASD(2, nonnegative=True, **FEW), X),
    (DMF(2, (5, 4), activation=("tanh", "logistic"), **FEW), X),
    (DMF(2, activation="identity", **FEW), X.astype(np.float32)),
    (ANMF(2, target=0.5, **FEW), X),
    (AutoNMF(max_candidates=4, random_state=0), X),
    (AutoNMF(max_candidates=4, random_state=0), RATINGS),
    (NMFImputer(AutoNMF(max_candidates=2, random_state=0), clip=(0.0, np.inf)), X),
    (NMFImputer(NMF(2, loss="l21", **FEW), add_indicator=True, clip="observed"), FRAME),
    (NMFImputer(DMF(2, **FEW), keep_empty_features=True), X),
    (NMFImputer(), None),
]


def write_corpus(folder: Path) -> None:
    """One file for each model."""
    for index, (model, data) in enumerate(CORPUS):
        save(model if data is None else clone(model).fit(data), folder / f"{index:02d}.advnmf")


# --- damage ------------------------------------------------------------------------------------------------------

Members = dict[str, bytes]
Damage = Callable[[bytes, np.random.Generator], bytes]


def unpacked(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Members | list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            archive.writestr(name, content)
    return stream.getvalue()


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """A few bits, anywhere."""
    content = np.frombuffer(data, np.uint8).copy()
    for at in rng.integers(len(content), size=rng.integers(1, 9)):
        content[at] ^= 1 << rng.integers(8)
    return content.tobytes()


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """The beginning, and perhaps something after it."""
    return data[: rng.integers(len(data))] + rng.bytes(rng.integers(40))


def swap_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Two stretches change places, or one is doubled or lost."""
    a, b, c = np.sort(rng.integers(len(data), size=3))
    order = [data[:a] + data[b:c] + data[a:b] + data[c:], data[:b] + data[a:], data[:a] + data[b:]]
    return order[rng.integers(3)]


def directory(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes of the archive's own tables: names, sizes, offsets, numbers of files."""
    content = bytearray(data)
    starts = [i for i in range(len(data) - 3) if data[i : i + 4] in (b"PK\x01\x02", b"PK\x05\x06", b"PK\x03\x04")]
    for _ in range(rng.integers(1, 4)):
        at = int(rng.choice(starts)) + int(rng.integers(46))
        if at < len(content):
            content[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
    return bytes(content)


def member_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Bits of one member, under a checksum that is right."""
    members = unpacked(data)
    name = pick(rng, sorted(members))
    members[name] = flip_bits(members[name], rng)
    return packed(members)


def containers(data: bytes, rng: np.random.Generator) -> bytes:
    """Archives that are made to be expensive, ambiguous or foreign."""
    members = unpacked(data)
    header, names = members["header.json"], sorted(members)
    arrays = [name for name in names if name != "header.json"] or ["header.json"]
    digits = b"9" * int(rng.integers(5, 100_000))
    made: list[Callable[[], bytes]] = [
        lambda: packed(members, zipfile.ZIP_DEFLATED),
        lambda: packed({**members, pick(rng, arrays): bytes(10**7)}, zipfile.ZIP_DEFLATED),
        lambda: packed([*members.items(), (pick(rng, names), rng.bytes(50))]),
        lambda: packed({**members, "\x1b[2J\u202e" * 20: b""}),
        lambda: packed({**members, "header.json": b"[" * int(rng.integers(10, 10**6))}),
        lambda: packed({**members, "header.json": header.replace(b": 2", b": " + digits)}),
        lambda: packed({**members, "header.json": header + b" " * 2 * 10**7}),
        lambda: packed({**members, "header.json": b"[" + b"{}," * 2 * 10**6 + b"0]"}),
        lambda: packed({**members, "header.json": header.replace(b'"params": {', b'"params": {"tol": [' + MANY)}),
        lambda: packed({**members, pick(rng, arrays): npy_says(b"(" + digits[:60_000] + b",)")}),
        lambda: packed({**members, pick(rng, arrays): npy_says(b"(1000000000, 1000000000)")}),
        lambda: packed({**members, **{f"{n}.npy": b"" for n in range(100, 100 + int(rng.integers(30_000)))}}),
        lambda: packed({name: members[name] for name in names if name != pick(rng, names)}),
        lambda: zip64_says(packed(members), rng),
    ]
    return made[rng.integers(len(made))]()


MANY = b'{"model": {"class": "NMF", "params": {}, "fitted": {}}}, ' * 20_000 + b"0],"


def npy_says(shape: bytes) -> bytes:
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + b", }\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def zip64_says(data: bytes, rng: np.random.Generator) -> bytes:
    """A directory that claims a size of its own in the record of large archives."""
    end = data.index(b"PK\x05\x06")
    claimed = int(rng.integers(2**40)).to_bytes(8, "little")
    record = b"PK\x06\x06" + (44).to_bytes(8, "little") + bytes(4 + 8) + claimed * 4
    locator = b"PK\x06\x07" + bytes(4) + end.to_bytes(8, "little") + (1).to_bytes(4, "little")
    return data[:end] + record + locator + data[end:]


# --- values of the header


def nodes(tree: object) -> Iterator[tuple[dict | list, object]]:
    """(parent, key) of every value."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from nodes(value)


HOSTILE: list[object] = [
    *[None, True, False, -1, 0, 1, 2, 3, 7, 10**6, 10**9, 10**15, 2**63, -(2**63), 10**19, 0.5, -0.5, 1e-300, 5e-324],
    *[1e300, -1e300, 1e38, 1e15, 1e-15, "", "x", "x" * 100_000, "\x1b[2J\n\u202e", "frobenius", "hals", "mu", "nan"],
    *[[], {}, [[]], [1, 2], [0] * 1000, {"float": "nan"}, {"float": "inf"}, {"float": "-inf"}, {"float": "1"}],
    *[{"tuple": []}, {"tuple": [1, 2]}, {"tuple": [0.0, 1.0]}, {"tuple": [{"float": "nan"}, 1]}, {"names": ["a"]}],
    *[{"model": {"class": "NMF", "params": {}, "fitted": {}}}, {"indicator": {"tuple": []}}, {"import": "os"}],
    *[{"loss": ["l21", {"floor": 1e-300}]}, {"loss": ["elastic", {"delta": 0}]}, {"loss": ["correntropy", {}]}],
    *[{"loss": ["correntropy", {"sigma": 1e-300}]}, {"solver": ["mu", {"n_repeats": 10**12}]}],
    *[{"solver": ["hals", {"n_passes": 10**12}]}, {"adversary": ["frobenius_penalty", {"lam": 1.0000001}]}],
    *[{"adversary": ["frobenius_penalty", {"lam": 1e300}]}, {"solver": ["mu", {}]}],
]


def header_values(data: bytes, rng: np.random.Generator) -> bytes:
    """Types swapped, numbers absurd, values lost, moved, doubled."""
    members = unpacked(data)
    header = json.loads(members["header.json"])
    for _ in range(pick(rng, [1, 1, 1, 2, 3])):
        _change(header, rng)
    members["header.json"] = json.dumps(header).encode()
    return packed(members)


def _change(header: dict, rng: np.random.Generator) -> None:
    places = list(nodes(header))
    parent, key = places[rng.integers(len(places))]
    value, how = parent[key], rng.integers(6)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and how < 3:
        factors = [-1, 0, 1.5, 2, 3, 10, 0.1, 0.5, 1e3, 1e6, 1e15, 1e-15, 1e150, 1e-150]
        parent[key] = type(value)(pick(rng, factors) * value) + pick(rng, [0, 0, 1, -1])
    elif how < 4:
        parent[key] = copy.deepcopy(pick(rng, HOSTILE))
    elif how == 4:
        other, its = places[rng.integers(len(places))]
        with contextlib.suppress(IndexError, KeyError):
            parent[key] = copy.deepcopy(other[its])
    else:
        with contextlib.suppress(IndexError, KeyError):
            del parent[key]


# --- arrays


def arrays(data: bytes, rng: np.random.Generator) -> bytes:
    """Arrays of other numbers, shapes, precisions and places, all declared as they are."""
    members = unpacked(data)
    header = json.loads(members["header.json"])
    found = [parent[key] for parent, key in nodes(header) if key == "array" and isinstance(parent[key], list)]
    if not found:
        return header_values(data, rng)
    if len(found) > 1 and rng.random() < 0.15:
        one, other = rng.choice(len(found), 2, replace=False)
        found[one][:], found[other][:] = list(found[other]), list(found[one])
    else:
        # What indices point to is worth more trials than their number is.
        indices = [entry for entry in found if "i" in entry[1]]
        entry = pick(rng, indices if indices and rng.random() < 0.5 else found)
        changed = _changed(np.lib.format.read_array(io.BytesIO(members[entry[0]])), rng)
        stream = io.BytesIO()
        np.lib.format.write_array(stream, changed, version=(1, 0))
        members[entry[0]] = stream.getvalue()
        if rng.random() < 0.95:
            entry[1:] = [changed.dtype.newbyteorder("<").str, list(changed.shape)]
    members["header.json"] = json.dumps(header).encode()
    return packed(members)


def _changed(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.35:
        return _reshaped(A, rng)
    A = A.copy()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if A.dtype.kind in "iu":
            n, at = max(A.size, 1), tuple(rng.integers(n) for n in A.shape)
            wrong = [-1, -(10**9), 10**9, n, n + 1, 2**31 - 1, -(2**31), 0, int(A.max(initial=0)) + 1]
            A[at if rng.random() < 0.7 else ...] = pick(rng, wrong)
        elif A.dtype == bool:
            A = ~A if rng.random() < 0.5 else np.full_like(A, rng.random() < 0.5)
        elif rng.random() < 0.6 and A.size:
            where = rng.random(A.shape) < pick(rng, [0.1, 0.5, 1.0])
            A[where] = pick(
                rng, [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300, -1e-300, 5e-324, 1e150, 1e75, 1e-160, 1e38]
            )
        else:
            A = A * A.dtype.type(pick(rng, [1e300, 1e-300, 1e150, 1e-150, 1e30, 1e-30, 1e15, 1e-15, -1.0, 0.0]))
    return A


def _reshaped(A: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    made: list[Callable[[], np.ndarray]] = [
        lambda: A.T,
        lambda: A.reshape(-1),
        lambda: A.reshape(-1, 1),
        lambda: A[None],
        lambda: A[:-1],
        lambda: A[..., :-1],
        lambda: A[:0],
        lambda: np.concatenate([A, A]),
        lambda: np.repeat(A, 2, axis=-1),
        lambda: np.asfortranarray(A),
        lambda: A.reshape(()) if A.size == 1 else A.reshape(-1)[0],
        lambda: A.astype(pick(rng, ["f4", "f8", "i4", "i8", "u1", "?", "f2", "c16", ">f8"])),
    ]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(made[rng.integers(len(made))]())


def pick(rng: np.random.Generator, choices: list) -> object:
    return choices[rng.integers(len(choices))]


# How much of each.
KINDS: dict[Damage, float] = {
    flip_bits: 0.05,
    cut: 0.03,
    swap_bytes: 0.03,
    directory: 0.06,
    member_bits: 0.18,
    containers: 0.05,
    header_values: 0.35,
    arrays: 0.25,
}


def damaged(files: list[bytes], trial: int) -> tuple[str, bytes]:
    """The kind of damage and the file of a trial."""
    rng = np.random.default_rng([trial, 14])
    damage = list(KINDS)[rng.choice(len(KINDS), p=list(KINDS.values()))]
    return damage.__name__, damage(files[rng.integers(len(files))], rng)


# --- one trial ---------------------------------------------------------------------------------------------------


def outcome(path: Path) -> str:
    """What comes of a file: "refused", "works", "unusable" (a clear error later), or in capitals what must not be."""
    try:
        model = load(path)
    except ValueError as error:
        message = str(error)
        if str(path) not in message or not message.isprintable() or len(message) > 1000:
            return f"MESSAGE {message!r:.200}"
        return "MEMORY" if "memory" in message else "refused"
    except BaseException as error:
        return f"LOAD {type(error).__name__}: {error!s:.200}"
    try:
        for name, value in used(model):
            if not np.isfinite(value).all():
                return f"NOT FINITE {name} of {type(model).__name__}"
    except ValueError:
        return "unusable"
    except BaseException as error:
        return f"USE {type(error).__name__} in {_place(error)}: {error!s:.200}"
    return "works"


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def used(model: BaseEstimator) -> Iterator[tuple[str, np.ndarray]]:
    """All that the methods of a loaded model give."""
    if "n_features_in_" not in vars(model):
        return
    if isinstance(model, NMFImputer):
        n = model.n_features_in_
        holes = FRAME if "feature_names_in_" in vars(model) else X
        if n == X.shape[1]:
            yield "transform", model.transform(holes)
            model.get_feature_names_out()
        return
    holes = X.astype(np.float32) if _precision(model) == np.float32 else X
    holes = FRAME if "feature_names_in_" in vars(model) else holes
    if model.n_features_in_ == X.shape[1]:
        codes = model.transform(holes)
        yield "transform", codes
        yield "complete", np.asarray(model.complete(holes))
        yield "inverse_transform", model.inverse_transform(codes)
        yield "score", np.array(model.score(holes))
        if getattr(model, "sparse_missing", None) == "absent":
            yield "sparse complete", _dense(model.complete(RATINGS))
        if hasattr(model, "perturbation"):
            yield "perturbation", np.asarray(model.perturbation(holes))
    if getattr(model, "spread_", None) is not None and model.n_features_in_ == X.shape[1]:
        yield "std", model.complete(holes, return_std=True)[1]
    yield "reconstruct", model.reconstruct()
    yield "reconstruct some", model.reconstruct([0, -1], [0])
    if hasattr(model, "recommend"):
        yield from _ranked(model)
    if isinstance(model, AutoNMF):
        model.explain()
        yield "n_iter", model.cv_results_["n_iter"]
    elif model.n_features_in_ == X.shape[1]:
        few = {"max_iter": 2, "n_init": 1, "init": "random", "n_components": model.n_components_}
        again = clone(model)
        again.set_params(**{name: value for name, value in few.items() if name in again.get_params()})
        yield "fit", again.fit_transform(X)


def _ranked(model: BaseEstimator) -> Iterator[tuple[str, np.ndarray]]:
    n = len(model.reconstruct([0])[0])
    columns, scores = model.recommend(n=4, exclude_seen=model.seen_ is not None)
    assert columns.min() >= -1
    assert columns.max() < n
    yield "recommend", scores[columns >= 0]
    yield "predict_pairs", model.predict_pairs([0, -1], [n - 1, -1], unseen="mean")


def _precision(model: BaseEstimator) -> np.dtype:
    return np.asarray(model.inverse_transform(np.zeros((1, model._n_features_out), np.float32))).dtype


def _dense(values: object) -> np.ndarray:
    return values.toarray() if sparse.issparse(values) else np.asarray(values)


def work(folder: Path, first: int) -> None:
    """Trial after trial, told on standard output; the processor time and the memory of each are limited."""
    told = os.fdopen(os.dup(1), "w")
    # A model with verbose=1 prints as well.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")
    originals = sorted(folder.glob("*.advnmf"))
    files = [path.read_bytes() for path in originals]
    for path in originals:  # compiles what is needed
        assert outcome(path) == "works", (path, outcome(path))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # Unlike a handler of Python's, the default action needs no bytecode to be reached: it ends the process.
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as where:
        path = Path(where) / "model.advnmf"
        trial = first
        while True:
            kind, data = damaged(files, trial)
            path.write_bytes(data)
            print("begin", trial, kind, file=told, flush=True)
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            result = outcome(path)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            print("end", " ".join(result.split()), file=told, flush=True)
            trial += 1


# --- all trials --------------------------------------------------------------------------------------------------


def worker(folder: Path, first: int, errors: IO[str]) -> subprocess.Popen:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-X", "faulthandler", __file__, str(folder), str(first)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env)


def trials(folder: Path, first: int, going: Callable[[], bool]) -> Iterator[tuple[int, str, str]]:
    """(number, kind, outcome) of each trial, as long as asked; a worker that dies is replaced."""
    number = first
    while going():
        with tempfile.TemporaryFile("w+") as errors, worker(folder, number, errors) as process:
            kind = None
            for line in process.stdout:
                what, _, rest = line.strip().partition(" ")
                if what == "begin":
                    kind = rest.partition(" ")[2]
                    continue
                yield number, kind, rest
                number, kind = number + 1, None
                if not going():
                    process.kill()
                    return
            process.wait()
            errors.seek(0)
            assert kind is not None, f"a worker ended before its first trial: {errors.read()[-2000:]}"
        died = "HANG" if process.returncode == -signal.SIGVTALRM else f"DEATH by {process.returncode}"
        yield number, kind, died
        number += 1


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits of memory and processor time of Linux")
def test_damaged_model_files(budget, tmp_path):
    write_corpus(tmp_path)
    counts: Counter[tuple[str, str]] = Counter()
    faults = []
    for number, kind, result in trials(tmp_path, budget.seed * 10**6, lambda: budget.left() > 0):
        counts[kind, result.partition(" ")[0]] += 1
        if result not in ("refused", "works", "unusable"):
            faults.append(f"trial {number}, {kind}: {result}")
    print(*(f"{kind} {result}: {n}" for (kind, result), n in sorted(counts.items())), sep="\n")
    assert not faults, f"{len(faults)} of {counts.total()} trials: " + "; ".join(faults[:20])
    assert counts.total() > 0


def test_every_class_is_in_the_corpus():
    from advnmf.models.registry import MODELS, model_class

    assert {type(model) for model, data in CORPUS if data is not None} == {model_class(name) for name in MODELS}


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
