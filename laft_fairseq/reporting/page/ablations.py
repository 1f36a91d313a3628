"""LAFT's ablations: what each costs in ROUGE-L, and what it does to the representations."""

from collections.abc import Sequence
from typing import Any

from laft_fairseq.reporting import names
from laft_fairseq.reporting.comparisons import Comparisons
from laft_fairseq.reporting.page.entries import Entry, Table
from laft_fairseq.reporting.page.main_tables import minus_laft, spread
from laft_fairseq.reporting.results import Results, Row, is_number

_STAGES = {"e": "encoder output", "r": "after removal", "fused": "after fusion"}
# The columns, and under which keys a panel may hold the measure.
_MEASURES = {
    "silhouette": ("silhouette",),
    "retrieval": ("retrieval",),
    "retrieval, Latin masked": ("retrieval_masked", "masked_retrieval"),
    "probe by sentence": ("probe",),
    "probe by token": ("token_probe", "probe_token", "probe_tokens"),
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
    for variant in results.representations:
        for panel in _panels(results, variant):
            retrieval = panel.get("retrieval")
            if isinstance(retrieval, dict) and is_number(retrieval.get("chance")):
                return names.percent(100 * retrieval["chance"])
    return ""


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
    measures = [_measure(panel, keys) for keys in _MEASURES.values()]
    return [langs, _STAGES.get(stage, stage), *measures]


def _measure(panel: dict[str, Any], keys: tuple[str, ...]) -> Entry | str:
    value = next((panel[key] for key in keys if panel.get(key) is not None), None)
    if isinstance(value, dict):
        if is_number(value.get("forward")) and is_number(value.get("backward")):
            return names.percent(50 * (value["forward"] + value["backward"]))
        if is_number(value.get("value")):
            return names.percent(100 * value["value"])
    elif is_number(value):
        return names.number(value, 3)
    return Entry(names.NOT_MEASURED, muted=True)
