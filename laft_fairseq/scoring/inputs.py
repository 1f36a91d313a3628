"""Bring together the texts of one test set from files and logs."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from laft_fairseq.scoring.errors import ScoringError
from laft_fairseq.scoring.fairseq_log import read_generate_log
from laft_fairseq.scoring.text_files import read_texts


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
    logs: Sequence[Path] = (),
    hyp: Path | None = None,
    ref: Path | None = None,
    src: Path | None = None,
    english: Path | None = None,
) -> Inputs:
    """Read hypotheses from `log` or `hyp`, and what they are compared with.

    Args:
        lang: the language of the references, named in errors.
        logs: output of fairseq-generate, of each shard where there are several; without `ref`
            and `src` its T- and S- lines serve.
        hyp: hypotheses, one a line; one of `logs` and `hyp` is given.
        ref: references, one a line.
        src: source texts, one a line.
        english: English references of the same items, one a line.

    Raises:
        ScoringError: a file is unreadable, empty, incomplete or of another length, or a log is of
            another language.
    """
    texts: dict[str, list[str] | None] = dict.fromkeys(("ref", "src", "english"))
    notes = []
    if not logs and hyp is None:
        raise ScoringError("nothing to score: give --generate-log or --hyp")
    given = ", ".join(map(str, logs)) or str(hyp)
    if hyp is None:
        read = read_generate_log(*logs)
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
        hypotheses = read_texts(hyp)
    for name, path in (("ref", ref), ("src", src), ("english", english)):
        if path is not None:
            texts[name] = read_texts(path)
            _check_length(given, hypotheses, path, texts[name] or [], lang)
    references = texts["ref"]
    if references is None:
        raise ScoringError(f"{given}: no references for {lang}: give them with --ref")
    return Inputs(hypotheses, references, texts["src"], texts["english"], notes)


def _check_language(given: str, ends: Iterable[Collection[str]], lang: str) -> None:
    """Each text is tagged as in `lang`, at its beginning or end."""
    code = lang.split("_")[0]
    tags = {tag for own in ends if all(one.split("_")[0] != code for one in own) for tag in own}
    if tags:
        raise ScoringError(
            f"{given}: its texts are tagged {', '.join(sorted(tags))}, not {lang} alone: "
            "score each language's own log by its --lang"
        )


def _check_length(
    given: str, hypotheses: list[str], path: Path, texts: list[str], lang: str
) -> None:
    if len(hypotheses) != len(texts):
        raise ScoringError(
            f"{given} has {len(hypotheses)} hypotheses for {lang} but {path} has {len(texts)} "
            "lines: line i must belong to item i; use the files of the set that was generated"
        )
