"""Ratings on the command line: complete --triplets, --pairs, recommend."""

from __future__ import annotations

import contextlib
import csv
import os
import re
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from advnmf import NMF, AutoNMF
from advnmf.cli.held_out import check_recommendations, refitted, split
from advnmf.metrics import ndcg_at_k, precision_at_k
from commands import refused, run
from problems import Lazily

pl = Lazily("polars", "test-large")

COLUMNS = ("--triplets", "user,film,stars")
FAST = ("--rank", 2, "--alpha", 0.1)


@pytest.fixture
def ratings(tmp_path):
    """A csv table of 200 ratings of 20 users and 15 items in whole stars, of which 40 are empty."""
    rng = np.random.default_rng(0)
    level = 3 + rng.normal(0, 1, (20, 1)) + rng.normal(0, 0.7, 15)
    stars = np.clip(np.rint(level), 1, 5).astype(int)
    lines = ["when,user,film,stars,note"]
    for k, (i, j) in enumerate(rng.permutation([(i, j) for i in range(20) for j in range(15)])[:200]):
        lines.append(f'{k},u{i},"film, {j}",{"" if k % 5 == 0 else stars[i, j]},"a ""note"""')
    path = tmp_path / "in.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def table(path, delimiter=","):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream, delimiter=delimiter))


# --- complete ------------------------------------------------------------------------------------------------------


def test_empty_ratings_are_filled_and_the_rest_is_the_same_text(ratings):
    out = ratings.with_name("out.csv")
    result = run("complete", ratings, out, *COLUMNS, *FAST)
    assert "160 ratings of 20 users and 15 items, 40 missing" in result.stderr
    assert "nmf with offsets, rank 2, alpha 0.1" in result.stderr
    before, after = ratings.read_text().splitlines(), out.read_text().splitlines()
    assert len(before) == len(after)
    for old, new, row in zip(before, after, table(out), strict=True):
        if '",,"' in old:
            assert 1 <= float(row[3]) <= 5
            assert new.replace(f'",{row[3]},"', '",,"') == old
        else:
            assert new == old


@pytest.mark.usefixtures("brief_search")
def test_all_is_chosen_and_seeded(ratings):
    outs, seeds = [ratings.with_name(f"out{n}.csv") for n in range(3)], (1, 1, 2)
    results = [run("complete", ratings, out, *COLUMNS, "--seed", n) for out, n in zip(outs, seeds, strict=True)]
    assert re.search(r"auto: Of \d+ candidates .* offsets of rows and columns", results[0].stderr)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert outs[0].read_bytes() != outs[2].read_bytes()
    assert all(1 <= float(row[3]) <= 5 for row in table(outs[0])[1:])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rank", 3], "nmf with offsets, rank 3, alpha 0.08: "),
        (["--alpha", 0.5], "nmf with offsets, rank 1, alpha 0.5: "),  # 160 ratings / (3 (20 + 15))
        (["--model", "nmf"], "nmf with offsets, rank 1, alpha 0.08: "),
        (["--model", "auto", "--time-limit", 1e-6], "auto: Of 1 candidates"),
    ],
)
def test_what_is_left_open_has_a_default(ratings, options, words):
    assert words in run("complete", ratings, ratings.with_name("out.csv"), *COLUMNS, *options).stderr


def test_the_unit_of_the_ratings_does_not_matter(ratings):
    small, large = ratings.with_name("small.csv"), ratings.with_name("large.csv")
    rows = table(ratings)
    for out, factor in ((small, 1), (large, 1024)):
        with open(ratings, "w", newline="", encoding="utf-8") as stream:
            scaled = ([*r[:3], r[3] and int(r[3]) * factor, r[4]] for r in rows[1:])
            csv.writer(stream).writerows([rows[0], *scaled])
        run("complete", ratings, out, *COLUMNS, *FAST)
    np.testing.assert_allclose(
        [float(row[3]) / 1024 for row in table(large)[1:]], [float(row[3]) for row in table(small)[1:]], rtol=1e-6
    )


@pytest.mark.parametrize(("value", "options"), [("0", ()), ("0.1", FAST), ("3", ("--time-limit", 0.3)), ("3", FAST)])
def test_equal_ratings_predict_themselves(tmp_path, value, options):
    rows = [f"u{i},x{j},{'' if i == j else value}" for i in range(9) for j in range(9)]
    (tmp_path / "in.csv").write_text("\n".join(["user,item,rating", *rows]))
    run("complete", tmp_path / "in.csv", tmp_path / "out.csv", "--triplets", "user,item,rating", *options)
    assert {float(row[2]) for row in table(tmp_path / "out.csv")[1:]} == {float(value)}


def test_pairs_known_and_unknown(ratings):
    pairs, out = ratings.with_name("pairs.csv"), ratings.with_name("out.tsv")
    pairs.write_text('film,user\n"film, 3",u4\n"film, 3",nobody\nnothing,u4\n')
    result = run("complete", ratings, out, *COLUMNS, *FAST, "--pairs", pairs)
    assert "1 predictions are for a user and 1 for an item without any rating" in result.stderr
    header, *rows = table(out, "\t")
    assert header == ["user", "film", "stars"]
    assert [row[:2] for row in rows] == [["u4", "film, 3"], ["nobody", "film, 3"], ["u4", "nothing"]]
    assert all(1 <= float(row[2]) <= 5 for row in rows)


def test_parquet_with_numbers_as_labels(tmp_path):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"id": range(90), "user": [k % 9 for k in range(90)], "item": [k // 9 for k in range(90)]})
    stars = [None if k % 7 == 0 else float(rng.integers(1, 6)) for k in range(90)]
    frame = frame.with_columns(pl.Series("rating", stars))
    frame.write_parquet(tmp_path / "in.parquet")
    names = "--triplets", "user,item,rating"
    run("complete", tmp_path / "in.parquet", tmp_path / "out.parquet", *names, *FAST)
    filled = pl.read_parquet(tmp_path / "out.parquet")
    assert filled.schema == frame.schema
    assert filled.drop("rating").equals(frame.drop("rating"))
    assert all(old in (None, new) for old, new in zip(stars, filled["rating"], strict=True))
    # Text from the command line and from a csv file finds the numbers.
    run("recommend", tmp_path / "in.parquet", tmp_path / "best.csv", *names, *FAST, "--users", "0,7")
    assert {row[0] for row in table(tmp_path / "best.csv")[1:]} == {"0", "7"}
    (tmp_path / "pairs.csv").write_text("user,item\n3,4\n")
    pairs = "--pairs", tmp_path / "pairs.csv"
    result = run("complete", tmp_path / "in.parquet", tmp_path / "p.csv", *names, *pairs, *FAST)
    assert "without any rating" not in result.stderr


def test_a_pair_rated_twice_is_told(tmp_path):
    (tmp_path / "in.csv").write_text("user,item,rating\na,x,1\na,x,3\nb,x,2\nb,y,\n")
    result = run("complete", tmp_path / "in.csv", tmp_path / "out.csv", "--triplets", "user,item,rating")
    assert "Warning: 1 ratings are of pairs that were rated before: each pair gets the mean" in result.stderr


def test_labels_that_parquet_cannot_hold_are_found_before_the_fit(tmp_path, monkeypatch):
    monkeypatch.setattr("advnmf.cli.rating_files.fit_ratings", lambda *_: pytest.fail("the fit began"))
    (tmp_path / "in.csv").write_bytes("user,item,rating\nM\xfcller,x,1\nb,x,2\nb,y,\n".encode("latin-1"))
    (tmp_path / "pairs.csv").write_bytes("user,item\nM\xfcller,x\n".encode("latin-1"))
    args = (tmp_path / "in.csv", tmp_path / "out.parquet", "--triplets", "user,item,rating")
    for command in (("complete", *args, "--pairs", tmp_path / "pairs.csv"), ("recommend", *args)):
        assert r"label 'M\udcfcller' is in an older encoding than UTF-8" in refused(*command)


# --- recommend -----------------------------------------------------------------------------------------------------


def test_recommendations(ratings):
    out = ratings.with_name("out.csv")
    run("recommend", ratings, out, *COLUMNS, *FAST, "-n", 3)
    header, *rows = table(out)
    assert header == ["user", "rank", "film", "stars"]
    rated = {(row[1], row[2]) for row in table(ratings) if row[3]}
    users = list(dict.fromkeys(row[1] for row in table(ratings)[1:]))
    assert list(dict.fromkeys(row[0] for row in rows)) == users
    assert not rated & {(row[0], row[2]) for row in rows}
    for user in users:
        own = [row for row in rows if row[0] == user]
        assert [row[1] for row in own] == [str(k + 1) for k in range(len(own))]
        assert all(1 <= float(row[3]) <= 5 for row in own)
    # The same as are predicted for these pairs.
    with open(ratings.with_name("pairs.csv"), "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["user", "film"], *([row[0], row[2]] for row in rows)])
    predicted = ratings.with_name("predicted.csv")
    run("complete", ratings, predicted, *COLUMNS, *FAST, "--pairs", ratings.with_name("pairs.csv"))
    assert [row[2] for row in table(predicted)[1:]] == [row[3] for row in rows]
    some = ratings.with_name("some.csv")
    run("recommend", ratings, some, *COLUMNS, *FAST, "-n", 3, "--users", "u7,u3")
    assert table(some)[1:] == [row for user in ("u7", "u3") for row in rows if row[0] == user]


def test_what_recommendations_are_ranked_by(ratings):
    with open(ratings, "a", encoding="utf-8") as stream:
        stream.write("999,u1,lucky,5,\n")
    out = {by: ratings.with_name(f"{by}.csv") for by in ("lower-bound", "prediction", "expected-hits")}
    for by, path in out.items():
        run("recommend", ratings, path, *COLUMNS, *FAST, "-n", 3, "--by", by)
    for by, path in out.items():
        first = [row[2] for row in table(path)[1:] if row[1] == "1"]
        stars = [float(row[3]) for row in table(path)[1:]]
        assert (first.count("lucky") > 15) == (by == "prediction"), by
        falls = all(a >= b for (a, b), same in zip(pairwise(stars), own_pairs(table(path)[1:]), strict=True) if same)
        assert falls == (by == "prediction"), by
    strict = ratings.with_name("strict.csv")
    run("recommend", ratings, strict, *COLUMNS, *FAST, "--by", "prediction", "--min-ratings", 2)
    assert "lucky" not in {row[2] for row in table(strict)}


def own_pairs(rows):
    """Whether two rows that follow each other are of one user."""
    return [a[0] == b[0] for a, b in pairwise(rows)]


def test_recommendations_are_checked_on_held_out_ratings(ratings):
    words = (
        r"a check on (\d+) held-out ratings, a hit is ([\d.]+) or more: precision and NDCG at 3 (0\.\d+) and (0\.\d+); "
    )
    words += r"most rated items 0\.\d+ and 0\.\d+; best means, shrunken by 20 ratings, 0\.\d+ and 0\.\d+"
    out = ratings.with_name("out.csv")
    args = "recommend", ratings, out, *COLUMNS, *FAST, "-n", 3, "--force"
    found = re.search(words, run(*args).stderr)
    assert 20 <= int(found[1]) <= 40
    assert 2.5 < float(found[2]) < 3.5
    asked = re.search(words, run(*args, "--check", "--quiet", "--liked", 3, "--by", "expected-hits").stderr)
    assert float(asked[2]) == 3
    assert "a check on" not in run(*args, "--no-check").stderr
    assert "a check on" not in run(*args, "--quiet").stderr
    table_of_few = ratings.with_name("few.csv")
    table_of_few.write_text("user,film,stars\na,x,1\na,y,3\nb,x,2\nb,y,4\nb,z,4\n")
    few = "recommend", table_of_few, out, *COLUMNS, *FAST, "--force"
    assert "held" not in run(*few).stderr
    assert "too few ratings to hold any out" in run(*few, "--check").stderr


def test_the_check_holds_out_a_fifth_of_each_user_and_keeps_the_rest():
    X = sparse.csr_array(sparse.random(30, 20, density=0.4, random_state=np.random.default_rng(0)))
    train, held_out = split(X, np.random.default_rng(1))
    np.testing.assert_array_equal((train + held_out).toarray(), X.toarray())
    assert not train.astype(bool).multiply(held_out.astype(bool)).nnz
    np.testing.assert_array_equal(np.diff(held_out.indptr), np.diff(X.indptr) // 5)


@pytest.mark.parametrize("by", ["lower_bound", "expected_hits"])
def test_the_check_counts_hits_among_what_was_not_learnt_from(by):
    rng = np.random.default_rng(3)
    level = 3 + rng.normal(0, 0.5, (40, 1)) + rng.normal(0, 1, 25)
    X = np.clip(np.rint(level + rng.normal(0, 0.5, level.shape)), 1, 5)
    X = sparse.csr_array(np.where(rng.random(X.shape) < rng.uniform(0.2, 0.9, 25), X, 0))
    fit = NMF(2, biases=True, alpha_W=0.1, alpha_scale="observed", sparse_missing="absent", random_state=0).fit(X)
    check = check_recommendations(fit, X, 5, liked=4.0, seed=1, seconds=None, by=by, min_ratings=1)

    train, held_out = split(X, np.random.default_rng(1))
    seen, liked = train.toarray() > 0, held_out.toarray() >= 4
    assert check.n_held_out == held_out.nnz

    def precision(scores):
        order = np.argsort(np.where(seen, np.inf, -scores), axis=1, kind="stable")
        return np.take_along_axis(liked, order[:, :5], axis=1)[liked.any(axis=1)].mean()

    counts, total = seen.sum(axis=0), train.sum(axis=0)
    assert check.most_rated.precision == pytest.approx(precision(np.tile(counts, (40, 1))))
    means = (total + 20 * train.data.mean()) / (counts + 20)
    assert check.best_means.precision == pytest.approx(precision(np.tile(means, (40, 1))))
    again = refitted(fit, train, None)
    options = {"liked": 4.0} if by == "expected_hits" else {}
    columns, _ = again.recommend(n=5, by=by, **options)
    assert check.model.precision == precision_at_k(held_out, columns, liked=4)
    assert check.model.ndcg == ndcg_at_k(held_out, columns, liked=4)


def test_the_check_of_a_search_fits_its_models_again():
    X = sparse.csr_array(sparse.random(30, 20, density=0.6, random_state=np.random.default_rng(2)))
    auto = AutoNMF(max_candidates=6, random_state=0).fit(X)
    train, _ = split(X, np.random.default_rng(1))
    again = refitted(auto, train, None)
    assert [m.get_params() | {"max_iter": 0} for m in again.models_] == [
        m.get_params() | {"max_iter": 0} for m in auto.models_
    ]
    assert again.column_counts_.sum() == train.nnz
    assert auto.column_counts_.sum() == X.nnz
    assert refitted(NMF(3, tol=0, max_iter=10**7, sparse_missing="absent"), train, 0.05) is None


def test_an_interruption_of_the_check_keeps_what_is_written(ratings, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("advnmf.cli.recommend.check_recommendations", interrupt)
    out = ratings.with_name("out.csv")
    result = run("recommend", ratings, out, *COLUMNS, *FAST, code=130)
    assert result.stderr.splitlines()[-1].startswith("interrupted in the check")
    assert len(table(out)) > 10


def test_a_column_called_rank(tmp_path):
    (tmp_path / "in.csv").write_text("user,item,rank\na,x,1\nb,x,2\nb,y,1\n")
    run("recommend", tmp_path / "in.csv", tmp_path / "out.csv", "--triplets", "user,item,rank")
    header, *rows = table(tmp_path / "out.csv")
    assert header == ["user", "place", "item", "rank"]
    assert [row[:3] for row in rows] == [["a", "1", "y"]]


# --- wrong input, Ctrl-C -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["recommend", "in.csv", "out.csv"], "Missing option '--triplets'"),
        (["recommend", "in.csv", "out.csv", "--triplets", "user,film"], "must be three columns"),
        (["recommend", "in.csv", "out.csv", "--triplets", "user,film,star"], "in.csv: there is no column 'star'"),
        (["recommend", "in.csv", "out.csv", *COLUMNS, "--users", "u3,x,y"], "in.csv: there is no user 'x', 'y'"),
        (["recommend", "in.csv", "out.txt", *COLUMNS], "must end in one of .csv, .tsv, .parquet"),
        (["recommend", "in.csv", "in.csv", *COLUMNS], "exists already"),
        (["recommend", "in.csv", "out.csv", *COLUMNS, "-n", 0], "0 is not in the range"),
        (["recommend", "none.csv", "out.csv", *COLUMNS], "none.csv does not exist"),
        (["complete", "in.csv", "out.csv", "--pairs", "in.csv"], "--pairs goes with --triplets"),
        (["complete", "in.csv", "out.csv", *COLUMNS, "--pairs", "none.csv"], "none.csv does not exist"),
        (["complete", "in.csv", "out.csv", *COLUMNS, "--model", "atnmf"], "--model has no meaning with --triplets"),
        (["complete", "in.csv", "out.csv", *COLUMNS, "--solver", "mu"], "--solver has no meaning"),
        (["complete", "in.csv", "out.csv", *COLUMNS, "--lam", 3], "--lam has no meaning with --triplets"),
        (["complete", "in.csv", "out.csv", *COLUMNS, "--rank", "2,2"], "--rank is one number with --triplets"),
        (["complete", "in.csv", "out.csv", *COLUMNS, "--model", "auto", "--rank", 2], "chosen by --model auto"),
        (["recommend", "in.csv", "out.csv", *COLUMNS, "--rank", "2,2"], "--rank is one number with --triplets"),
        (["complete", "in.csv", "out.csv", *COLUMNS, "--scale-columns"], "--scale-columns has no meaning"),
        (["complete", "in.csv", "out.csv", *COLUMNS, "--no-header"], "--header has no meaning"),
        (["complete", "in.csv", "out.csv", *COLUMNS, "--alpha", "-1"], "alpha=-1.0 must be"),
        (["complete", "in.csv", "out.tsv", *COLUMNS], "keeps its format, text with ',' between its cells"),
        (["complete", "in.csv", "out.parquet", *COLUMNS], "name it .csv"),
        (["complete", "full.csv", "out.csv", *COLUMNS], "--pairs FILE, or let advnmf recommend"),
        (["complete", "empty.csv", "out.csv", *COLUMNS], "all 2 ratings are missing: there is nothing to learn from"),
    ],
)
def test_wrong_input(ratings, monkeypatch, args, words):
    monkeypatch.chdir(ratings.parent)
    (ratings.parent / "full.csv").write_text("user,film,stars\na,x,1\n")
    (ratings.parent / "empty.csv").write_text("user,film,stars\na,x,\nb,x,NA\n")
    before = sorted(os.listdir())
    assert words in refused(*args)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("bar", "options", "words"), [("search_bar", (), "auto: Of 3 candidates"), ("progress_bar", FAST, "rank 2, alpha")]
)
def test_an_interruption_keeps_what_there_is(ratings, monkeypatch, bar, options, words):
    """In the search: the best model so far; in a single fit: that fit."""

    @contextlib.contextmanager
    def interrupting_bar(*_):
        def callback(record):
            if getattr(record, "n_tried", None) == 3 or getattr(record, "n_iter", None) == 2:
                raise KeyboardInterrupt

        yield callback

    monkeypatch.setattr(f"advnmf.cli.fitting.{bar}", interrupting_bar)
    out = ratings.with_name("out.csv")
    result = run("complete", ratings, out, *COLUMNS, *options, code=130)
    assert words in result.stderr
    assert "interrupted; wrote" in result.stderr
    assert all(row[3] for row in table(out))


def test_interrupted_before_the_first_model_nothing_is_written(ratings, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    for model, options in (("NMF", FAST), ("AutoNMF", ())):
        monkeypatch.setattr(f"advnmf.{model}.fit", interrupt)
        result = run("complete", ratings, ratings.with_name("out.csv"), *COLUMNS, *options, code=130)
        assert result.stderr.splitlines()[-1] == "Interrupted; nothing was written"
        assert os.listdir(ratings.parent) == ["in.csv"]


# --- real data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("search", "most"), [("brief_search", 0.94), pytest.param("whole_search", 0.925, marks=pytest.mark.slow)]
)
def test_movielens(search, most, data_dir, tmp_path, request):
    """RMSE at most .925 with all settings chosen by the command, from the training fold alone."""
    request.getfixturevalue(search)
    folder = data_dir / "ratings"
    test = np.loadtxt(folder / "u1.test", dtype=np.int64)
    np.savetxt(tmp_path / "pairs.tsv", test[:, :2], fmt="%d", delimiter="\t")
    out = tmp_path / "out.csv"
    run("complete", folder / "u1.base", out, "--triplets", "1,2,3", "--pairs", tmp_path / "pairs.tsv")
    predicted = np.loadtxt(out, delimiter=",")
    np.testing.assert_array_equal(predicted[:, :2], test[:, :2])
    assert np.sqrt(np.mean((predicted[:, 2] - test[:, 2]) ** 2)) <= most
