"""`advnmf demo`: hide entries of a picture and a table from scikit-learn, and complete them with some models."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rich_click as click

from ..inspection import ConvergenceDisplay
from ..io.files import FileError, check_target, require, write_bytes
from ..io.pictures import Picture, write_picture
from .fitting import Fit, fit
from .inpaint import filled, matrix
from .options import Settings
from .progress import note

_SIZE = (204, 136)  # width and height; small, so that the slowest model takes some seconds
_MODELS = {"NMF": "nmf", "ATNMF": "atnmf", "EADNMF": "eadnmf"}
# The compared systems, on the table only: on the picture they take longer than everything else.
_COMPARED = {"HQASD": "hqasd", "DMF": "dmf", "ANMF": "anmf"}
_FILES = {
    "original": "original.png",
    "holes": "holes.png",
    "mask": "mask.png",
    "Mean fill": "filled-mean.png",
    "NMF": "filled-nmf.png",
    "ATNMF": "filled-atnmf.png",
    "EADNMF": "filled-eadnmf.png",
    "comparison": "comparison.png",
    "losses": "loss-curves.png",
    "table": "table-with-holes.csv",
}


@dataclass(frozen=True)
class Task:
    """A complete matrix, its hidden entries, and their completion by each method."""

    name: str
    truth: np.ndarray
    missing: np.ndarray
    fits: Mapping[str, Fit]

    @property
    def fillings(self) -> dict[str, np.ndarray]:
        """The values of each method, mean fill first."""
        means = np.nanmean(np.where(self.missing, np.nan, self.truth), axis=0)
        return {
            "Mean fill": np.broadcast_to(means, self.truth.shape),
            **{name: run.values for name, run in self.fits.items()},
        }

    def rmse(self, values: np.ndarray) -> float:
        """Root mean square error over the hidden entries."""
        return float(np.sqrt(np.mean((values - self.truth)[self.missing] ** 2)))


@click.command()
@click.option(
    "--out", default="advnmf-demo", show_default=True, metavar="DIR", help="Folder for the results; made if need be."
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", default=0, show_default=True, help="Of the holes."
)
@click.option("--force", is_flag=True, help="Replace the results of an earlier run.")
@click.option("--quiet", is_flag=True, help="No progress bar, no notes.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def demo(out: str, seed: int, force: bool, quiet: bool) -> int:
    """Complete a picture and a table by three models, and compare them with mean fill.

    The picture is china.jpg of scikit-learn, of which half of the pixels are hidden; the table its breast cancer data
    (569 samples, 30 columns), of which three in ten values are hidden; there the systems that the studies compare with
    (HQASD, DMF, ANMF) run too. Nothing is downloaded. All models run as `advnmf complete --scale-columns` and
    `advnmf inpaint` would with --model named: nothing is tuned on what is hidden.

    Prints the errors over the hidden entries; writes pictures, a figure that compares them, and the loss curves.
    """
    require("matplotlib.figure")
    require("PIL.Image")
    folder = _folder(out, force)
    rng = np.random.default_rng(seed)
    image, observed, picture = _picture_task(rng, quiet)
    text, table = _table_task(rng, quiet)
    _print_results([picture, table])
    _write_pictures(folder, image, observed, picture, force)
    content = _loss_figure([picture, table])
    write_bytes(folder / _FILES["losses"], content, overwrite=force)
    write_bytes(folder / _FILES["table"], text, overwrite=force)
    note(f"wrote {len(_FILES)} files to {folder}; look at {folder / _FILES['comparison']}, then try", quiet)
    note(f"  advnmf inpaint {folder / 'holes.png'} out.png --mask {folder / 'mask.png'}", quiet)
    note(f"  advnmf complete {folder / _FILES['table']} out.csv --scale-columns", quiet)
    return 0


def _folder(out: str, force: bool) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"{out} cannot be made a folder: {error.strerror}") from error
    for name in _FILES.values():
        check_target(folder / name, overwrite=force)
    return folder


def _fit_all(name: str, X: np.ndarray, models: Mapping[str, str], quiet: bool) -> dict[str, Fit]:
    fits = {}
    for label, model in models.items():
        fits[label] = fit(X, Settings(model=model, seed=0), quiet=quiet)
        if fits[label].interrupted:
            raise KeyboardInterrupt
        note(f"{name}: {fits[label].summary}", quiet)
    return fits


def _picture_task(rng: np.random.Generator, quiet: bool) -> tuple[Picture, np.ndarray, Task]:
    from sklearn.datasets import load_sample_image

    photo = require("PIL.Image").fromarray(load_sample_image("china.jpg"))
    image = Picture(np.asarray(photo.resize(_SIZE)), path="china.jpg")
    observed = rng.permutation(np.arange(_SIZE[0] * _SIZE[1]) % 2 == 0).reshape(image.size)
    truth = matrix(image, np.ones_like(observed))
    X = matrix(image, observed)
    task = Task("picture", truth, np.isnan(X), _fit_all("picture", X, _MODELS, quiet))
    # What counts is what would be written: pixels, so clipped.
    clipped = {name: replace(run, values=np.clip(run.values, 0, 1)) for name, run in task.fits.items()}
    return image, observed, replace(task, fits=clipped)


def _table_task(rng: np.random.Generator, quiet: bool) -> tuple[bytes, Task]:
    """The table with its holes as csv, in its own units, and the task in units of the columns."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    values = data.data
    missing = rng.random(values.shape) < 0.3
    # The columns have different units: each is divided by the root mean square of what is left of it, so
    # that all weigh the same in the fit and in the error.
    X = np.where(missing, np.nan, values)
    scale = np.sqrt(np.nanmean(X**2, axis=0))
    rows = ([f"{value:g}" if value == value else "" for value in row] for row in X)
    text = "\n".join(",".join(row) for row in (data.feature_names, *rows)) + "\n"
    fits = _fit_all("table", X / scale, _MODELS | _COMPARED, quiet)
    return text.encode(), Task("table", values / scale, missing, fits)


def _print_results(tasks: list[Task]) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(title="Errors over the hidden entries")
    for column in ("data", "method", "RMSE", "PSNR dB", "seconds"):
        grid.add_column(column, justify="left" if column in ("data", "method") else "right")
    for task in tasks:
        for name, values in task.fillings.items():
            rmse = task.rmse(values)
            psnr = f"{-20 * np.log10(rmse):.2f}" if task.name == "picture" else ""
            seconds = f"{task.fits[name].seconds:.1f}" if name in task.fits else ""
            grid.add_row(task.name, name, f"{rmse:.4f}", psnr, seconds)
        grid.add_section()
    Console().print(grid)


def _write_pictures(folder: Path, image: Picture, observed: np.ndarray, task: Task, force: bool) -> None:
    holes = replace(image, pixels=np.where(observed[:, :, None], image.pixels, 0).astype(np.uint8))
    pictures = {
        "original": image,
        "holes": holes,
        "mask": Picture(np.where(observed, 255, 0).astype(np.uint8)),
        **{name: filled(image, observed, values) for name, values in task.fillings.items()},
    }
    for name, picture in pictures.items():
        write_picture(folder / _FILES[name], picture, overwrite=force)
    captions = {"original": "Original", "holes": "Half of the pixels missing"}
    for name, values in task.fillings.items():
        rmse = task.rmse(values)
        captions[name] = f"{name}: RMSE {rmse:.3f}, PSNR {-20 * np.log10(rmse):.1f} dB"
    content = _comparison_figure({captions[name]: pictures[name].pixels for name in captions})
    write_bytes(folder / _FILES["comparison"], content, overwrite=force)


def _comparison_figure(panels: Mapping[str, np.ndarray]) -> bytes:
    figure = require("matplotlib.figure").Figure(figsize=(12, 6.1), layout="constrained")
    for axes, (caption, pixels) in zip(figure.subplots(2, 3).flat, panels.items(), strict=True):
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(caption, fontsize=12)
        axes.set_axis_off()
    return _png(figure)


def _loss_figure(tasks: list[Task]) -> bytes:
    figure = require("matplotlib.figure").Figure(figsize=(10, 4), layout="constrained")
    for axes, task in zip(figure.subplots(1, 2), tasks, strict=True):
        # Each loss has its own unit; what can be compared is the course of the descent.
        curves = {name: run.loss_curve for name, run in task.fits.items()}
        ConvergenceDisplay(curves).plot(axes, relative=True, title=task.name)
    return _png(figure)


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    # A figure without pyplot draws by Agg, whatever backend the user has set.
    figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()
