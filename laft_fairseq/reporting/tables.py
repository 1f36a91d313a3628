"""Tables 1 to 3 of the paper, its numbers beside ours, the ablations, the differences to LAFT."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from laft_fairseq.reporting import names, paper
from laft_fairseq.reporting.comparisons import Comparison, Comparisons, System
from laft_fairseq.reporting.markup import Table, entry
from laft_fairseq.reporting.results import Results, Row
from laft_fairseq.reporting.statistics import ALPHA

PAPER_SETTINGS = ("zero-shot", "translate-train")
TRAINED = "Trained in stage 2"
TABLE_VARIANTS = ("main", "projection", "stage1")
_SPREADS = {"own": "", "borrowed": "spread borrowed", "unknown": "spread unknown"}
_DIFFERENCES = "LAFT minus, Seeds, Language, Difference, Holm-corrected interval, p by Holm"
_DIFFERENCES += ", Simultaneous interval, p, Detectable"


def paper_table(comparisons: Comparisons, number: int, task: str, langs: Sequence[str]) -> Table:
    """Return Table 1 (headlines) or Table 2 (questions), with the trivial baselines beneath."""
    rows: list[Sequence[str] | str] = []
    for setting, title in names.SETTINGS.items():
        block = systems_of_block(comparisons, task, setting, langs)
        rows += [title] if block else []
        best = [_best(comparisons, block, lang) for lang in langs]
        for row, notes in block.items():
            entries = [entry(row.title, notes), _trained(comparisons, row, langs)]
            for lang in langs:
                of_lang = replace(row, lang=lang)
                entries += [*_scores(comparisons, of_lang, best), _paper(number, of_lang)]
            rows.append(entries)
    rows += _trivial_rows(comparisons, task, langs)
    caption = f"Table {number}: ROUGE-L of {names.TASKS[task].lower()}, mean over seeds"
    header = [column for lang in langs for column in _columns(lang)]
    return Table(f"{caption}, 95 % interval beneath", ["System", TRAINED, *header], rows)


def systems_of_block(
    comparisons: Comparisons, task: str, setting: str, langs: Sequence[str]
) -> dict[Row, str]:
    """Return the rows of a block, without a language, and what a reader has to know of each.

    They are the paper's systems, and others with a cell or a contrast.
    """
    run = [s for s in comparisons.systems
           if (s.row.task, s.row.setting) == (task, setting) and s.row.lang in langs]  # fmt: skip
    there = {(system.row.method, system.row.variant) for system in run}
    there |= {(row.method, row.variant) for row in (c.row for c in comparisons.contrasts)
              if (row.task, row.setting) == (task, setting) and row.lang in langs}  # fmt: skip
    if setting in PAPER_SETTINGS:
        there |= {(method, "main") for _, of, _, method in paper.ROUGE_L if of == setting}
    same: dict[tuple[str, str], bool] = {}  # whether the target's data chose the same rate
    for system in run:
        if system.row.selection == "target":
            key = system.row.method, system.row.variant
            same[key] = same.get(key, True) and comparisons.doubles(system)
    block = {}
    for key in product(names.METHODS, TABLE_VARIANTS):
        row = Row(task, setting, *key, lang="")
        if key in there:
            notes = [names.NOTES[row.method]] if row.method in names.NOTES else []
            notes += ["both choices of the rate"] if same.get(key) else []
            block[row] = "; ".join(notes)
        if same.get(key) is False:
            block[replace(row, selection="target")] = names.BY_TARGET
    return block


def parameter_table(comparisons: Comparisons) -> Table:
    """Return Table 3: what stage 2 trains, and zero-shot Chinese headlines.

    The share is of all parameters that the model has in stage 2, a tied embedding counted once.
    """
    rows: list[Sequence[str] | str] = []
    for method in (*paper.TABLE3, *names.SIZE_VARIANTS):
        row = Row("headlines", "zero-shot", method, "main", "zh_CN")
        theirs, share = paper.TABLE3.get(method, (None, None))
        system, counts = comparisons.find(row), _counts(comparisons, row, ["zh_CN", "fr_XX"])
        if system is None and method not in paper.TABLE3:
            continue
        trained, of = counts.get("parameters"), counts.get("of")
        rows.append([
            row.title,
            names.NONE if trained is None else names.millions(trained),
            names.percent(100 * trained / of if trained is not None and of else None),
            names.percent(share),
            _scores(comparisons, row)[0],
            names.number(theirs, 2),
        ])  # fmt: skip
    caption = "Table 3: parameters that stage 2 trains, and ROUGE-L of zero-shot Chinese headlines"
    header = ["System", "trained", "of all parameters", "paper: share", "ROUGE-L", "paper: ROUGE-L"]
    return Table(caption, header, rows)


def ablation_table(comparisons: Comparisons) -> Table:
    """Return LAFT without its parts, and further ablations. The paper has no such table."""
    results = comparisons.results
    header = ["System", TRAINED]
    for lang in results.targets:
        header += [*_columns(lang)[:2], f"{names.language(lang)}: minus LAFT"]
    run = [variant for variant, _ in comparisons.ablations]
    variants = dict.fromkeys(["main", *names.ABLATIONS, *run, *results.representations])
    was_run = any(cell.row.variant in names.ABLATIONS for cell in results.cells)
    rows = []
    for variant in variants if was_run else ():
        row = Row("headlines", "zero-shot", "laft", variant, "zh_CN")
        entries = [row.title, _trained(comparisons, row, results.targets)]
        for lang in results.targets:
            entries += _scores(comparisons, replace(row, lang=lang))
            entries.append(_minus_laft(comparisons.ablations.get((variant, lang))))
        rows.append([*entries, _removed(results, variant)])
    caption = "Ablations of LAFT, zero-shot headlines; difference with corrected interval"
    return Table(caption, [*header, "removed ‖s‖ / ‖e‖"], rows)


def difference_table(caption: str, comparisons: Sequence[Comparison]) -> Table:
    """Return LAFT minus each, with a block for each task and setting."""
    rows: list[Sequence[str] | str] = []
    for comparison in comparisons:
        row, difference = comparison.row, comparison.difference
        title = f"{names.TASKS[row.task]}, {row.setting}"
        rows += [title] if title not in rows else []
        lang = names.language(row.lang)
        if difference is None:
            rows.append([row.title, names.NONE, lang, names.NOT_RUN, *[names.NONE] * 5])
            continue
        level = ALPHA / comparison.family
        higher = comparison.is_sure and difference.value > 0
        rows.append([
            row.title,
            entry(" and ".join(map(str, difference.seeds)), _SPREADS[difference.spread]),
            lang,
            entry(names.number(difference.value, 2, "+"), strong=higher),
            names.interval(comparison.corrected, 2, sign="+"),
            names.p_value(comparison.adjusted),
            names.interval(difference.interval(level), 2, sign="+"),
            names.p_value(difference.p),
            names.number(difference.detectable(level), 2),
        ])  # fmt: skip
    return Table(caption, _DIFFERENCES.split(", "), rows)


def trivial_baseline(
    comparisons: Comparisons, task: str, lang: str, name: str
) -> dict[str, float] | None:
    """Return a trivial baseline's ROUGE-L as f, low and high; None where no cell records it."""
    for cell in comparisons.results.cells:
        scores = (cell.data["scores"].get("floors") or {}).get(name) or {}
        if (cell.row.task, cell.row.lang) == (task, lang) and scores.get("rougeL"):
            return dict(scores["rougeL"])
    return None


def _trivial_rows(
    comparisons: Comparisons, task: str, langs: Sequence[str]
) -> list[Sequence[str] | str]:
    """Return a block of trivial baselines on the same items, and how the references fare."""
    rows = []
    for name, title in names.TRIVIAL_BASELINES.items():
        entries = [title, names.NONE]
        for lang in langs:
            score = trivial_baseline(comparisons, task, lang, name)
            interval = names.interval((score["low"], score["high"])) if score else ""
            rouge = entry(names.number(score["f"] if score else None), interval)
            entries += [rouge, names.NONE, names.NONE]
        rows.append(entries)
    references = ["references themselves", names.NONE]
    for lang in langs:
        shares = (s.score("reference_right_language") for s in comparisons.systems
                  if (s.row.task, s.row.lang) == (task, lang))  # fmt: skip
        references += [names.NONE, names.percent(next(shares, None)), names.NONE]
    there = [row for row in [*rows, references] if set(row[1:]) != {names.NONE}]
    return ["Trivial baselines: nothing is trained", *there] if there else []


def _columns(lang: str) -> list[str]:
    return [f"{names.language(lang)}: {what}" for what in ("ROUGE-L", "right language", "paper")]


def _best(comparisons: Comparisons, block: dict[Row, str], lang: str) -> System | None:
    """Return the highest system of a block, if it and the next have three seeds or more."""
    run = [comparisons.find(replace(row, lang=lang)) for row in block if row.selection == "source"]
    first = sorted((system for system in run if system), key=lambda s: -s.mean.value)[:2]
    return first[0] if len(first) > 1 and all(s.mean.decides for s in first) else None


def _scores(comparisons: Comparisons, row: Row, best: Sequence[System | None] = ()) -> list[str]:
    """Return our number and the share in the right language."""
    system = comparisons.find(row)
    if system is None:
        testable = _is_testable(comparisons.results, row)
        return [names.NOT_RUN if testable else names.NOT_TESTABLE, names.NONE]
    mean, count = system.mean, len(system.cells)
    rouge = entry(
        names.number(mean.value),
        names.interval(mean.interval()),
        "one seed" if count == 1 else f"{count} seeds",
        _SPREADS[mean.spread],
        strong=system in best,
    )
    undecidable = system.score("undecidable")
    note = f"{names.percent(undecidable)} undecidable" if undecidable else ""
    return [rouge, entry(names.percent(system.score("right_language")), note)]


def _counts(comparisons: Comparisons, row: Row, langs: Sequence[str]) -> dict[str, int]:
    """Return the parameters that stage 2 trains, and all that there are; nothing if not known."""
    for lang in langs:
        system = comparisons.find(replace(row, lang=lang))
        counts = (system.cells[0].data.get("trained") or {}) if system else {}
        if counts.get("parameters") is not None:
            return dict(counts)
    return {}


def _trained(comparisons: Comparisons, row: Row, langs: Sequence[str]) -> str:
    """Return what stage 2 trains, as `laft parameters` prints it."""
    counts = _counts(comparisons, row, langs)
    if not counts:
        return names.NONE
    of = counts.get("of")
    return entry(names.millions(counts["parameters"]), f"of {names.millions(of)}" if of else "")


def _minus_laft(comparison: Comparison | None) -> str:
    """Return an ablation minus LAFT: corrected interval, seeds, and what the same seeds give."""
    if comparison is None or comparison.difference is None:
        return names.NONE
    low, high = comparison.corrected
    laft, ablation = comparison.difference.seeds
    matched = comparison.matched
    return entry(
        names.number(-comparison.difference.value, sign="+"),
        names.interval((-high, -low), sign="+"),
        f"{ablation} and {laft} seeds",
        "" if matched is None else f"same seeds {names.number(-matched, sign='+')}",
        strong=comparison.is_sure,
    )


def _removed(results: Results, variant: str) -> str:
    measures = results.representations.get(variant, {}).get("measures") or {}
    shares = measures.get("removed") or {}
    if shares:
        return entry(*(f"{tag[:2]} {names.number(share, 2)}" for tag, share in shares.items()))
    return names.NONE if measures else names.NOT_MEASURED


def _is_testable(results: Results, row: Row) -> bool:
    """Whether nobody declared beforehand that the row cannot be tested.

    A declaration holds for all that it does not name, and may name a task as setting.
    """
    wanted = {"task": row.task, "lang": row.lang, "method": row.method}
    return not any(
        all(given.get(key, value) == value for key, value in wanted.items())
        and given.get("setting", row.setting) in (row.setting, row.task)
        for given in results.experiment.get("not_testable") or []
    )


def _paper(table: int, row: Row) -> str:
    """Return the paper's number, a dash where the paper has none."""
    score = paper.ROUGE_L.get((table, row.setting, row.lang, row.method))
    return names.number(score if row.variant == "main" else None, 2)
