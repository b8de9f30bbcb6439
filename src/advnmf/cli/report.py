"""`advnmf report`: results of `advnmf reproduce` as a page, tables and pictures."""

from __future__ import annotations

import rich_click as click

from .progress import note, warnings_as_notes


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--out", metavar="DIR2", help="Folder for the report; made if need be. [default: DIR/report]")
@click.option("--force", is_flag=True, help="Replace an earlier report.")
@click.option("--quiet", is_flag=True, help="No notes.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def report(folder: str, out: str | None, force: bool, quiet: bool) -> int:
    """Make a page of the results that advnmf reproduce has left in DIR; nothing is computed again.

    The page, index.html, is one file that needs nothing else: the tables with what was printed beside what comes
    out, the winners, the figures, and how all was computed. Beside it there are a .csv for each table and figure and a
    .png for each figure.

    What has not been run is shown as missing, so a report can be made at any time. Lines that are no results are named
    and left out.
    """
    from .. import studies

    with warnings_as_notes(quiet, str):  # file names may look like parameters
        files = studies.write_report(folder, out, overwrite=force)
    note(f"{files[0]}: the report, with {len(files) - 1} tables and pictures beside it", quiet)
    return 0
