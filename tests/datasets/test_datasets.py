"""The data sets: what the loaders make of the files, how files are fetched, and holes made on purpose."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat

from advnmf import DataWarning, datasets
from advnmf.datasets import catalogue, fetching, images, missing, movielens
from advnmf.io.files import FileError

FRACTIONS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


# --- loaders, on the real files -------------------------------------------------------------------------------


def check_masks(data):
    assert list(data.masks) == FRACTIONS
    for fraction, mask in data.masks.items():
        assert mask.shape == data.X.shape
        assert mask.dtype == bool
        assert mask.mean() == pytest.approx(1 - fraction, abs=0.011)


@pytest.mark.usefixtures("data_dir")
def test_cbcl_is_the_study_s():
    """Its notebook prints 22290.773 for this start, these steps and this mask."""

    def as_in_the_study(faces):
        return faces.reshape(-1, 19, 19).transpose(2, 1, 0).reshape(361, -1)

    data = datasets.fetch_cbcl()
    check_masks(data)
    V, M = as_in_the_study(data.X), as_in_the_study(data.masks[0.3])
    rng = np.random.RandomState(1)
    W, H = np.abs(rng.randn(361, 49)), np.abs(rng.randn(49, 2429))
    for _ in range(5):
        W *= ((M * V) @ H.T) / (W @ (H @ H.T))
        H *= (W.T @ (M * V)) / ((W.T @ W) @ H)
    assert np.sum((M * (V - W @ H)) ** 2) == pytest.approx(22290.773, abs=5e-4)


@pytest.mark.usefixtures("data_dir")
def test_raw_faces_are_upright_and_not_inverted():
    faces = datasets.fetch_cbcl(preparation="raw").X.reshape(-1, 19, 19)
    assert 0 <= faces.min() < faces.max() < 1
    mean = faces.mean(axis=0)
    np.testing.assert_allclose(mean, mean[:, ::-1], atol=0.1)  # faces are symmetric left to right only
    assert np.abs(mean - mean[::-1]).max() > 0.2
    assert mean[5, 4] < mean[9, 9] - 0.1  # an eye is darker than the nose


@pytest.mark.usefixtures("data_dir")
def test_moffet():
    data = datasets.fetch_moffet()
    assert data.X.shape == (2500, 165)
    assert data.cube_shape == (50, 50, 165)
    assert (data.X.min(), data.X.max(), round(data.X.mean(), 5)) == (0, 0.5326, 0.10852)
    check_masks(data)
    spectra = np.abs(np.diff(data.X, axis=1)).mean()
    assert spectra < np.abs(np.diff(data.X, axis=0)).mean()  # along a row lies a smooth spectrum


@pytest.mark.usefixtures("data_dir")
def test_synthetic_matrix():
    data = datasets.fetch_synthetic()
    assert data.X.shape == (50, 100)
    assert np.linalg.matrix_rank(data.X) == 5
    assert np.sqrt(np.mean(data.X**2)) == pytest.approx(9.0442, abs=1e-4)
    check_masks(data)


@pytest.mark.usefixtures("data_dir")
def test_digits():
    data = datasets.fetch_mnist(500, random_state=0)
    again = datasets.fetch_mnist(500, random_state=0)
    everything = datasets.fetch_mnist(None)
    assert data.X.shape == (500, 784)
    assert (data.X.min(), data.X.max()) == (0, 1)
    assert data.masks == {}
    np.testing.assert_array_equal(data.X, again.X)
    assert (everything.X.shape, everything.target[:5].tolist()) == ((10000, 784), [7, 2, 1, 0, 4])
    # Distinct pictures, each with its own label.
    rows = {row.tobytes(): label for row, label in zip(everything.X, everything.target, strict=True)}
    assert len({row.tobytes() for row in data.X}) == 500
    assert [rows[row.tobytes()] for row in data.X] == data.target.tolist()


@pytest.mark.usefixtures("data_dir")
def test_ratings():
    data = datasets.fetch_movielens_100k()
    assert (data.X.shape, data.X.nnz, data.X_test.nnz) == ((943, 1682), 80000, 20000)
    assert set(data.X.data) == {1, 2, 3, 4, 5}
    users, films, ratings = data.test
    np.testing.assert_array_equal(data.X_test[users, films], ratings)
    assert data.X.multiply(data.X_test).nnz == 0


def test_pictures_and_their_masks(data_dir):
    read_mask = pytest.importorskip("advnmf.io.pictures").read_mask
    data = datasets.fetch_inpainting_pictures()
    assert {name: picture.shape for name, picture in data.pictures.items()} == dict.fromkeys(
        ["img1", "img2", "img3", "img4"], (300, 300, 3)
    )
    for name, mask in data.masks.items():
        np.testing.assert_array_equal(
            mask, read_mask(data_dir / "inpainting" / f"mask_{name}.png", polarity="white-observed")
        )


# --- loaders, on files made here ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of data sets, an empty cache beside it, and a registry of `registered` files only."""
    folder, cache = tmp_path / "data", tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv(fetching.ENVIRONMENT, str(folder))
    for module in (fetching, images):
        monkeypatch.setattr(module, "cache_folder", lambda: cache)
    monkeypatch.setattr(fetching, "registry", lambda: {})
    return folder


def register(monkeypatch, path, content, url="http://127.0.0.1:9/none"):
    remote = fetching.RemoteFile(path, len(content), hashlib.sha256(content).hexdigest(), url)
    files = {**fetching.registry(), path: remote}
    monkeypatch.setattr(fetching, "registry", lambda: files)
    return remote


def put(folder, path, content):
    (folder / path).parent.mkdir(exist_ok=True, parents=True)
    (folder / path).write_bytes(content)


def test_coco(folder, monkeypatch):
    Image = pytest.importorskip("PIL.Image")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, color in (("val2017/2.jpg", (255, 255, 255)), ("val2017/1.jpg", (255, 0, 0))):
            picture = io.BytesIO()
            Image.new("RGB", (30, 100), color).save(picture, "JPEG")
            archive.writestr(name, picture.getvalue())
    register(monkeypatch, "coco2017/val2017.zip", stream.getvalue())
    put(folder, "coco2017/val2017.zip", stream.getvalue())
    with pytest.raises(FileError, match="holds 2 jpg pictures; 5000 were expected"):
        datasets.fetch_coco2017()
    monkeypatch.setattr(images, "_COCO_PICTURES", 2)
    first = datasets.fetch_coco2017()
    assert (first.X.shape, first.X.dtype, first.image_shape) == ((2, 4096), np.float32, (64, 64))
    np.testing.assert_allclose(first.X[:, 0], [0.299, 1], atol=0.01)  # by name, red weighs 0.299
    assert (folder / "coco2017" / "val2017.zip").exists()
    (folder / "coco2017" / "val2017.zip").unlink()
    np.testing.assert_array_equal(datasets.fetch_coco2017().X, first.X)  # from the array in the cache
    # An archive of the cache goes once it has been read.
    (images.cache_folder() / images.COCO_EXTRACT).unlink()
    put(images.cache_folder(), "coco2017/val2017.zip", stream.getvalue())
    np.testing.assert_array_equal(datasets.fetch_coco2017().X, first.X)
    assert [path.name for path in (images.cache_folder() / "coco2017").iterdir()] == ["val2017-grey64.npy"]


def idx(array):
    """An array as a gzipped IDX file."""
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes())


def test_subsets_of_fashion_mnist(folder, monkeypatch):
    pictures = {"train": np.arange(3 * 784) % 251, "t10k": np.arange(2 * 784) % 241}
    for i, (part, values) in enumerate(pictures.items()):
        arrays = {
            "images-idx3": values.astype(np.uint8).reshape(-1, 28, 28),
            "labels-idx1": np.full(3 - i, i, np.uint8),
        }
        for kind, array in arrays.items():
            content = idx(array)
            register(monkeypatch, f"fashion-mnist/{part}-{kind}-ubyte.gz", content)
            put(folder, f"fashion-mnist/{part}-{kind}-ubyte.gz", content)
    data = datasets.fetch_fashion_mnist(None, subset="all")
    np.testing.assert_array_equal(data.X, np.concatenate(list(pictures.values())).reshape(5, 784) / 255)
    assert (data.target.tolist(), data.image_shape) == ([0, 0, 0, 1, 1], (28, 28))
    assert datasets.fetch_fashion_mnist(None, subset="train").X.shape == (3, 784)
    chosen = datasets.fetch_fashion_mnist(2, random_state=0)
    assert (chosen.X.shape, chosen.target.tolist()) == ((2, 784), [1, 1])
    with pytest.raises(ValueError, match="n_samples must be from 1 to 2 or None, not 3"):
        datasets.fetch_fashion_mnist(3)


def test_madonna_is_turned(folder, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = {"clean_Madonna": rng.random((4, 2500))}
    arrays |= {f"mask{number}": (rng.random((4, 2500)) < 0.9 - 0.1 * number).astype(np.uint8) for number in range(1, 8)}
    for name, array in arrays.items():
        stream = io.BytesIO()
        savemat(stream, {"any": array})
        register(monkeypatch, f"madonna/{name}.mat", stream.getvalue())
        put(folder, f"madonna/{name}.mat", stream.getvalue())
    data = datasets.fetch_madonna()
    np.testing.assert_array_equal(data.X, arrays["clean_Madonna"].T)
    np.testing.assert_array_equal(data.masks[0.9], arrays["mask7"].T == 1)
    assert data.cube_shape == (50, 50, 4)


def test_ratings_of_any_fold_out_of_the_archive(folder, monkeypatch):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("ml-100k/u3.base", "1\t2\t5\t874965758\n943\t1682\t1\t876893171\n")
        archive.writestr("ml-100k/u3.test", "1\t3\t4\t878542960\n")
    register(monkeypatch, "ratings/ml-100k.zip", stream.getvalue())
    put(folder, "ratings/ml-100k.zip", stream.getvalue())
    with pytest.raises(FileError, match=r"ml-100k.zip: u3.base has 2 ratings; 80000 were expected"):
        datasets.fetch_movielens_100k(fold=3)
    monkeypatch.setattr(movielens, "_N_RATINGS", {"base": 2, "test": 1})
    data = datasets.fetch_movielens_100k(fold=3)
    assert (data.X[0, 1], data.X[942, 1681], data.X_test[0, 2]) == (5, 1, 4)
    assert (data.X.nnz, data.X_test.nnz) == (2, 1)
    put(folder, "ratings/u3.test", b"user,film\n")
    with pytest.raises(FileError, match=r"u3.test has lines other than"):
        datasets.fetch_movielens_100k(fold=3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: datasets.fetch_cbcl(preparation="x"), "'study' or 'raw'"),
        (lambda: datasets.fetch_mnist(subset="x"), "'train', 'test', 'all'"),
        (lambda: datasets.fetch_movielens_100k(fold=0), "1, 2, 3, 4 or 5"),
    ],
)
def test_wrong_arguments(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_generator_of_the_study():
    data = datasets.load_synthetic(150, 100, 4, random_state=0)
    assert data.X.shape == (150, 100)
    assert np.linalg.matrix_rank(data.X) == 4
    np.testing.assert_allclose(data.X, data.W @ data.H)
    # E w^2 = s^2 for a half-normal of scale s; inverse gamma of shape 50, scale 70 has mean 70/49, deviation 0.206.
    np.testing.assert_allclose(np.sqrt(np.mean(data.W**2, axis=0)), data.scales, rtol=0.25)
    np.testing.assert_allclose(np.sqrt(np.mean(data.H**2, axis=1)), data.scales, rtol=0.25)
    scales = datasets.load_synthetic(1, 1, 20000, random_state=0).scales
    assert scales.mean() == pytest.approx(70 / 49, rel=0.01)
    assert scales.std() == pytest.approx(70 / 49 / np.sqrt(48), rel=0.05)
    np.testing.assert_array_equal(data.X, datasets.load_synthetic(150, 100, 4, random_state=0).X)


# --- fetching -------------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves one content; can break off, or refuse ranges; keeps the headers of the requests."""

    content = b""
    break_off_after = None  # bytes of the first answer
    ranges = True

    def __init__(self):
        self.requests = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/a.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(self.headers.get("Range"))
        if urlsplit(self.path).path != "/a.bin":
            self.send_error(404)
            return
        begin = int(self.headers["Range"][6:-1]) if server.ranges and self.headers["Range"] else 0
        rest = server.content[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: server.break_off_after])
        server.break_off_after = None

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    pytest.importorskip("tqdm")
    core = pytest.importorskip("pooch.core")
    monkeypatch.setattr(core.time, "sleep", lambda _: None)  # between attempts
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        server.content = np.random.default_rng(0).bytes(300_000)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("folder")
class TestFetch:
    def test_once(self, server, monkeypatch):
        register(monkeypatch, "set/a.bin", server.content, server.url)
        assert fetching.fetch("set/a.bin").read_bytes() == server.content
        assert fetching.fetch("set/a.bin").read_bytes() == server.content
        assert server.requests == [None]

    def test_a_local_file_comes_first(self, server, monkeypatch, folder):
        register(monkeypatch, "set/a.bin", server.content, server.url)
        put(folder, "set/a.bin", server.content)
        assert fetching.fetch("set/a.bin") == folder / "set" / "a.bin"
        assert server.requests == []

    def test_a_local_file_with_another_content_is_refused(self, server, monkeypatch, folder):
        register(monkeypatch, "set/a.bin", server.content, server.url)
        put(folder, "set/a.bin", server.content[:-1])
        with pytest.raises(FileError, match=r"a\.bin is not the file that was published: its SHA-256 is"):
            fetching.fetch("set/a.bin")

    def test_a_spoilt_file_in_the_cache_is_fetched_anew(self, server, monkeypatch):
        register(monkeypatch, "set/a.bin", server.content, server.url)
        fetching.fetch("set/a.bin").write_bytes(b"spoilt")
        assert fetching.fetch("set/a.bin").read_bytes() == server.content

    @pytest.mark.parametrize("ranges", [True, False])
    def test_goes_on_after_a_break(self, server, monkeypatch, ranges):
        server.break_off_after, server.ranges = 200_000, ranges
        register(monkeypatch, "set/a.bin", server.content, server.url)
        file = fetching.fetch("set/a.bin")
        assert file.read_bytes() == server.content
        first, second = server.requests
        assert first is None
        assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 200_000
        assert [path.name for path in file.parent.iterdir()] == ["a.bin"]

    def test_goes_on_in_another_run(self, server, monkeypatch):
        register(monkeypatch, "set/a.bin", server.content, server.url)
        put(fetching.cache_folder(), "set/a.bin.part", server.content[:1000])
        assert fetching.fetch("set/a.bin").read_bytes() == server.content
        assert server.requests == ["bytes=1000-"]

    def test_ctrl_c_keeps_what_is_there(self, server, monkeypatch):
        register(monkeypatch, "set/a.bin", server.content, server.url)

        def interrupted(url, file, n_bytes):
            file.write_bytes(server.content[:500])
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(fetching, "_get", interrupted)
            with pytest.raises(KeyboardInterrupt):
                fetching.fetch("set/a.bin")
        assert fetching.fetch("set/a.bin").read_bytes() == server.content
        assert server.requests == ["bytes=500-"]

    def test_a_wrong_part_is_not_believed(self, server, monkeypatch):
        register(monkeypatch, "set/a.bin", server.content, server.url)
        put(fetching.cache_folder(), "set/a.bin.part", b"x" * 1000)
        assert fetching.fetch("set/a.bin").read_bytes() == server.content
        assert server.requests == ["bytes=1000-", None]

    @pytest.mark.parametrize(
        ("path", "content", "words"),
        [
            ("", bytes(300_000), "does not match the known hash"),
            ("", b"other", "the server sends more than the 5 bytes of the registered file"),
            ("/gone", None, "404"),
        ],
    )
    def test_wrong_content_and_wrong_address(self, server, monkeypatch, path, content, words):
        register(monkeypatch, "set/a.bin", content or server.content, server.url + path)
        with pytest.raises(FileError, match=words) as caught:
            fetching.fetch("set/a.bin")
        assert len(server.requests) == 3
        assert not (fetching.cache_folder() / "set" / "a.bin").exists()
        assert server.url + path in str(caught.value)

    def test_links_in_the_cache_are_not_followed(self, server, monkeypatch, tmp_path):
        mine = tmp_path / "mine"
        mine.write_bytes(b"mine")
        register(monkeypatch, "set/a.bin", server.content, server.url)
        cache = fetching.cache_folder()
        for link, target in (("set/a.bin", mine), ("set/a.bin.part", mine), ("set", tmp_path / "elsewhere")):
            (tmp_path / "elsewhere").mkdir(exist_ok=True)
            place = cache / link
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
            with pytest.raises(FileError, match="is a link, and links within the cache are not followed: remove it"):
                fetching.fetch("set/a.bin")
            assert fetching.local_or_cached("set/a.bin") is None
            place.unlink()
            if place.parent != cache:
                place.parent.rmdir()
        assert mine.read_bytes() == b"mine"
        assert server.requests == []

    def test_offline_error_names_file_address_and_places(self, server, monkeypatch):
        remote = register(monkeypatch, "set/a.bin", server.content)
        with pytest.raises(FileError) as caught:
            fetching.fetch("set/a.bin")
        message = str(caught.value)
        assert "\n" not in message
        for part in ("a.bin", remote.url, str(fetching.cache_folder() / "set/a.bin"), fetching.ENVIRONMENT):
            assert part in message

    def test_no_such_folder(self, monkeypatch):
        register(monkeypatch, "set/a.bin", b"")
        monkeypatch.setenv(fetching.ENVIRONMENT, "no such folder")
        with pytest.raises(FileError, match="ADVNMF_DATA=no such folder is not a folder"):
            fetching.fetch("set/a.bin")

    def test_without_pooch_the_extra_is_named(self, monkeypatch):
        register(monkeypatch, "set/a.bin", b"")
        monkeypatch.setitem(sys.modules, "pooch", None)
        with pytest.raises(ImportError, match=r"pip install 'advnmf\[data\]'"):
            fetching.fetch("set/a.bin")


def test_catalogue_and_registry_fit():
    files = [file for data_set in datasets.CATALOGUE for file in data_set.files]
    assert sorted(file.path for file in files) == sorted(fetching.registry())
    assert all(len(bytes.fromhex(file.sha256)) == 32 and file.url.startswith("http") for file in files)
    for data_set in datasets.CATALOGUE:
        assert callable(getattr(datasets, data_set.loader))
        assert data_set.bytes > 0


def test_how_much_is_here(folder, monkeypatch):
    monkeypatch.setattr(catalogue, "registry", lambda: fetching.registry())
    register(monkeypatch, "coco2017/a", b"a")
    (coco,) = (data_set for data_set in datasets.CATALOGUE if data_set.folder == "coco2017")
    assert (coco.bytes, coco.n_here) == (1, 0)
    put(folder, "coco2017/a", b"a")
    assert coco.n_here == 1
    (folder / "coco2017" / "a").rename(folder / images.COCO_EXTRACT)
    assert coco.n_here == 1


def test_the_command_that_lists_them(folder):
    testing = pytest.importorskip("click.testing")
    from advnmf.cli.app import program

    put(folder, "moffet/clean_Moffet.mat", b"")
    put(folder, images.COCO_EXTRACT, b"")
    result = testing.CliRunner().invoke(program, ["datasets"])
    assert result.exit_code == 0, result.output
    words = {line.split()[0]: line.split() for line in result.output.splitlines() if line.startswith("fetch_")}
    assert list(words) == [data_set.loader for data_set in datasets.CATALOGUE]
    assert words["fetch_moffet"][-3:] == ["1", "of", "8"]
    assert (words["fetch_coco2017"][-1], words["fetch_cbcl"][-1]) == ("yes", "no")


# --- holes ----------------------------------------------------------------------------------------------------

PATTERNS = ["uniform", "rows", "blocks", "text"]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("fraction", [0, 0.1, 0.333, 0.6])
@pytest.mark.parametrize("image_shape", [None, (10, 12)])
@pytest.mark.filterwarnings("ignore::advnmf.DataWarning")
def test_exactly_the_fraction_is_hidden(pattern, fraction, image_shape):
    X = np.ones((31, 120))
    X[::3, ::5] = np.nan
    n_observed = np.count_nonzero(~np.isnan(X))
    mask = datasets.make_missing(X, fraction, pattern, image_shape=image_shape, random_state=0)
    assert (mask.shape, mask.dtype) == (X.shape, bool)
    assert not mask[np.isnan(X)].any()
    assert mask.sum() == n_observed - round(fraction * n_observed)
    again = datasets.make_missing(X, fraction, pattern, image_shape=image_shape, random_state=0)
    np.testing.assert_array_equal(mask, again)
    if fraction:
        other = datasets.make_missing(X, fraction, pattern, image_shape=image_shape, random_state=1)
        assert (mask != other).any()


def test_rows_lose_runs():
    mask = datasets.make_missing(np.ones((200, 40)), 0.1, "rows", random_state=0)
    edges = np.abs(np.diff(mask.astype(int), axis=1, prepend=1, append=1)).sum(axis=1)
    hit = ~mask.all(axis=1)
    assert 15 < hit.sum() < 80
    assert edges[hit].mean() < 2.6  # one run has two edges


def test_blocks_lie_together():
    mask = datasets.make_missing(np.ones((60, 60)), 0.2, "blocks", random_state=0)
    edges = np.count_nonzero(np.diff(mask, axis=0)) + np.count_nonzero(np.diff(mask, axis=1))
    uniform = datasets.make_missing(np.ones((60, 60)), 0.2, random_state=0)
    uniform_edges = np.count_nonzero(np.diff(uniform, axis=0)) + np.count_nonzero(np.diff(uniform, axis=1))
    assert edges < uniform_edges / 4


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_place_is_preferred(pattern):
    """Each pixel of many pictures is hidden about as often as any other."""
    hidden = ~datasets.make_missing(np.ones((600, 144)), 0.2, pattern, image_shape=(12, 12), random_state=0)
    share = hidden.mean(axis=0).reshape(12, 12)
    assert 0.09 < share.min() < share.max() < 0.33


def test_each_picture_gets_its_own_pattern():
    mask = datasets.make_missing(np.ones((20, 144)), 0.2, "blocks", image_shape=(12, 12), random_state=1)
    assert len({row.tobytes() for row in mask}) == 20
    np.testing.assert_allclose((~mask).sum(axis=1), 0.2 * 144, atol=1)


def test_emptied_rows_and_columns_are_told():
    with pytest.warns(DataWarning, match=r"\d+ rows and 0 columns have no observed entry left"):
        datasets.make_missing(np.ones((200, 4)), 0.8, random_state=0)


def test_tables_of_other_kinds():
    X = [[1, 2, 3, 4], [5, 6, 7, 8], [1, 1, 1, 1]]
    assert datasets.make_missing(X, 0.25, random_state=0).sum() == 9
    pandas = pytest.importorskip("pandas")
    assert datasets.make_missing(pandas.DataFrame(X), 0.25, random_state=0).sum() == 9
    table = pandas.DataFrame({"a": pandas.array([1, None, 3], dtype="Int64"), "b": [1, 2, 3]})
    np.testing.assert_array_equal(datasets.make_missing(table, 0), [[True, True], [False, True], [True, True]])
    hidden = np.ma.array(X, mask=np.eye(3, 4))
    np.testing.assert_array_equal(datasets.make_missing(hidden, 0), np.eye(3, 4) == 0)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        datasets.make_missing(sparse.csr_array(X), 0.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"fraction": 1}, "fraction must be from 0 to less than 1, not 1"),
        ({"fraction": np.nan}, "fraction must be"),
        ({"pattern": "x"}, "pattern must be one of 'uniform', 'rows', 'blocks', 'text'"),
        ({"image_shape": (2, 3)}, r"image_shape \(2, 3\) is no \(height, width\) of the 16 features"),
        ({"image_shape": (2, 2, 4)}, "is no"),
        ({"pattern": "text", "image_shape": (4, 4)}, "at least 8 x 8, not 4 x 4"),
    ],
)
def test_wrong_holes(arguments, words):
    with pytest.raises(ValueError, match=words):
        datasets.make_missing(np.ones((20, 16)), **{"fraction": 0.5, **arguments})


def test_text_without_pillow_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    missing._letters.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'advnmf\[image\]'"):
        datasets.make_missing(np.ones((20, 16)), 0.1, "text")
