"""Bring together the texts of one test set from files and logs."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from laft_fairseq.errors import LaftError
from laft_fairseq.files import read_lines
from laft_fairseq.scoring.fairseq_log import read_generate_log


@dataclass(frozen=True)
class Inputs:
    """The texts to score, n of each; `notes` say what a reader of the scores has to know."""

    hypotheses: list[str]
    references: list[str]
    sources: list[str] | None
    english: list[str] | None
    notes: list[str] = field(default_factory=list)


def read_inputs(
    lang: str,
    log: Path | None = None,
    hyp: Path | None = None,
    ref: Path | None = None,
    src: Path | None = None,
    english: Path | None = None,
) -> Inputs:
    """Read hypotheses from `log` or `hyp`, and what they are compared with.

    Args:
        lang: the language of the references, named in errors.
        log: output of fairseq-generate; without `ref` and `src` its T- and S- lines serve.
        hyp: hypotheses, one a line; one of `log` and `hyp` is given.
        ref: references, one a line.
        src: source texts, one a line.
        english: English references of the same items, one a line.

    Raises:
        LaftError: a file is unreadable, empty, incomplete or of another length, or a log is of
            another language.
    """
    texts: dict[str, list[str] | None] = dict.fromkeys(("ref", "src", "english"))
    notes = []
    given = str(log or hyp)
    if hyp is None:
        if log is None:
            raise LaftError("nothing to score: give --generate-log or --hyp")
        read = read_generate_log(log)
        _check_language(given, read.languages, lang)
        hypotheses = read.hypotheses
        texts |= {"ref": read.references, "src": read.sources}
        for name, kind in (("ref", "T"), ("src", "S")):
            if texts[name] is not None and {"ref": ref, "src": src}[name] is None:
                notes.append(
                    f"{given}: its {kind}- lines, which sentencepiece has normalised, serve as "
                    f"--{name}; give the raw file for scores to report"
                )
    else:
        hypotheses = read_lines(hyp)
    for name, path in (("ref", ref), ("src", src), ("english", english)):
        if path is not None:
            texts[name] = read_lines(path)
            _check_length(given, hypotheses, path, texts[name] or [], lang)
    references = texts["ref"]
    if references is None:
        raise LaftError(f"{given}: no references for {lang}: give them with --ref")
    return Inputs(hypotheses, references, texts["src"], texts["english"], notes)


def _check_language(given: str, ends: Iterable[Collection[str]], lang: str) -> None:
    """Each text is tagged as in `lang`, at its beginning or end."""
    code = lang.split("_")[0]
    tags = {tag for pair in ends if all(t.split("_")[0] != code for t in pair) for tag in pair}
    if tags:
        raise LaftError(
            f"{given}: its texts are tagged {', '.join(sorted(tags))}, not {lang} alone: "
            "score each language's own log by its --lang"
        )


def _check_length(
    given: str, hypotheses: list[str], path: Path, texts: list[str], lang: str
) -> None:
    if len(hypotheses) != len(texts):
        raise LaftError(
            f"{given} has {len(hypotheses)} hypotheses for {lang} but {path} has {len(texts)} "
            "lines: line i must belong to item i; use the files of the set that was generated"
        )
