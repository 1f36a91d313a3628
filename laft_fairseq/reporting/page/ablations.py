"""LAFT's ablations: what each costs in ROUGE-L, and what it does to the representations."""

from collections.abc import Sequence
from typing import Any

from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import Comparisons
from laft_fairseq.reporting.page.entries import Entry, Table
from laft_fairseq.reporting.page.main_tables import minus_laft, spread
from laft_fairseq.reporting.results import Results, Row

_STAGES = {"e": "encoder output", "r": "after removal", "fused": "after fusion"}
_MEASURES = {
    "silhouette": "silhouette",
    "retrieval": "retrieval",
    "retrieval, Latin masked": "retrieval_masked",
    "probe by sentence": "probe",
    "probe by token": "token_probe",
}


def ablation_scores(results: Results, comparisons: Comparisons) -> Table:
    """Return the ROUGE-L of each ablation, its difference to LAFT, and the removed norm."""
    header = ["LAFT"]
    for lang in results.targets:
        header += [f"{names.language(lang)}: ROUGE-L", f"{names.language(lang)}: minus LAFT"]
    rows = []
    run = [comparison.row.variant for comparison in comparisons.ablations]
    for variant in dict.fromkeys([*names.VARIANTS, *run, *results.representations]):
        if variant == "stage1":
            continue
        entries: list[Entry | str] = [names.VARIANTS.get(variant, variant)]
        for lang in results.targets:
            system = comparisons.find(Row("headlines", "zero-shot", "laft", variant, lang))
            absent = Entry(names.NOT_RUN, muted=True)
            mean = Entry(names.number(system.mean.value), spread(system)) if system else absent
            entries += [mean, minus_laft(comparisons.ablation(lang, variant))]
        rows.append([*entries, _removed(results, variant)])
    caption = "Ablations of LAFT, zero-shot headlines"
    return Table(caption, [*header, "removed ‖s‖ / ‖e‖"], rows)


def representation_table(results: Results) -> Table:
    """Return silhouette, retrieval and probes by variant, languages and stage."""
    rows: list[Sequence[Entry | str] | str] = []
    for variant in dict.fromkeys([*names.VARIANTS, *results.representations]):
        if variant in results.representations:
            rows.append(f"LAFT, {names.VARIANTS.get(variant, variant)}")
            rows += [_panel_row(panel) for panel in _panels(results, variant)]
    caption = "How much language the representations show, before and after removal"
    return Table(caption, ["Languages", "Representation", *_MEASURES], rows)


def chance(results: Results) -> str:
    """Return the chance level of retrieval, as a percentage, or ""."""
    panels = [panel for variant in results.representations for panel in _panels(results, variant)]
    levels = [(panel.get("retrieval") or {}).get("chance") for panel in panels]
    return next((names.percent(100 * level) for level in levels if level is not None), "")


def _panels(results: Results, variant: str) -> list[dict[str, Any]]:
    return list(_measures(results, variant).get("panels") or [])


def _measures(results: Results, variant: str) -> dict[str, Any]:
    return results.representations.get(variant, {}).get("measures") or {}


def _removed(results: Results, variant: str) -> Entry | str:
    measures = _measures(results, variant)
    shares = measures.get("removed") or {}
    if not shares:
        return Entry(names.NONE if measures else names.NOT_MEASURED, muted=True)
    return ", ".join(f"{tag[:2]} {names.number(share, 2)}" for tag, share in shares.items())


def _panel_row(panel: dict[str, Any]) -> list[Entry | str]:
    langs = names.join([names.language(tag) for tag in panel.get("langs") or []])
    stage = panel.get("stage") or ""
    measures = [_measure(panel.get(key)) for key in _MEASURES.values()]
    return [langs, _STAGES.get(stage, stage), *measures]


def _measure(value: Any) -> Entry | str:
    """Return a measure for reading: retrieval both ways, a probe's accuracy, or a silhouette."""
    if value is None:
        return Entry(names.NOT_MEASURED, muted=True)
    if isinstance(value, dict):
        share = value.get("value") or (value["forward"] + value["backward"]) / 2
        return names.percent(100 * share)
    return names.number(value, 3)
