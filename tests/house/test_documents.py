"""What the documents say can be typed and followed: commands parse, links lead somewhere."""

import importlib.util
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from laft_fairseq.cli import main
from tests.house import shipped

DOCUMENTS = [path for path in shipped.files() if path.suffix == ".md"]
NAMES = [shipped.name(path) for path in DOCUMENTS]
WRITTEN = [path for path in DOCUMENTS if path.name != "tables.md"]
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
PREPROCESS = shipped.REPOSITORY / "preprocess"
ENDS = {"<", ">", ">>", "2>", "2>>", "|", "||", "&&", ";", "&", "(", ")"}
# What the documents run of this project, at the start of a command.
PROGRAM = re.compile(
    r"(?:^|[|;&(]|\bdo) *(laft|make|snakemake|fairseq-\w+|torchrun|preprocess/\w+\.sh|"
    r"(?:\.venv/bin/)?python)(?= )"
)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of this project in the code blocks, without redirections."""
    for block in BLOCK.findall(text):
        for line in re.sub(r"\\\n|(?<=\|)\n", " ", block).splitlines():
            programs = {match[1] for match in PROGRAM.finditer(line)}
            if not programs:
                continue
            lexer = shlex.shlex(line, posix=True, punctuation_chars="<>|&;()")
            lexer.whitespace_split = True
            words = list(lexer)
            for place, word in enumerate(words):
                if word in programs and (place == 0 or words[place - 1] in {*ENDS, "do"}):
                    rest = words[place:]
                    end = next((n for n, one in enumerate(rest) if one in ENDS), len(rest))
                    yield rest[:end]


def laft_commands(text: str) -> Iterator[list[str]]:
    """The arguments of each `laft ...`, but those that are cut short by dots."""
    for program, *words in commands(text):
        if program == "laft" and not {"...", "COMMAND"} & set(words):
            yield words


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


def check_command(program: str, words: list[str]) -> str:
    """What is wrong with a command that is not `laft`'s, or nothing."""
    if program == "make":
        rules = (shipped.REPOSITORY / "Makefile").read_text()
        targets = [word for word in words if "=" not in word]
        wrong = [word for word in targets if not re.search(rf"^{word}:", rules, re.MULTILINE)]
        return f"no target {wrong}" if wrong else ""
    if program == "snakemake" or words[:1] == ["workflow"]:
        return wrong_settings(words)
    if program.endswith(".sh"):
        script = (shipped.REPOSITORY / program).read_text()
        modules = re.findall(r"run_module (\w+)", script)
        files = [path for name in modules for path in (PREPROCESS / name).glob("*.py")]
        source = "".join(path.read_text() for path in files)
        named = set(re.findall(r"""["'](?:--)?([a-z][a-z-]*)["']""", source))
        named |= set(re.findall(r"--([a-z][a-z-]*)", script))
        wrong = [word for word in words if word.startswith("--") and word[2:] not in named]
        return f"no options {wrong}" if wrong else ""
    if program.endswith("python"):
        if words[0] == "-m":
            return "" if importlib.util.find_spec(words[1]) else f"no module {words[1]}"
        return "" if (shipped.REPOSITORY / words[0]).is_file() else f"no file {words[0]}"
    return ""


def wrong_settings(words: list[str]) -> str:
    """What a command of the workflow names that is not there: recipes, settings."""
    examples = shipped.REPOSITORY / "examples"
    known = yaml.safe_load((examples / "workflow" / "defaults.yaml").read_text())
    recipes = [word for word in words if re.fullmatch(r"examples/\w+\.yaml", word)]
    if words[0] == "workflow":
        recipes.append(f"examples/{words[1]}.yaml")
    after = words[words.index("--config") + 1 :] if "--config" in words else []
    given = itertools.takewhile(lambda word: not word.startswith("-"), after)
    settings = [word.partition("=")[0] for word in given]
    wrong = [name for name in recipes if not (shipped.REPOSITORY / name).is_file()]
    wrong += [name for name in settings if name not in known]
    return f"not there: {wrong}" if wrong else ""


@pytest.mark.parametrize("path", WRITTEN, ids=map(shipped.name, WRITTEN))
def test_its_other_commands_name_what_there_is(path: Path) -> None:
    for program, *words in commands(path.read_text(encoding="utf-8")):
        wrong = check_command(program, words)
        assert not wrong, f"{shlex.join([program, *words])}: {wrong}"


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("make demmo", "no target ['demmo']"),
        ("laft workflow own --config foldr=x -n", "not there: ['foldr']"),
        ("laft workflow dmo", "not there: ['examples/dmo.yaml']"),
        ("preprocess/binarize.sh mono --langg fr_XX", "no options ['--langg']"),
        (".venv/bin/python benchmarks/runn.py all", "no file benchmarks/runn.py"),
    ],
)
def test_wrong_commands_are_found(command: str, wrong: str) -> None:
    ((program, *words),) = commands(f"```\n{command} > out\n```\n")
    assert check_command(program, words) == wrong


@pytest.mark.parametrize("path", WRITTEN, ids=map(shipped.name, WRITTEN))
def test_its_python_compiles(path: Path) -> None:
    for block in PYTHON_BLOCK.findall(path.read_text(encoding="utf-8")):
        compile(block, str(path), "exec")


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
