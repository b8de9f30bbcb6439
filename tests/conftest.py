"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The same examples in each run, and no limit on their time: a busy machine must not make a test fail.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=4000)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the soak tests go on, each of them, and where their seeds begin."""
    parser.addoption("--soak-seconds", type=float, default=20.0, help="seconds for each test marked soak (default: 20)")
    parser.addoption("--soak-seed", type=int, default=0, help="first seed of the tests marked soak (default: 0)")


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory of all tests: an empty one, so that a file without a folder is seen, and lands nowhere."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        for name in {"PYTHONPATH", "ADVNMF_DATA"} & set(os.environ):  # relative ones keep their meaning
            paths = filter(None, os.environ[name].split(os.pathsep))
            patch.setenv(name, os.pathsep.join(str(before / path) for path in paths))
        patch.chdir(folder)
        yield folder


@pytest.fixture(autouse=True)
def nothing_is_written_there(elsewhere: Path) -> Iterator[None]:
    """A test that writes needs `tmp_path`, and ``monkeypatch.chdir(tmp_path)`` where it names no folder."""
    yield
    written = os.listdir(elsewhere)
    for name in written:
        path = elsewhere / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert written == [], "this test writes into the working directory"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets that the environment variable ADVNMF_DATA names."""
    name = os.environ.get("ADVNMF_DATA")
    if not name:
        pytest.skip("the environment variable ADVNMF_DATA does not name a folder with the data sets")
    folder = Path(name)
    if not folder.is_dir():
        pytest.skip(f"ADVNMF_DATA={name} is not a folder")
    return folder


@pytest.fixture(scope="session")
def planted() -> tuple[np.ndarray, np.ndarray]:
    """(truth of rank 2, 40 x 12; what was observed of it): 1 % noise, 30 % NaN, nothing empty.  Both are read-only."""
    rng = np.random.default_rng(0)
    truth = rng.gamma(1.0, 1.0, (40, 2)) @ rng.gamma(1.0, 1.0, (2, 12))
    noisy = truth * (1 + 0.01 * rng.uniform(-1, 1, truth.shape))
    holed = np.where(rng.random(truth.shape) < 0.3, np.nan, noisy)
    truth.flags.writeable = holed.flags.writeable = False
    return truth, holed


@pytest.fixture
def few_candidates(monkeypatch) -> None:
    """``NMFImputer()`` looks at one candidate only, where it does not matter what it chooses."""
    monkeypatch.setattr("advnmf.model_selection.auto.imputer._MAX_CANDIDATES", 1)


@pytest.fixture(scope="module", params=["torch", "array_api_strict"])
def library(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def array_api_strict():
    return pytest.importorskip("array_api_strict", reason="array-api-strict is not installed: see the extra test")


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch", reason="torch is not installed: see the extra test-large")
    pytest.importorskip("array_api_compat", reason="array-api-compat is not installed: see the extra test")
    # Arrays are tiny here; threads would only wait for each other on a busy machine.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)
