"""`advnmf datasets`: what data sets there are."""

from __future__ import annotations

import rich_click as click
from rich.console import Console
from rich.table import Table

from ..datasets import CATALOGUE, DataSet
from ..datasets.fetching import ENVIRONMENT, cache_folder


@click.command()
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def datasets() -> int:
    """List the data sets that advnmf.datasets can fetch: size, licence, and how many of their files are here.

    Nothing is downloaded. Files are looked for in the folder that the environment variable ADVNMF_DATA names, then in
    the cache.
    """
    table = Table(box=None, pad_edge=False)
    for title in ("advnmf.datasets", "X", "download", "licence", "here"):
        table.add_column(title, no_wrap=title == "advnmf.datasets")
    for data_set in CATALOGUE:
        table.add_row(data_set.loader, data_set.content, _size(data_set.bytes), data_set.licence, _here(data_set))
    Console().print(table)
    click.echo(f"\nCache: {cache_folder()}; a folder named by {ENVIRONMENT} comes first.")
    return 0


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.0f} kB"


def _here(data_set: DataSet) -> str:
    here, wanted = data_set.n_here, len(data_set.files)
    return {0: "no", wanted: "yes"}.get(here, f"{here} of {wanted}")
