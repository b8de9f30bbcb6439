"""The options that describe a model, shared by the commands, and the model they make."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import rich_click as click
from sklearn.utils import get_tags

from ..io.limits import DEFAULT_BYTES, DEFAULT_RATIO, ENVIRONMENT, parse_bytes, size_text
from ..model_selection.auto.candidates import FIRST_RIDGE
from ..models import registry
from ..models.base import CompletionModel
from ..models.registry import model_class

MODELS: dict[str, type[CompletionModel]] = {
    command: model_class(name) for name, (_, command) in registry.MODELS.items() if command is not None
}
_PARAMETERS = {command: model().get_params(deep=False) for command, model in MODELS.items()}


def _having(parameter: str) -> tuple[str, ...]:
    """The models that have a parameter."""
    return tuple(command for command, params in _PARAMETERS.items() if parameter in params)


DEEP = tuple(command for command, params in _PARAMETERS.items() if isinstance(params.get("n_components"), tuple))
ADVERSARIAL = _having("lam")
SIGNED = tuple(command for command, model in MODELS.items() if not get_tags(model()).input_tags.positive_only)
FACTORISATIONS = _having("alpha_W")
SOLVERS = {**dict.fromkeys(FACTORISATIONS, ("hals", "mu")), "hqasd": ("asd", "pf")}

#: Default ridge of ratings, which are scaled to a standard deviation of 1.
RATINGS_RIDGE = 0.08
_MOST_COMPONENTS = 50
#: The models that choose everything: of tables a blend of imputers, and a factorisation.
BLEND, AUTO = "blend", "auto"
#: Seconds that they may take unless told otherwise.
AUTO_SECONDS = 100.0
# The names of the parameters of the estimators, in the words of the command line.
_OPTION_NAMES = {
    "n_components": "rank",
    "alpha_W": "alpha",
    "random_state": "seed",
    "max_iter": "max-iter",
    "n_init": "n-init",
    "time_limit": "time-limit",
}


class RankType(click.ParamType):
    """One number or several with commas, each at least 1."""

    name = "R or R1,R2"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The layer sizes."""
        if isinstance(value, tuple):
            return value
        try:
            sizes = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no rank: give a number, or numbers with commas", param, ctx)
        if min(sizes) < 1:
            self.fail(f"rank {value} must be at least 1", param, ctx)
        return sizes


class SizeType(click.ParamType):
    """A number of bytes, such as 500MB or 8GB."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        try:
            return value if isinstance(value, int) else parse_bytes(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


#: An option of a command, in a panel of its help.
file_option = partial(click.option, panel="Input and output")
_model_option, _run_option = (partial(click.option, panel=panel) for panel in ("Model", "Running"))
#: Of every command that reads files; the function gets `max_memory`, bytes or None.
max_memory_option = file_option(
    "--max-memory",
    type=SizeType(),
    metavar="SIZE",
    help="Refuse files that unpack to more than this, such as 8GB. [default: what the environment variable "
    f"{ENVIRONMENT} says, else {size_text(DEFAULT_BYTES)} or {DEFAULT_RATIO} times the size of the file]",
)


@dataclass(frozen=True)
class Settings:
    """What the user asks of a model; what is left open keeps the default of the model."""

    model: str = "auto"
    rank: tuple[int, ...] | None = None
    lam: float | None = None
    delta: float | None = None
    alpha: float | None = None
    solver: str | None = None
    eta: float | None = None
    hidden: tuple[int, ...] | None = None
    beta: float | None = None
    max_iter: int | None = None
    tol: float | None = None
    n_init: int | None = None
    seed: int = 0
    time_limit: float | None = None

    @classmethod
    def from_options(cls, *, model: str | None = None, default: str = AUTO, **given: Any) -> Settings:
        """Without a model it is nmf if anything is given that the default would choose, else the default."""
        if model is None:
            model = default if all(given.get(name) is None for name in _CHOSEN_BY_AUTO) else "nmf"
        return cls(model=model, **given)

    def check(self, *, ratings: bool) -> None:
        """UsageError where options do not go together."""
        if ratings:
            self._check_ratings()
        if self.lam is not None and self.model not in ADVERSARIAL:
            raise click.UsageError(f"--lam is the price of an attack; choose --model {', '.join(ADVERSARIAL)}")
        if self.delta is not None and self.model != "eadnmf":
            raise click.UsageError("--delta is a parameter of the elastic loss; choose --model eadnmf")
        for name, models in _FOR_SOME.items():
            if getattr(self, name) is not None and self.model not in models:
                raise click.UsageError(f"--{name} is not an option of {self.model}; choose --model {', '.join(models)}")
        given = [name for name in _CHOSEN_BY_AUTO if getattr(self, name) is not None]
        if self.model in (AUTO, BLEND) and given:
            raise click.UsageError(f"--{given[0].replace('_', '-')} is chosen by --model {self.model}: leave it out")
        if self.solver is not None and self.solver not in SOLVERS[self.model]:
            raise click.UsageError(f"--solver of {self.model} is one of {', '.join(SOLVERS[self.model])}")
        if self.rank is not None and len(self.rank) > 1 and self.model not in DEEP:
            raise click.UsageError(f"several ranks are for the deep models: choose --model {', '.join(DEEP)}")

    def _check_ratings(self) -> None:
        if self.model not in (AUTO, "nmf"):
            raise click.UsageError("--model has no meaning with --triplets, unless it is auto or nmf")
        given = [name for name in _NOT_FOR_RATINGS if getattr(self, name) is not None]
        if given:
            raise click.UsageError(f"--{given[0]} has no meaning with --triplets")
        if self.rank is not None and len(self.rank) > 1:
            raise click.UsageError("--rank is one number with --triplets: the model of ratings has one layer")

    @property
    def signed(self) -> bool:
        """Whether the model takes data of either sign."""
        return self.model == BLEND or self.model in SIGNED

    def for_table(self, *, cube: bool, scale_columns: bool) -> Settings:
        """These settings; auto in place of blend for a cube, and for columns that NMF is to count alike."""
        return replace(self, model=AUTO) if self.model == BLEND and (cube or scale_columns) else self

    def layers(self, shape: tuple[int, int], n_observed: int) -> tuple[int, ...]:
        """The layer sizes for data of this shape."""
        rank = self.rank or (default_rank(shape, n_observed),)
        return rank * 2 if self.model in DEEP and len(rank) == 1 else rank

    def build(
        self, layers: tuple[int, ...], callback: Callable[[Any], object] | None, *, ratings: bool = False
    ) -> CompletionModel:
        """The estimator of a fixed model, not fitted."""
        given = {name: value for name in _OWN_NAMES if (value := getattr(self, name)) is not None}
        if self.model in FACTORISATIONS:
            given["alpha_W"] = self.ridge(ratings=ratings)
        if ratings:
            given |= {"biases": True, "alpha_scale": "observed", "sparse_missing": "absent"}
        return MODELS[self.model](
            layers[0] if len(layers) == 1 else layers,
            time_limit=self.time_limit,
            random_state=self.seed,
            callback=callback,
            **given,
        )

    def ridge(self, *, ratings: bool) -> float:
        """It is multiplied by the size of the data, which are scaled to 1, so it has no unit."""
        if self.alpha is not None:
            return self.alpha
        return RATINGS_RIDGE if ratings else FIRST_RIDGE


# Options that some models have, and those that parameters are called after.
_FOR_SOME = {"alpha": FACTORISATIONS} | {name: _having(name) for name in ("solver", "eta", "hidden", "beta")}
_OWN_NAMES = ("lam", "delta", "solver", "eta", "hidden", "beta", "max_iter", "tol", "n_init")
_NOT_FOR_RATINGS = ("lam", "delta", "solver", "eta", "hidden", "beta")
_CHOSEN_BY_AUTO = ("rank", "alpha", *_OWN_NAMES)


def default_rank(shape: tuple[int, int], n_observed: int) -> int:
    """A rank with at least three observed entries for each number of the model, from 1 to 50."""
    rank = n_observed // (3 * sum(shape))
    return int(np.clip(rank, 1, min(_MOST_COMPONENTS, *shape)))


def in_options(message: str) -> str:
    """A message of an estimator with the names of its parameters replaced by those of the options."""
    return re.sub(rf"\b({'|'.join(_OPTION_NAMES)})\b", lambda found: _OPTION_NAMES[found[0]], message)


_FIXED = (
    "Or plain, adversarial (atnmf), deep, adversarial deep, or elastic adversarial deep NMF; or a system that these "
    "are compared with: correntropy (hqasd), a network (dmf), adversarial NMF as a game (anmf)."
)
_MODEL = _model_option(
    "--model",
    type=click.Choice(list(MODELS)),
    help=f"All choices made by held-out values (auto), which takes longer. {_FIXED} [default: auto; nmf if anything is "
    "given that auto would choose, such as --rank]",
)
_TABLE_MODEL = _model_option(
    "--model",
    type=click.Choice([BLEND, *MODELS]),
    help="What held-out values tell: a blend of column means, nearest neighbours, regressions, forests and NMF "
    f"(blend), or NMF alone (auto). {_FIXED} [default: blend; auto for cubes, ratings and with --scale-columns; nmf if "
    "anything is given that auto would choose, such as --rank]",
)
_MODEL_OPTIONS = (
    _model_option(
        "--rank",
        type=RankType(),
        metavar="R1,R2,...",
        help="Number of components R; for a deep model the layer sizes R1,R2,... from the data side to the "
        "codes (one number R: two layers of R). [default: observed values / (3 (rows + columns)), from 1 to 50]",
    ),
    _model_option(
        "--lam",
        type=float,
        metavar="X",
        help="Price of an attack on the data, above 1 (atnmf, adnmf, eadnmf). [default: 2]",
    ),
    _model_option(
        "--delta", type=float, metavar="X", help="Shape of the elastic loss, at least 0 (eadnmf). [default: 2]"
    ),
    _model_option(
        "--alpha",
        type=float,
        metavar="X",
        help="Ridge on the factors (not hqasd, dmf, anmf). The data are scaled to a mean square of 1 for the fit "
        "(ratings to a standard deviation of 1), so it has no unit. "
        f"[default: {FIRST_RIDGE:g}; with --triplets {RATINGS_RIDGE:g}]",
    ),
    _model_option(
        "--solver",
        type=click.Choice(["hals", "mu", "asd", "pf"]),
        help="Coordinate descent (hals), or multiplicative updates (mu, slower); for hqasd reweighted "
        "least squares (pf), or steepest descent (asd). [default: hals, pf]",
    ),
    _model_option(
        "--eta",
        type=float,
        metavar="X",
        help="Entries that are off by more than about X interquartile ranges do not count (hqasd). [default: 2]",
    ),
    _model_option(
        "--hidden",
        type=RankType(),
        metavar="N1,N2,...",
        help="Sizes of the hidden layers, from the codes to the data (dmf). [default: 10]",
    ),
    _model_option(
        "--beta", type=float, metavar="X", help="Share of the attacked prediction, from 0 to 1 (anmf). [default: 0.5]"
    ),
    _model_option(
        "--max-iter",
        type=int,
        metavar="N",
        help="Most iterations. [default: 200; hqasd 500, dmf and anmf 1000]",
    ),
    _model_option(
        "--tol",
        type=float,
        metavar="X",
        help="Stop once an iteration gains less than this share (hqasd, dmf: less than this, in the scale of the "
        "data; anmf: residuals below this). [default: 0.0001; hqasd 1e-05, dmf 1e-08, anmf 0.001]",
    ),
)
_RATING_OPTIONS = (
    _model_option(
        "--rank",
        type=RankType(),
        metavar="R",
        help="Number of components. [default: ratings / (3 (users + items)), from 1 to 50]",
    ),
    _model_option(
        "--alpha",
        type=float,
        metavar="X",
        help=f"Ridge, for ratings of standard deviation 1. [default: {RATINGS_RIDGE:g}]",
    ),
    _model_option("--max-iter", type=int, metavar="N", help="Most iterations. [default: 200]"),
    _model_option(
        "--tol", type=float, metavar="X", help="Stop once an iteration gains less than this share. [default: 0.0001]"
    ),
)
_START_OPTIONS = (
    _model_option("--n-init", type=int, metavar="N", help="Random starts; the best one is kept. [default: 1]"),
    _model_option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        metavar="N",
        default=0,
        show_default=True,
        help="Of the random starts; the same seed gives the same result.",
    ),
    _model_option(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help=f"Stop the fit then, with what it has. [default: none; blend and auto {AUTO_SECONDS:g}]",
    ),
)
_RUN_OPTIONS = (
    _run_option("--force", is_flag=True, help="Replace an existing OUT."),
    _run_option("--quiet", is_flag=True, help="No progress bar, no notes: errors only."),
    _run_option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."),
    click.help_option("-h", "--help", panel="Running"),
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a model and of running; it receives a Settings as `settings`."""
    return _with_settings(command, (_MODEL, *_MODEL_OPTIONS))


def table_model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with the blend of imputers as the default."""
    return _with_settings(command, (_TABLE_MODEL, *_MODEL_OPTIONS), BLEND)


def rating_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a model of ratings and of running; it receives a Settings as `settings`."""
    return _with_settings(command, _RATING_OPTIONS)


def _with_settings(command: Callable[..., Any], options: tuple[Any, ...], default: str = AUTO) -> Callable[..., Any]:
    def with_settings(**values: Any) -> Any:
        given = {name: values.pop(name) for name in Settings.__dataclass_fields__ if name in values}
        ratings = values.get("triplets") is not None
        settings = Settings.from_options(**given, default=AUTO if ratings else default)
        settings.check(ratings=ratings)
        return command(settings=settings, **values)

    with_settings.__name__, with_settings.__doc__ = command.__name__, command.__doc__
    with_settings.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed((*options, *_START_OPTIONS, *_RUN_OPTIONS)):
        with_settings = option(with_settings)
    return with_settings
