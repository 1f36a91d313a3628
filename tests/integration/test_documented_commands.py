"""The commands of fairseq in the documents parse, with every option that they name."""

import shlex

import pytest

from tests.house import shipped
from tests.house.test_documents import DOCUMENTS, commands


def test_fairseq_commands_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    from fairseq import options

    import laft_fairseq.register  # noqa: F401

    monkeypatch.chdir(shipped.REPOSITORY)
    parsers = {
        "fairseq-train": options.get_training_parser,
        "fairseq-generate": options.get_generation_parser,
        "fairseq-interactive": lambda: options.get_generation_parser(interactive=True),
    }
    parsed = 0
    for path in DOCUMENTS:
        for words in commands(path.read_text(encoding="utf-8")):
            rest = [word for word in words[1:] if word != "..."]
            if "..." in words and "--arch" not in words and words[0] == "fairseq-train":
                rest += ["--arch", "laft_mbart"]
            if words[0] in parsers and "--user-dir" in rest:
                try:
                    options.parse_args_and_arch(parsers[words[0]](), rest)
                except (SystemExit, Exception) as error:
                    if "no such checkpoint" in str(error):  # laft_m2m reads its shape there
                        continue
                    pytest.fail(f"{shipped.name(path)}: {shlex.join(words)}: {error}")
                parsed += 1
    assert parsed > 3
