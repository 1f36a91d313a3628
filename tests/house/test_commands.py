"""Every subcommand of `laft` explains itself."""

import argparse
import re

import pytest

from laft_fairseq.cli import main
from tests.house import shipped

COMMANDS = main.subcommands()
NOT_SUBCOMMANDS = {"__init__", "__main__", "main"}


def parser_of(command: str) -> argparse.ArgumentParser:
    parser = main.build_parser(COMMANDS)
    actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    choices = actions[0].choices
    assert command in choices, f"the file of {command} adds a parser of another name"
    return choices[command]


def test_every_file_is_a_subcommand_or_private() -> None:
    folder = shipped.REPOSITORY / "laft_fairseq" / "cli"
    public = {p.stem for p in folder.glob("*.py") if not re.match(r"_(?!_)", p.stem)}
    assert {name.replace("_", "-") for name in public - NOT_SUBCOMMANDS} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_its_help_shows_an_example(command: str) -> None:
    text = parser_of(command).format_help()
    example = re.search(r"^examples?:\n(.*)", text, re.MULTILINE | re.DOTALL)
    assert example, f"laft {command} --help has no paragraph `example:`"
    assert re.search(rf"\blaft {command}\b", example.group(1))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_help(command: str) -> None:
    mute = [a.dest for a in parser_of(command)._actions if not a.help]
    assert not mute, f"laft {command}: no help for {mute}"
