"""``sparring``: argv to one tool. Settings (``--train.kimg 60``) are read here; the rest is cyclopts' business.

Nothing heavy is imported until a command needs it: help and listings answer at once.
"""

import sys
from collections.abc import Sequence

from cyclopts import CycloptsError

from sparring.cli import applying, augmenting, exchange, listing, measuring, training
from sparring.cli.shell import MISTAKE, STOPPED, app, complain, said
from sparring.core.config import unflatten
from sparring.core.errors import SparringError, did_you_mean
from sparring.core.recipe import GROUPS

__all__ = [  # the modules register their commands by being imported
    "MISTAKE",
    "STOPPED",
    "TAKES_SETTINGS",
    "app",
    "applying",
    "augmenting",
    "exchange",
    "listing",
    "main",
    "measuring",
    "split_settings",
    "training",
]

TAKES_SETTINGS = ("train", "inspect")


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command. A person's mistake is one line on standard error and exit code 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        said.clear()
        if arguments and arguments[0] in TAKES_SETTINGS:
            arguments, flat = split_settings(arguments)
            said.update(unflatten(flat))
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except SparringError as error:
        code = complain(str(error))
    except CycloptsError as error:
        code = complain(" ".join(str(error).split()))
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 0
    except OSError as error:  # of a disk, a mount, a permission
        code = complain(f"{error.filename or 'the system says'}: {error.strerror or error}")
    sys.exit(code if isinstance(code, int) else 0)


def split_settings(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take ``--group.name value``, ``--group.name=value`` and lone ``--group.name`` (true) out of the arguments."""
    rest: list[str] = []
    flat: dict[str, str] = {}
    queue = list(arguments)
    while queue:
        token = queue.pop(0)
        dotted, equals, value = token[2:].partition("=")
        if not (token.startswith("--") and "." in dotted):
            rest.append(token)
            continue
        group = dotted.partition(".")[0]
        if group not in GROUPS:
            raise SparringError(f"unknown option --{dotted}{did_you_mean(group, GROUPS)}")
        if not equals:
            value = queue.pop(0) if queue and not _is_option(queue[0]) else "true"
        flat[dotted.replace("-", "_")] = value
    return rest, flat


def _is_option(token: str) -> bool:
    return token.startswith("-") and not token[1:2].isdigit() and token[1:2] != "."
