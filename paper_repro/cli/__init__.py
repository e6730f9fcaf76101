"""The `t3` command: one table of commands, each a typed function imported only when called."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import textwrap
import typing
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from t3theory.exceptions import InputError, T3Error

__all__ = ["COMMANDS", "Command", "main"]


class Command(NamedTuple):
    """Where a command lives: `function` of `module` of this package.

    Its parameters are the command's options; `positional` names the one given without a dash.
    """

    module: str
    function: str
    summary: str
    positional: str | None = None


COMMANDS = {
    "reproduce": Command("reproduce", "reproduce", "regenerate the paper; picks up where it was"),
    "simulate": Command("simulate", "simulate", "one study of the theory, to records", "study"),
    "figures": Command(
        "figures", "figures", "figures and captions of simulated records", "records"
    ),
    "bounds": Command("bounds", "bounds", "bounds and true errors of your own mixture", "file"),
    "unlearn": Command("unlearn", "unlearn", "train a head for your own language model and data"),
    "generate": Command("generate", "generate", "text from an unlearned model, streamed"),
    "evaluate": Command("evaluate", "evaluate", "TOFU metrics, in open-unlearning's log format"),
    "claims": Command(
        "claims", "claims", "the claims table of a run: evidence and verdicts", "run"
    ),
    "report": Command("report", "report", "the page of records that are there", "records"),
}

USAGE_ERROR, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 2 wrong use or input, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if not words or words[0] in ("-h", "--help"):
            sys.stdout.write(_overview())
            return 0
        if words[0] == "--version":
            sys.stdout.write(f"{importlib.import_module('t3theory').__version__}\n")
            return 0
        if words[0] not in COMMANDS:
            raise InputError(f"no command {words[0]!r}; expected one of {', '.join(COMMANDS)}")
        return _run(words[0], words[1:])
    except T3Error as error:
        return _complain(str(error), USAGE_ERROR)
    except KeyboardInterrupt:
        return _complain("interrupted; what was finished is kept", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`t3 claims | head`): nothing is left to say.
        sys.stderr.close()
        return 0
    except OSError as error:
        # A path of the user's that cannot be read or written.
        return _complain(f"{error.filename or words[0]}: {error.strerror or error}", USAGE_ERROR)


def _run(name: str, words: list[str]) -> int:
    command = COMMANDS[name]
    function = _load(name, command)
    parser = _parser(name, command, function)
    _check_lists(function, words)
    status = function(**vars(parser.parse_args(words)))
    return status if isinstance(status, int) else 0


def _load(name: str, command: Command) -> Callable[..., Any]:
    try:
        module = importlib.import_module(f"{__name__}.{command.module}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__package__):
            raise
        raise InputError(
            f"`t3 {name}` needs {error.name}, which is not installed here; "
            "expected the extras: pip install -e '.[reproduce]'"
        ) from error
    return getattr(module, command.function)


def _parser(name: str, command: Command, function: Callable[..., Any]) -> Any:
    from jsonargparse import ArgumentParser

    class Parser(ArgumentParser):
        """One that raises where argparse would print its usage and exit."""

        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            raise InputError(f"{message} (see t3 {name} --help)") from ex

    parser = Parser(prog=f"t3 {name}", description=command.summary)
    hints, said = typing.get_type_hints(function), _descriptions(function)
    for key, parameter in inspect.signature(function).parameters.items():
        option = key if key == command.positional else f"--{key.replace('_', '-')}"
        how: dict[str, Any] = {"help": said.get(key)}
        if parameter.default is not inspect.Parameter.empty:
            how["default"] = parameter.default
            if key == command.positional:
                how["nargs"] = "?"
        elif option.startswith("-"):
            how["required"] = True
        hint = hints[key]
        if hint is bool:
            how["action"] = "store_true"
        elif (item := _item_type(hint)) is not None:
            # `--only a b` reads better than a list in JSON.
            how |= {"nargs": "+", "type": item}
        else:
            how["type"] = _reader(hint)
        parser.add_argument(option, **how)
    return parser


def _check_lists(function: Callable[..., Any], words: Sequence[str]) -> None:
    """Refuse a list given in two places, of which argparse would keep the last alone."""
    given = [word.partition("=")[0] for word in words]
    for key, hint in typing.get_type_hints(function).items():
        option = f"--{key.replace('_', '-')}"
        if _item_type(hint) is not None and given.count(option) > 1:
            raise InputError(f"{option}: expected once, with all its values after it")


class _Reader(NamedTuple):
    """From an option's word to its value; says what it expects in the help and in errors."""

    expected: str
    value: Callable[[str], Any]

    def __call__(self, word: str) -> Any:
        try:
            return self.value(word)
        except (KeyError, ValueError) as error:
            raise ArgumentTypeError(f"expected {self.expected}, got {word!r}") from error

    def __str__(self) -> str:
        return self.expected


_WORDS = {int: "a whole number", float: "a number", Path: "a path", str: "text"}


def _reader(hint: Any) -> _Reader:
    args = typing.get_args(hint)
    if type(None) in args:  # an option that may be left out
        return _reader(args[0])
    if typing.get_origin(hint) is typing.Literal:
        return _Reader(
            f"{', '.join(args[:-1])} or {args[-1]}", {arg: arg for arg in args}.__getitem__
        )
    return _Reader(_WORDS[hint], hint)


def _item_type(hint: Any) -> Any:
    """`x` of a `list[x]` or `Sequence[x]`, optional or not; None of anything else."""
    for candidate in (hint, *typing.get_args(hint)):
        if typing.get_origin(candidate) in (list, Sequence):
            return typing.get_args(candidate)[0]
    return None


def _descriptions(function: Callable[..., Any]) -> dict[str, str]:
    """What the docstring's `Args:` section says of each parameter."""
    _, _, section = (inspect.getdoc(function) or "").partition("Args:\n")
    entries = re.split(r"^    (?=\w+:)", section.partition("\n\n")[0], flags=re.MULTILINE)[1:]
    pairs = (entry.partition(":") for entry in entries)
    # argparse formats help with %.
    return {name: " ".join(text.split()).replace("%", "%%") for name, _, text in pairs}


def _overview() -> str:
    rows = "\n".join(f"  {name:<11}{command.summary}" for name, command in COMMANDS.items())
    return textwrap.dedent(
        """\
        usage: t3 COMMAND [options]     (t3 COMMAND --help says more)

        Temper-then-tilt unlearning: its theory, its experiments, and the tool.

        {rows}

        Exit status: 0 done, 2 wrong use or input (one line says what), 130 interrupted.
        """
    ).replace("{rows}", rows)


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"t3: {line}\n")
    return status
