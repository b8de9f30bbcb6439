"""Commands as users meet them."""

from click.testing import CliRunner

from advnmf.cli.app import program


def run(*args, code=0):
    """The result of a command, with stdout and stderr apart."""
    result = CliRunner().invoke(program, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    return result


def refused(*args, code=2):
    """The one line on stderr with which a command is refused."""
    result = run(*args, code=code)
    assert result.stdout == ""
    line = result.stderr.splitlines()[-1]
    assert line.startswith("Error: ")
    assert "Traceback" not in result.stderr
    return line
