"""What is compared: a problem, our model and the peer's settings."""

from __future__ import annotations

from dataclasses import dataclass

RATINGS = (160_000, 60_000)
SIZES = (1_000_000, 5_000_000, 25_000_000)


@dataclass(frozen=True)
class Case:
    """One row of the table.

    The peer makes `sweeps` sweeps with the best of the settings `theirs`, for each seed by *test* error and thus in
    its favour; ours are fixed beforehand.  With a `goal` we sweep until we are where the peer ended ("objective" or
    "test RMSE"); without one both make the same number of sweeps, and only these are compared.
    """

    name: str
    peer: str
    problem: tuple
    sweeps: int
    ours: dict
    theirs: tuple[dict, ...] = ({},)
    goal: str = ""
    # How the work of a sweep of ours is counted, see `ceilings.py`.
    work: tuple = ()


def complete_cases(quick: bool) -> list[Case]:
    """The same start and the same objective value: our "hals" against "cd", our "mu" against multiplicative updates."""

    def case(n: int, m: int, K: int, peer: str, sweeps: int, theirs: str, ours: str) -> Case:
        name = f"complete {n} × {m}, K = {K}, {theirs}"
        settings = {"solver": theirs} if peer == "scikit-learn" else {}
        return Case(
            name,
            peer,
            ("complete", n, m, K),
            sweeps // (10 if quick else 1),
            {"n_components": K, "solver": ours, "init": "custom"},
            (settings,),
            "objective",
            ("complete", n, m, K, ours),
        )

    shapes = (
        ((300, 200, 10),) if quick else tuple((n, m, K) for n, m in ((2000, 1000), (5000, 2000)) for K in (20, 100))
    )
    cases = [
        case(*shape, "scikit-learn", *more) for shape in shapes for more in ((50, "cd", "hals"), (200, "mu", "mu"))
    ]
    return cases + [case(*shape, "torchnmf", 200, "mu", "mu") for shape in (shapes[0], shapes[-1])[: len(shapes)]]


def holes_cases(quick: bool) -> list[Case]:
    """CBCL with 30 % missing; a picture, of which the peer knows that neighbours are alike and we do not."""
    faces, K, sweeps = (300, 20, 5) if quick else (None, 100, 30)
    plain = {"k": K, "nonneg": True, "user_bias": False, "item_bias": False, "center": False}
    ridges = (0.1,) if quick else (0.01, 0.1, 1.0)
    cases = [
        Case(
            f"CBCL, 30 % missing, K = {K}",
            "cmfrec",
            ("cbcl", faces),
            sweeps,
            {"n_components": K, "alpha_W": 1e-4},
            tuple(plain | {"lambda_": ridge} for ridge in ridges),
            "test RMSE",
            ("entries", (faces or 2429) * 361, K),
        )
    ]
    for holes in () if quick else ("random50", "text_large"):
        ours = {"n_components": 20, "alpha_W": 1e-3}
        cases.append(Case(f"picture, {holes}", "scikit-image", ("picture", holes), 1, ours, goal="test RMSE"))
    return cases


def movielens_cases(quick: bool) -> list[Case]:
    """The first fold; our ridges were chosen on a tenth of the training ratings, held out."""

    def ours(K: int, alpha: float, biases: bool = True) -> dict:
        return {
            "n_components": K,
            "alpha_W": alpha,
            "alpha_scale": "observed",
            "biases": biases,
            "sparse_missing": "absent",
        }

    def case(name: str, peer: str, sweeps: int, model: dict, *theirs: dict) -> Case:
        sweeps, theirs = (5, theirs[:1]) if quick else (sweeps, theirs)
        work = ("entries", 80_000, model["n_components"])
        return Case(f"MovieLens 100K, {name}", peer, ("movielens",), sweeps, model, theirs, "test RMSE", work)

    scaled = [{"k": 50, "lambda_": ridge, "scale_lam": True} for ridge in (0.1, 0.05, 0.2)]
    # Centred data are of either sign: nonnegative factors fit them badly, so their offsets carry the level.
    nonnegative = [settings | {"nonneg": True, "center": False} for settings in scaled]
    return [
        case("offsets, nonnegative", "cmfrec", 30, ours(50, 0.08), *nonnegative),
        case("offsets, either sign", "cmfrec", 30, ours(50, 0.08), *scaled),
        case("no offsets", "scikit-surprise", 50, ours(15, 0.12, False), {}),
        case(
            "offsets",
            "scikit-surprise",
            50,
            ours(15, 0.08),
            *({"biased": True, "reg_pu": r, "reg_qi": r} for r in (0.06, 0.2)),
        ),
    ]


def scaling_cases(quick: bool) -> list[Case]:
    """Generated ratings of growing number; all are confidences to implicit, so that only a sweep's time compares."""
    (n, m), sizes = ((1600, 600), (20_000, 100_000)) if quick else (RATINGS, SIZES)
    model = {"n_components": 32, "alpha_W": 1e-3, "alpha_scale": "observed", "sparse_missing": "absent"}
    return [
        Case(
            f"generated ratings, {size / 1e6:g} million, K = 32",
            "implicit",
            ("ratings", n, m, size),
            5,
            model,
            ({"factors": 32},),
            work=("entries", size, 32),
        )
        for size in sizes
    ]


def all_cases(quick: bool) -> list[Case]:
    return [*complete_cases(quick), *holes_cases(quick), *movielens_cases(quick), *scaling_cases(quick)]
