"""Whether several fairseq-generate logs are the shards of one run: all of them, each once.

`fairseq-generate --num-shards N --shard-id I` gives every N-th batch of the test set to shard I;
laft_fairseq's tasks say so in the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import regex

from laft_fairseq.scoring.errors import ScoringError

_SHARD = regex.compile(r"^shard (\d+) of (\d+): (\d+) of (\d+) items")
_RUN = {  # what shards of one run have in common, by the name that an error gives it
    "model": regex.compile(r"^shard .* items, model (\S+)$"),
    "test set and beam": regex.compile(r"^Generate (\S+ with beam=\d+):"),
}


@dataclass
class LogFacts:
    """What a log says of its run beside the items.

    Attributes:
        shard: index from 0, number of shards, items of the shard and of all shards; None where
            the log does not say, as one of a whole run or one without fairseq's own lines.
        run: the model and the settings.
        languages: the tags of its sources.
    """

    shard: tuple[int, int, int, int] | None = None
    run: dict[str, str] = field(default_factory=dict)
    languages: set[str] = field(default_factory=set)

    def read(self, line: str) -> None:
        """Take what a line that holds no item says."""
        match = _SHARD.search(line)
        if match is not None:
            index, of, own, items = map(int, match.groups())
            self.shard = (index, of, own, items)
        for name, pattern in _RUN.items():
            match = pattern.search(line)
            if match is not None:
                self.run[name] = match[1]


def join(
    texts: Mapping[Path, Mapping[str, Mapping[int, str]]], facts: Mapping[Path, LogFacts]
) -> tuple[dict[str, dict[int, str]], int | None]:
    """Bring the items of all logs together: by kind of line and id, and how many there must be.

    Args:
        texts: by log, kind (S, T, H, D) and id.
        facts: by log.

    Raises:
        ScoringError: an item in two logs, a shard missing, given twice or of another run.
    """
    paths = list(texts)
    if any(facts[path].shard is not None for path in paths):
        _check_shards(paths, texts, facts)
    _check_one_run(paths, facts)
    joined: dict[str, dict[int, str]] = {}
    where: dict[int, Path] = {}
    for path in paths:
        for kind, by_id in texts[path].items():
            joined.setdefault(kind, {}).update(by_id)
        for item in set().union(*texts[path].values()):
            if item in where:
                raise ScoringError(
                    f"{path}: item {item} stands in {where[item]} too: a shard given twice, or "
                    "one of another run; give each shard of one run once"
                )
            where[item] = path
    shard = facts[paths[0]].shard
    return joined, shard[3] if shard else None


def _check_shards(
    paths: Sequence[Path],
    texts: Mapping[Path, Mapping[str, Mapping[int, str]]],
    facts: Mapping[Path, LogFacts],
) -> None:
    seen: dict[int, Path] = {}
    first = facts[paths[0]].shard
    for path in paths:
        shard = facts[path].shard
        if shard is None or first is None or shard[1::2] != first[1::2]:
            raise ScoringError(
                f"{path}: {_words(shard)}, but {paths[0]} is {_words(first)}: give the shards of "
                "one run"
            )
        index, of, own, _ = shard
        if index in seen:
            raise ScoringError(
                f"{path}: shard {index} of {of}, as {seen[index]} is: give each shard once"
            )
        seen[index] = path
        found = len(texts[path]["D"] or texts[path]["H"])
        if found != own:
            raise ScoringError(
                f"{path}: {found} hypotheses of the {own} of shard {index}: the run was cut short; "
                "generate the shard again"
            )
    assert first is not None
    missing = [str(index) for index in range(first[1]) if index not in seen]
    if missing:
        raise ScoringError(
            f"{paths[0]}: shard {first[0]} of {first[1]}: shard {', '.join(missing)} is missing; "
            f"give all {first[1]} logs to --generate-log"
        )


def _words(shard: tuple[int, int, int, int] | None) -> str:
    return f"of {shard[3]} items in {shard[1]} shards" if shard else "no shard, by its own words"


def _check_one_run(paths: Sequence[Path], facts: Mapping[Path, LogFacts]) -> None:
    first = facts[paths[0]]
    for path in paths[1:]:
        own = facts[path]
        pairs = {name: (own.run.get(name), first.run.get(name)) for name in _RUN}
        if len(own.languages) == len(first.languages) == 1:
            pairs["language"] = (min(own.languages), min(first.languages))
        for name, (here, there) in pairs.items():
            if here != there and here and there:
                raise ScoringError(
                    f"{path}: of another run than {paths[0]}: {name} {here} here, {there} there"
                )
