"""What the documents say can be typed and followed: `laft` commands parse, links lead somewhere."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from laft_fairseq.cli import main
from tests.house import shipped

DOCUMENTS = [path for path in shipped.files() if path.suffix == ".md"]
NAMES = [shipped.name(path) for path in DOCUMENTS]
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
ENDS = {"<", ">", ">>", "2>", "2>>", "|", "||", "&&", ";", "&"}


def laft_commands(text: str) -> Iterator[list[str]]:
    """The arguments of each `laft ...` in the code blocks, without redirections."""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if not re.search(r"(^|[|;&(] *)laft [a-z]", line) or "..." in line:
                continue
            lexer = shlex.shlex(line, posix=True, punctuation_chars="<>|&;()")
            lexer.whitespace_split = True
            words = list(lexer)
            for place, word in enumerate(words):
                if word == "laft" and (place == 0 or words[place - 1] in ENDS):
                    rest = words[place + 1 :]
                    end = next((n for n, one in enumerate(rest) if one in ENDS), len(rest))
                    yield rest[:end]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    outside = BLOCK.sub("", path.read_text(encoding="utf-8"))
    plain = (
        re.sub(r"[`*]|\]\([^)]*\)|\[", "", title).lower() for title in HEADING.findall(outside)
    )
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in plain}


def expect_to_parse(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = main.build_parser(main.subcommands())
    for words in laft_commands(text):
        try:
            parser.parse_args(words)
        except SystemExit:
            pytest.fail(f"laft {shlex.join(words)}: {capsys.readouterr().err.splitlines()[-1]}")


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_its_laft_commands_parse(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expect_to_parse(path.read_text(encoding="utf-8"), capsys)


@pytest.mark.parametrize("command", main.subcommands())
def test_the_examples_of_its_help_parse(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main([command, "--help"])
    examples = capsys.readouterr().out.partition("example")[2]
    lines = re.sub(r"^ +", "", examples, flags=re.MULTILINE)
    expect_to_parse(f"```\n{lines}```\n", capsys)


def test_commands_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    line = "tail -f x | laft generate --lang fr_XX \\\n  --nbest 3 < in > out  # a word"
    text = f"```\n{line}\nlaft x ...\n```\n"
    assert list(laft_commands(text)) == [["generate", "--lang", "fr_XX", "--nbest", "3"]]
    walkthrough = (shipped.REPOSITORY / "docs" / "walkthrough.md").read_text(encoding="utf-8")
    assert len(list(laft_commands(walkthrough))) > 6
    with pytest.raises(pytest.fail.Exception, match="unrecognized arguments: --langage"):
        expect_to_parse("```\nlaft generate --checkpoint c --lang a --langage b\n```\n", capsys)


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_its_links_lead_to_files_and_headings(path: Path) -> None:
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{link}: no such file"
        if anchor:
            assert anchor in anchors(there), f"{link}: no such heading"
