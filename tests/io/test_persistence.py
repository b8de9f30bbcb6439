from __future__ import annotations

import functools
import io
import json
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

import advnmf
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
    Elastic,
    FrobeniusPenalty,
    NMFImputer,
    load,
    save,
)
from advnmf.adversaries import ADVERSARIES
from advnmf.losses import LOSSES
from advnmf.models.registry import MODELS as registered
from advnmf.models.registry import model_class
from advnmf.solvers import HALS, SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::advnmf.DataWarning")

FEW = {"max_iter": 5, "random_state": 0}
MODELS = [
    NMF(2, **FEW),
    NMF((3, 2), loss="elastic", solver="mu", **FEW),
    NMF(2, loss=Elastic(np.inf), adversary=FrobeniusPenalty(3.0), solver=HALS(n_passes=1), alpha_W=0.1, **FEW),
    NMF([3, 2], loss=L21(floor=0.5), alpha_H=0.0, time_limit=100, **FEW),
    ATNMF(2, lam=1.5, attack="alternating", attack_every=2, **FEW),
    DeepNMF((3, 2), **FEW),
    ADNMF((3, 2), **FEW),
    EADNMF((3, 2), delta=1.7, **FEW),
    HQASD(2, switch_tol=np.inf, **FEW),
    HQASD(2, solver="pf", **FEW),
    DMF(2, (5, 4), activation=("tanh", "logistic"), **FEW),
    ANMF(2, target=0.5, **FEW),
    NMFImputer(),
    NMFImputer(DMF(2, **FEW)),
    NMFImputer(NMF(2, loss="l21", **FEW), add_indicator=True, clip="observed"),
    NMFImputer(ATNMF(2, **FEW), keep_empty_features=True, clip=(0.0, np.inf)),
]


def use(model: BaseEstimator, X: np.ndarray) -> np.ndarray:
    """What the model makes of X."""
    return model.transform(X) if isinstance(model, NMFImputer) else model.complete(X)


def assert_same(a: object, b: object) -> None:
    """Equal types, values, dtypes and bits, through and through."""
    assert type(a) is type(b)
    if isinstance(a, BaseEstimator):
        names, others = (vars(model).keys() - {"_held_out_"} for model in (a, b))  # which files leave out
        assert names == others
        for name in names:
            assert_same(vars(a)[name], vars(b)[name])
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes()
        assert a.flags.f_contiguous == b.flags.f_contiguous
        assert b.flags.writeable
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b or (a != a and b != b)  # equal, or both NaN


@pytest.fixture
def X(planted):
    return planted[1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.advnmf"


# --- round trips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_round_trip(model, X, dtype, path):
    X = X.astype(dtype)
    model.fit(X)
    save(model, path)
    again = load(path)
    assert_same(again, model)
    assert use(again, X[:7]).tobytes() == use(model, X[:7]).tobytes()


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_not_fitted(model, path):
    model = type(model)(**model.get_params(deep=False))
    save(model, path)
    assert_same(load(path), model)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(name, path):
    save(NMF(loss=LOSSES[name]()), path)
    assert load(path).loss == LOSSES[name]()


@pytest.mark.parametrize("name", ADVERSARIES)
def test_every_adversary(name, path):
    save(NMF(adversary=ADVERSARIES[name]()), path)
    assert load(path).adversary == ADVERSARIES[name]()


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver(name, path):
    save(NMF(solver=SOLVERS[name]), path)
    assert load(path).solver == SOLVERS[name]


@pytest.mark.parametrize("model", [NMF(2, **FEW), NMFImputer(NMF(2, **FEW), add_indicator=True)])
def test_feature_names(model, X, path):
    frame = pd.DataFrame(X, columns=[f"Wert {j} µ" for j in range(12)])
    frame["Wert 3 µ"] = np.nan
    save(model.fit(frame), path)
    again = load(path)
    assert_same(again, model)
    assert list(again.get_feature_names_out()) == list(model.get_feature_names_out())
    with pytest.raises(ValueError, match="feature names"):
        again.transform(frame.rename(columns={"Wert 0 µ": "other"}))


def test_every_fitted_attribute_is_kept(X, path):
    """A new attribute that a model sets must be one that can be saved."""
    for model in MODELS:
        kept = {k for k in vars(model.fit(X)) if k not in model.get_params(deep=False) and not k.startswith("_")}
        save(model, path)
        assert kept <= vars(load(path)).keys()


def test_numpy_scalars_become_python_numbers(X, path):
    save(NMF(np.int64(2), tol=np.float32(0.5), random_state=np.int32(3)).fit(X), path)
    again = load(path)
    assert (again.n_components, again.tol, again.random_state) == (2, 0.5, 3)
    assert type(again.n_components) is int
    assert use(again, X).shape == X.shape


def test_equal_models_give_equal_files(X, tmp_path):
    for name in "ab":
        save(NMF(2, **FEW).fit(X), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_reads_the_arrays(X, path):
    model = NMF(2, **FEW).fit(X)
    save(model, path)
    with zipfile.ZipFile(path) as archive:
        stored = [np.load(archive.open(name), allow_pickle=False) for name in archive.namelist()[1:]]
    assert any(np.array_equal(array, model.components_) for array in stored)


# --- what is not saved -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [("callback", print), ("random_state", np.random.RandomState(0))])
def test_dropped_with_a_warning(name, value, path):
    with pytest.warns(UserWarning, match=f"NMF.{name} is not saved"):
        save(NMF(**{name: value}), path)
    assert getattr(load(path), name) is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (make_pipeline(NMF()), "Pipeline cannot be saved"),
        (type("Mine", (NMF,), {})(), "Mine cannot be saved"),
        (type("NMF", (NMF,), {})(), "NMF cannot be saved"),
        (NMFImputer(make_pipeline(NMF())), "Pipeline cannot be saved"),
        (NMF(loss=print), "NMF.loss=.* cannot be saved"),
        (NMF(2 + 1j), "NMF.n_components=.* cannot be saved"),
        (NMF(np.array([1j])), "dtype complex128"),
        (3, "int cannot be saved"),
    ],
)
def test_refused(model, message, path):
    with pytest.raises(TypeError, match=message):
        save(model, path)
    assert not path.exists()


def test_an_old_file_survives_a_failed_save(X, path, monkeypatch):
    save(NMF(2, **FEW).fit(X), path)
    before = path.read_bytes()
    calls = []

    def fail(*args, **kwargs):
        calls.append(args)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(ValueError, match="No space left"):
        save(NMF(3, **FEW).fit(X), path)
    assert calls
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_file_is_replaced(X, path):
    save(NMF(2, **FEW).fit(X), path)
    save(NMF(3, **FEW), path)
    assert load(path).n_components == 3
    assert os.listdir(path.parent) == [path.name]


# --- files that are not, or no longer, a model -------------------------------------------------------------------


def refuse(path, message: str | None = None) -> None:
    """Loading fails with one line that names the path."""
    with pytest.raises(ValueError, match=message) as raised:
        load(path)
    text = str(raised.value)
    assert str(path) in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a zip file"),
        (b"a,b\n1,2\n", "not a zip file"),
        (b"PK\x05\x06" + bytes(18), "without header.json"),
        (b"\x80\x04K\x01.", "not a zip file"),
    ],
)
def test_foreign_files(path, content, message):
    path.write_bytes(content)
    refuse(path, message)


def test_foreign_archives(path):
    np.savez(path.with_suffix(".npz"), header=np.ones(3))
    refuse(path.with_suffix(".npz"), "without header.json")


def test_no_file_and_a_folder(path):
    refuse(path, "cannot be read")
    path.mkdir()
    refuse(path, "not a regular file")


@functools.cache
def saved() -> bytes:
    """The bytes of a small saved model that has everything."""
    X = np.random.default_rng(0).random((6, 4)) + 0.1
    X[0, 0] = np.nan
    imputer = NMFImputer(NMF(1, loss=Elastic(2.0), **FEW), add_indicator=True, clip="observed")
    imputer.fit(pd.DataFrame(X, columns=list("abcd")))
    return written(imputer)


def written(model: BaseEstimator) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        save(model, f"{folder}/m")
        with open(f"{folder}/m", "rb") as stream:
            return stream.read()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return stream.getvalue()


def loaded(path, data: bytes) -> BaseEstimator | None:
    """The model in a file of these bytes, or None after one clear error: nothing else may come of a damaged file."""
    path.write_bytes(data)
    message = None
    try:
        model = load(path)
    except ValueError as error:
        message = str(error)
    if message is None:
        return model
    assert str(path) in message
    assert "\n" not in message
    return None


def same_or_refused(path, data: bytes) -> None:
    """Either the very model or an error."""
    model = loaded(path, data)
    assert model is None or written(model) == saved()


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "model"


@given(st.data())
def test_changed_bytes(damaged, data):
    content = bytearray(saved())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    same_or_refused(damaged, bytes(content))


@given(st.data())
def test_changed_bytes_of_the_directory(damaged, data):
    """Where the structure of a zip archive is, so that most changes matter."""
    content = bytearray(saved())
    start = content.index(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(start, len(content) - 1))] = data.draw(st.integers(0, 255))
    same_or_refused(damaged, bytes(content))


@given(st.floats(0, 1), st.binary(max_size=40))
def test_cut_and_continued(damaged, share, tail):
    content = saved()
    same_or_refused(damaged, content[: int(share * len(content))] + tail)


def test_cut_by_one_byte(damaged):
    same_or_refused(damaged, saved()[:-1])


@given(st.data())
def test_changed_members(damaged, data):
    """Damage below the checksums: the archive is sound, its content is not."""
    content = {name: bytearray(member) for name, member in members(saved()).items()}
    name = data.draw(st.sampled_from(sorted(content)))
    where = data.draw(st.integers(0, min(200, len(content[name]) - 1)))
    content[name][where] = data.draw(st.integers(0, 255))
    assert isinstance(loaded(damaged, packed(content)), NMFImputer | None)


KINDS = ["array", "float", "indicator", "model", "names", "tuple", "loss", "class", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KINDS), inner, max_size=2),
    max_leaves=8,
)


def replaced(tree: object, where: int, new: object) -> tuple[object, int]:
    """The tree with its node number `where` replaced; and how many nodes are left to count."""
    if where == 0:
        return new, -1
    where -= 1
    if isinstance(tree, (dict, list)):
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
        out = dict(pairs) if isinstance(tree, dict) else list(tree)
        for key, value in list(out.items()) if isinstance(out, dict) else list(enumerate(out)):
            if where < 0:
                break
            out[key], where = replaced(value, where, new)
        return out, where
    return tree, where


@given(st.integers(0, 150), JSON)
def test_changed_headers(damaged, where, new):
    """Any value in place of any part of the header."""
    content = members(saved())
    header, _ = replaced(json.loads(content["header.json"]), where, new)
    content["header.json"] = json.dumps(header).encode()
    assert isinstance(loaded(damaged, packed(content)), NMFImputer | None)


def edited(edit) -> bytes:
    """The saved model with its header (a dict) edited."""
    content = members(saved())
    header = json.loads(content["header.json"])
    edit(header)
    content["header.json"] = json.dumps(header).encode()
    return packed(content)


def set_at(*keys: object, to: object):
    def edit(header: dict) -> None:
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = to

    return edit


MODEL = ("model", "fitted", "estimator_", "model")
COMPONENTS = (*MODEL, "fitted", "components_", "array")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_at("format", to="other"), "not a model saved by advnmf"),
        (set_at("format_version", to=3), "saved by advnmf .* in format 3; this is advnmf .* upgrade advnmf"),
        (set_at("format_version", to="1"), "format_version is '1'"),
        (set_at("model", "class", to="Pipeline"), "it holds a 'Pipeline'"),
        (set_at("model", "class", to="os.system"), "it holds a 'os.system'"),
        (set_at(*MODEL, "class", to="NMFImputer"), "NMFImputer has no parameter"),
        (set_at(*MODEL, "params", "loss", "loss", 0, to="huber"), "its loss 'huber' is not part of advnmf"),
        (set_at(*MODEL, "params", "loss", "loss", 1, "delta", to=-1), "must not be negative"),
        (set_at(*MODEL, "params", "loss", "loss", 1, "nothing", to=1), "nothing"),
        (set_at(*MODEL, "params", "loss", to={"import": "os"}), "a value of kind 'import'"),
        (set_at(*MODEL, "params", "magic", to=1), "NMF has no parameter 'magic'"),
        (set_at(*MODEL, "fitted", "fit", to=1), "no fitted attribute 'fit'"),
        (set_at(*MODEL, "fitted", "__class__", to=1), "no fitted attribute '__class__'"),
        (set_at(*MODEL, "fitted", "mean_code_", to=[1.0]), "damaged"),
        (set_at(*MODEL, "fitted", "n_features_in_", to=5), r"factors_ .* has shape \(1, 4\), expected \(1, 5\)"),
        (set_at("model", "fitted", "n_features_in_", to=5), r"learnt_features_ .* shape \(4,\), expected \(5,\)"),
        (set_at("model", "fitted", "feature_names_in_", "names", to=["a", "b"]), r"shape \(2,\), expected \(4,\)"),
        (set_at("model", "fitted", "feature_names_in_", "names", to=[1, 2, 3, 4]), "a name that is no text"),
        (set_at(*COMPONENTS, 0, to="9.npy"), "missing"),
        (set_at(*COMPONENTS, 0, to="../../etc/passwd"), "missing"),
        (set_at(*COMPONENTS, 1, to="<f4"), "is not of dtype <f4"),
        (set_at(*COMPONENTS, 1, to="|O8"), "is declared with dtype"),
        (set_at(*COMPONENTS, 2, to=[10**9, 10**9]), "is not of dtype"),
        (set_at(*COMPONENTS, 2, to=[-1, -4]), "is declared with dtype"),
        (set_at(*COMPONENTS, 2, to=[4, 1]), "is not of dtype"),
        (lambda header: header["model"]["fitted"].pop("clip_range_"), "clip_range_"),
        (lambda header: header["model"]["fitted"].pop("indicator_"), "damaged"),
    ],
)
def test_edited_headers_are_refused(path, edit, message):
    path.write_bytes(edited(edit))
    refuse(path, message)


# --- nothing is believed: every attribute and every parameter of every model --------------------------------------


@functools.cache
def fitted(index: int) -> bytes:
    """A file of a small fitted model; together they have every class and every attribute."""
    X = np.random.default_rng(0).random((6, 4)) + 0.1
    X[0, 0] = np.nan
    return written(EVERY[index].fit(sparse.csr_array(np.nan_to_num(X)) if "absent" in repr(EVERY[index]) else X))


EVERY = [
    NMF((3, 2), loss="correntropy", **FEW),
    NMF(2, biases=True, sparse_missing="absent", **FEW),
    ATNMF(2, **FEW),
    DeepNMF((3, 2), **FEW),
    ADNMF((3, 2), **FEW),
    EADNMF((3, 2), **FEW),
    HQASD(2, **FEW),
    DMF(2, (5, 4), **FEW),
    ANMF(2, **FEW),
    AutoNMF(max_candidates=2, random_state=0),
    NMFImputer(NMF(1, **FEW), add_indicator=True, clip="observed"),
]
each_model = pytest.mark.parametrize("index", range(len(EVERY)), ids=lambda index: type(EVERY[index]).__name__)

# What no parameter and no attribute of any model may be.
ALIENS = [
    {"tuple": []},
    {"tuple": [{"float": "nan"}]},
    {"model": {"class": "HQASD", "params": {}, "fitted": {}}},
]


def test_every_class_is_among_them():
    assert {type(model) for model in EVERY} == {model_class(name) for name in registered}


def changed(index: int, edit) -> bytes:
    """The file with its model (a tree) and its arrays (by name) edited, whatever else says so made to agree."""
    content = members(fitted(index))
    header = json.loads(content["header.json"])
    edit(header["model"], content)
    content["header.json"] = json.dumps(header).encode()
    return packed(content)


@each_model
def test_attributes_are_needed_and_believed_of_no_file(path, index):
    """Every attribute that is stored is checked: a new one must have its rule."""
    for name in json.loads(members(fitted(index))["header.json"])["model"]["fitted"]:
        for alien in ALIENS:
            path.write_bytes(changed(index, lambda tree, _: tree["fitted"].update({name: alien})))  # noqa: B023
            refuse(path, f"damaged: .*{name}")
        if name != "adversary_":  # files of format 1 have none
            path.write_bytes(changed(index, lambda tree, _: tree["fitted"].pop(name)))  # noqa: B023
            refuse(path, f"damaged: .*{name}")


@each_model
def test_parameters_are_believed_of_no_file(path, index):
    """Every parameter is checked: a new one must be looked at by `check_parameters`."""
    for name, value in EVERY[index].get_params(deep=False).items():
        counts = [10**15] if isinstance(value, int) and name not in ("verbose", "biases") else []
        for alien in [*ALIENS[:2], {"float": "nan"}, *counts]:
            path.write_bytes(changed(index, lambda tree, _: tree["params"].update({name: alien})))  # noqa: B023
            refuse(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_iter", 10**15),
        ("n_init", 10**9),
        ("pretrain_iter", 10**12),
        ("attack_every", 10**12),
        ("n_components", 10**9),
        ("random_state", -1),
        ("time_limit", {"float": "nan"}),
        ("alpha_W", {"float": "nan"}),
        ("solver", {"solver": ["hals", {"n_passes": 10**12}]}),
        ("solver", {"solver": ["mu", {"n_repeats": 10**12}]}),
        ("adversary", {"adversary": ["frobenius_penalty", {"lam": 1.0}]}),
        ("callback", "print"),
    ],
)
def test_absurd_parameters_are_refused_wherever_a_model_stands(path, name, value):
    """At the top, as the model that an imputer is to fit, and as the one that it has fitted."""
    for index, keys in [(0, ()), (10, ("params", "estimator", "model")), (10, ("fitted", "estimator_", "model"))]:

        def edit(tree, _, keys=keys):
            for key in keys:
                tree = tree[key]
            tree["params"][name] = value

        path.write_bytes(changed(index, edit))
        refuse(path, "damaged: ")


def test_models_with_absurd_parameters_are_not_saved(path):
    for model in (NMF(max_iter=10**15), NMF(0), NMFImputer(NMF(alpha_W=-1.0)), NMFImputer(clip=(2, 1))):
        with pytest.raises(ValueError, match="cannot be saved"):
            save(model, path)
    assert not path.exists()


def arrays_of(tree: object) -> list[list]:
    """[member, dtype, shape] of every array, in its place."""
    if isinstance(tree, dict) and list(tree) == ["array"]:
        return [tree["array"]]
    values = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return [entry for value in values for entry in arrays_of(value)]


def harmed(A: np.ndarray) -> list[np.ndarray]:
    """Arrays in place of `A` that no model can use: of other shapes, and of impossible numbers."""
    wider = np.concatenate([A, A[..., -1:]], axis=-1)
    others = [wider, A[None], A[..., :0], A.astype("<f4" if A.dtype != np.float32 else "<f8"), A.astype("|u1")]
    if A.dtype.kind == "f":
        for value in (np.nan, np.inf, -np.inf):
            others.append(A.copy())
            others[-1].flat[-1] = value
    return others


@each_model
def test_arrays_are_believed_of_no_file(path, index):
    content = members(fitted(index))
    tree = json.loads(content["header.json"])["model"]
    # The ends of a range may be infinite, and of any precision.
    ends = [entry for name in ("clip_range_", "clip_") for entry in arrays_of(tree["fitted"].get(name))]
    for number, entry in enumerate(arrays_of(tree)):
        A = np.lib.format.read_array(io.BytesIO(content[entry[0]]))
        for B in harmed(A):
            if entry in ends and B.shape == A.shape and B.dtype.kind == "f" and not np.isnan(B).any():
                continue

            def edit(tree, content, B=B, number=number):
                entry = arrays_of(tree)[number]
                content[entry[0]], entry[1:] = npy(B, version=(1, 0)), [B.dtype.str, list(B.shape)]

            path.write_bytes(changed(index, edit))
            refuse(path, "damaged: ")


def fitted_to(**values: object):
    def edit(tree, content):
        for name, value in values.items():
            if callable(value):
                value(tree["fitted"][name], content)
            else:
                tree["fitted"][name] = value

    return edit


def times(factor: float):
    """Multiply an array, or the last of a list of arrays."""

    def scale(entry, content):
        entry = (entry[-1] if isinstance(entry, list) else entry)["array"]
        content[entry[0]] = npy(np.lib.format.read_array(io.BytesIO(content[entry[0]])) * factor, version=(1, 0))

    return scale


@pytest.mark.parametrize(
    ("index", "edit", "message"),
    [
        (0, fitted_to(n_components_={"tuple": [2, 3]}), "n_components_"),
        (0, fitted_to(n_components_=2), "n_components_"),
        (0, fitted_to(loss_={"loss": ["correntropy", {"sigma": "iqr"}]}), "loss_ has no scale"),
        (0, fitted_to(components_=times(1e200)), "too large to be squared"),
        (1, fitted_to(global_bias_=1e200), "too large to be squared"),
        (2, fitted_to(loss_={"loss": ["elastic", {"delta": 0.5}]}), "lam=2.0 must exceed 3"),
        (6, fitted_to(sigma_=0.0), "sigma_ is 0"),
        (6, fitted_to(components_=times(-1e200)), "too large to be squared"),
        (7, fitted_to(activations_={"tuple": ["tanh"]}), "not of as many layers"),
        (8, fitted_to(attacked_components_=times(1e200)), "too large to be squared"),
        (9, fitted_to(n_components_=99), "n_components_ is not"),
    ],
)
def test_what_must_hold_between_attributes(path, index, edit, message):
    path.write_bytes(changed(index, edit))
    refuse(path, f"damaged: .*{message}")


@pytest.mark.parametrize("ends", [(2.0, 1.0), (np.nan, 1.0), (np.inf, np.inf), (-np.inf, -np.inf)])
def test_ranges_without_a_number_in_them_are_refused(path, ends):
    imputer = NMFImputer(NMF(1, **FEW), clip=(0.0, 1.0)).fit(np.random.default_rng(0).random((8, 4)) + 0.1)
    imputer.clip_range_[:, 1] = ends
    with pytest.raises(ValueError, match="clip_range_ of NMFImputer holds a lower end above"):
        save(imputer, path)
    with pytest.raises(ValueError, match=r"clip=.* must be"):
        NMFImputer(NMF(1, **FEW), clip=ends).fit(np.ones((2, 2)))


def test_models_of_an_average_have_the_same_samples(path):
    X = np.random.default_rng(0).random((8, 4)) + 0.1
    auto = AutoNMF(max_candidates=1, random_state=0).fit(X)
    auto.models_.append(NMF(1, **FEW).fit(X[:5]))
    with pytest.raises(ValueError, match="models_ are fitted to different numbers of samples"):
        save(auto, path)


def test_the_model_of_an_imputer_knows_what_the_imputer_has_learnt(path):
    X = np.random.default_rng(0).random((8, 4)) + 0.1
    imputer = NMFImputer(NMF(1, **FEW)).fit(X)
    imputer.learnt_features_[0] = False
    with pytest.raises(ValueError, match="learnt_features_ are 3, but the model inside knows 4"):
        save(imputer, path)


@pytest.mark.parametrize("where", [0, 1, 2, -1])
@pytest.mark.parametrize("value", [-1, 10**9, -(10**9), 2**31 - 1])
@pytest.mark.parametrize("which", [0, 1])
def test_indices_outside_are_refused(path, which, where, value):
    """Row pointers and columns of what was observed, which `recommend` follows into memory."""

    def edit(tree, content):
        entry = tree["fitted"]["seen_"]["tuple"][which]["array"]
        indices = np.lib.format.read_array(io.BytesIO(content[entry[0]])).copy()
        indices[where] = value
        content[entry[0]] = npy(indices, version=(1, 0))

    path.write_bytes(changed(1, edit))
    refuse(path, "damaged: seen_ of NMF")


def test_counts_below_zero_are_refused(path):
    def edit(tree, content):
        entry = tree["fitted"]["column_counts_"]["array"]
        counts = np.lib.format.read_array(io.BytesIO(content[entry[0]])).copy()
        counts[1] = -3
        content[entry[0]] = npy(counts, version=(1, 0))

    path.write_bytes(changed(1, edit))
    refuse(path, "damaged: column_counts_ of NMF holds")


@pytest.mark.parametrize(
    ("item", "value", "message"),
    [
        (0, -1.0, "a negative count or deviation"),
        (2, -1.0, "a negative count or deviation"),
        (1, {"float": "nan"}, "has an item 2 that is nan"),
        (2, {"float": "inf"}, "has an item 3 that is inf"),
        (2, 1e200, "too large to be squared"),
        (4, 1e9, "has a mean of 1e"),
    ],
)
def test_what_recommendations_are_weighed_by_makes_sense(path, item, value, message):
    def edit(tree, content):
        tree["fitted"]["reliability_"]["tuple"][item] = value

    path.write_bytes(changed(1, edit))
    refuse(path, message)


def test_row_pointers_that_fall_are_refused(path):
    def edit(tree, content):
        entry = tree["fitted"]["seen_"]["tuple"][0]["array"]
        indptr = np.lib.format.read_array(io.BytesIO(content[entry[0]])).copy()
        indptr[[2, 3]] = indptr[[3, 2]]
        content[entry[0]] = npy(indptr, version=(1, 0))

    path.write_bytes(changed(1, edit))
    refuse(path, "row pointers that do not rise from 0 to")


def test_parameters_of_a_later_version_keep_their_default(path):
    """A file of an older version, that has one parameter less, still loads."""
    path.write_bytes(edited(lambda header: header["model"]["params"].pop("clip")))
    assert load(path).clip is None


def npy(array: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def header_says(text: bytes, data: bytes = b"") -> bytes:
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


HUGE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000000000), }"


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"\x93NUMPY",
        npy(np.ones(3)),
        npy(np.ones((1, 4)), version=(2, 0)),
        npy(np.array([[None] * 4]), allow_pickle=True),
        npy(np.ones((1, 4))) + b"\0",
        npy(np.ones((1, 4)))[:-1],
        npy(np.ones((1, 4), ">f8")),
        header_says(HUGE),
        header_says(b"(" * 100),
        header_says(b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999999999999999,), }"),
    ],
)
def test_wrong_arrays_are_refused(path, member):
    content = members(saved())
    name = json.loads(content["header.json"])["model"]["fitted"]["estimator_"]["model"]["fitted"]["components_"]
    content[name["array"][0]] = member
    path.write_bytes(packed(content))
    refuse(path)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_impossible_factors_are_refused(path, value):
    model = NMF(2, **FEW).fit(np.ones((5, 4)) + np.eye(5, 4))
    model.factors_[0][0, 0] = value
    with pytest.raises(ValueError, match="cannot be saved: factors_ of NMF has an item 1 that holds"):
        save(model, path)
    assert not path.exists()


def test_additional_members_are_refused(path):
    path.write_bytes(packed({**members(saved()), "more.npy": npy(np.ones(3))}))
    refuse(path, "nothing refers to")


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_members_of_one_name_are_refused(path):
    path.write_bytes(saved())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("0.npy", npy(np.ones(3)))
    refuse(path, "two members have one name")


def test_compressed_members_are_refused_before_they_unfold(path, monkeypatch):
    """A bomb: ten megabytes of zeros in a few kilobytes."""
    bomb = {**members(saved()), "0.npy": bytes(10**7)}
    path.write_bytes(packed(bomb, zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 10**5
    monkeypatch.setattr("advnmf.io.model_archive._read_header", lambda text: pytest.fail("read before it was checked"))
    refuse(path, "compressed")


def test_overlapping_members_are_refused(path):
    """Many entries of the directory that point at one member."""
    content = saved()
    entry = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    first = bytearray(content[entry : content.index(b"PK\x01\x02", entry + 1)])
    name = first.index(b"header.json")
    copies = b""
    for index in range(50):
        first[name : name + 11] = f"head{index:03d}.npy".encode()
        copies += bytes(first)
    tail = bytearray(content[end:])
    count = int.from_bytes(tail[10:12], "little") + 50
    tail[8:10] = tail[10:12] = count.to_bytes(2, "little")
    tail[12:16] = (end - entry + len(copies)).to_bytes(4, "little")
    path.write_bytes(content[:end] + copies + bytes(tail))
    refuse(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"[" * 200_000, "nested more than"),
        (b'{"a": ' * 100 + b"1" + b"}" * 100, "nested more than"),
        (b'{"format": ' + b"9" * 4_200 + b"}", "an integer of 4200 digits"),
        (b'{"format": -' + b"9" * 100_000 + b"}", "an integer of 100001 digits"),
        (b'{"format": 1e999}', "the number 1e999"),
        (b'{"format": NaN}', "the number NaN"),
        (b'{"format": 0.' + b"1" * 5_000 + b"}", "the number 0.1111"),
        (b'{"format": 1, "format": 2}', "one thing twice"),
        (b'{"format": "\xff"}', "damaged"),
        (json.dumps({"format": 1}).encode("utf-16"), "damaged"),
        (b'{"format": "' + b'\\"' * 2_000_000, "damaged"),
        (b'"' + b"\\" * 4_000_001, "damaged"),
    ],
)
def test_headers_that_no_model_has_are_refused(path, header, message):
    path.write_bytes(packed({"header.json": header}))
    refuse(path, message)


def test_brackets_in_names_are_not_taken_for_nesting(path):
    frame = pd.DataFrame(np.ones((3, 60)) + np.eye(3, 60), columns=[f'a \\"[{{[ {j}' for j in range(60)])
    save(NMF(1, **FEW).fit(frame), path)
    assert list(load(path).feature_names_in_) == list(frame.columns)


def test_too_many_values_are_refused(path):
    def edit(tree, _):
        tree["params"]["n_components"] = [{"model": {"class": "NMF", "params": {}, "fitted": {}}}] * 2000

    path.write_bytes(changed(0, edit))
    refuse(path, "more than 200000 values")


def test_a_limit_of_size_that_can_be_raised(path):
    """Of the file, and of its header."""
    path.write_bytes(saved())
    size = len(saved())
    with pytest.raises(ValueError, match=f"it has {size} bytes, more than max_bytes=1000: .*max_bytes={size}"):
        load(path, max_bytes=1000)
    with pytest.raises(ValueError, match=r"its header has .* bytes, more than") as raised:
        load(path, max_bytes=size)
    enough = int(str(raised.value).rpartition("max_bytes=")[2].partition(")")[0])
    assert written(load(path, max_bytes=enough)) == saved()


def test_a_file_of_holes_is_refused_before_it_is_read(path):
    """Two gigabytes that take no room on the disk."""
    with open(path, "wb") as stream:
        stream.truncate(2**31)
    refuse(path, "more than max_bytes")


def test_archives_of_very_many_files_are_refused(path):
    path.write_bytes(packed({f"{n}.npy": b"" for n in range(25_000)}))
    refuse(path, "too many files")


def test_the_directory_is_not_read_in_the_size_that_it_claims(path):
    """The record of large archives may claim any size."""
    content = saved()
    end = content.index(b"PK\x05\x06")
    claimed = (end - 100).to_bytes(8, "little")
    record = b"PK\x06\x06" + (44).to_bytes(8, "little") + bytes(12) + (9).to_bytes(8, "little") * 2 + claimed + bytes(8)
    locator = b"PK\x06\x07" + bytes(4) + (end + 2**21).to_bytes(8, "little") + (1).to_bytes(4, "little")
    path.write_bytes(content[:end] + bytes(2**21) + record + locator + content[end:])
    refuse(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_is_not_waited_for(path):
    os.mkfifo(path)
    refuse(path, "not a regular file")


@pytest.mark.parametrize(
    "text", ["\x1b[2J\x07", "a\nb\rc", "\u202egpj.", "x" * 10**6], ids=["escape", "line", "bidi", "long"]
)
@pytest.mark.parametrize("where", ["class", "parameter", "attribute", "value", "kind", "part", "member"])
def test_what_a_file_says_is_not_shown_as_it_is(path, where, text):
    """Control characters of a file never reach a terminal, and its length is not that of the message."""

    def edit(tree, content):
        if where == "class":
            tree["class"] = text
        elif where == "part":
            tree["params"]["loss"] = {"loss": [text, {}]}
        elif where == "member":
            content[text[:60_000]] = b""
        elif where == "attribute":
            tree["fitted"][text] = 1
        else:
            key = {"parameter": text}.get(where, "attack")
            tree["params"][key] = {text: 1} if where == "kind" else text

    path.write_bytes(changed(0, edit))
    with pytest.raises(ValueError, match=r"damaged|not have|not part of|no parameter|no fitted attribute") as raised:
        load(path)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 700


def test_the_package_version_is_noted():
    assert json.loads(members(saved())["header.json"])["advnmf_version"] == advnmf.__version__
