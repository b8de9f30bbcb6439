"""The program and its commands; an error is one line on stderr, without a traceback."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import rich_click as click
from click.exceptions import NoArgsIsHelpError

from .. import __version__
from ..io.files import FileError, printable, reason
from .complete import complete
from .datasets import datasets
from .demo import demo
from .inpaint import inpaint
from .options import in_options
from .progress import warnings_as_notes
from .recommend import recommend
from .report import report
from .reproduce import reproduce

# Characters of the line that ends a command.
_LONGEST = 2000
INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Program(click.RichGroup):
    """A group of commands that answers every exception with one line and an exit code."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, then exit: 0 done, 2 wrong input, 130 interrupted, 1 anything unforeseen."""
        args = list(sys.argv[1:] if args is None else args)
        if not standalone_mode:
            return super().main(args, prog_name, standalone_mode=False, **extra)
        try:
            with _own_words():
                code = super().main(args, prog_name, standalone_mode=False, **extra)
        except (click.Abort, KeyboardInterrupt):
            _stop("Interrupted; nothing was written", INTERRUPTED)
        except NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except click.ClickException as error:
            _stop(f"Error: {_usage(error)}", 2)
        except Exception as error:
            if "--debug" in args:
                traceback.print_exc()
            _stop(*_explain(error))
        sys.exit(code or 0)


@contextlib.contextmanager
def _own_words() -> Iterator[None]:
    """Hide what other libraries log or warn of; commands report what matters to their users."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings_as_notes():
            yield
    finally:
        logging.disable(disabled)


def _usage(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    return f"{message} (see {context.command_path} --help)" if context is not None else message


def _explain(error: Exception) -> tuple[str, int]:
    """The line for an exception, and the exit code: 2 where the input is at fault."""
    if isinstance(error, FileError):  # may name files, which are to be left alone
        return f"Error: {' '.join(str(error).split())}", 2
    if isinstance(error, ValueError | ImportError):
        return f"Error: {in_options(' '.join(str(error).split()))}", 2
    if isinstance(error, MemoryError):
        return f"Error: not enough memory: {reason(error)}", 1
    return f"Error: unexpected {type(error).__name__}: {reason(error)} (--debug shows where)", 1


def _stop(line: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError, ValueError):  # a stderr that is full or closed
        click.echo(printable(line, _LONGEST), err=True)
    sys.exit(code)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit code: 0 done, 2 wrong input, 130 interrupted (Ctrl-C), 1 anything else.",
)
@click.rich_config(help_config=click.RichHelpConfiguration(max_width=110, text_paragraph_linebreaks="\n\n"))
@click.version_option(__version__, "--version", message="advnmf %(version)s")
def program() -> None:
    """Complete nonnegative matrices that have holes: plain, adversarial and deep NMF."""


for _command in (complete, recommend, inpaint, demo, datasets, reproduce, report):
    program.add_command(_command)
