"""LAFT's controls: what each costs in ROUGE-L, and what it does to the representations."""

from collections.abc import Sequence
from typing import Any

from laft_fairseq.tables import names
from laft_fairseq.tables.comparisons import JUDGED, Comparisons
from laft_fairseq.tables.document import Entry, Image, Node, Table, Text
from laft_fairseq.tables.main_tables import spread, to_main
from laft_fairseq.tables.results import Results

_STAGES = {"e": "encoder output", "r": "after removal", "fused": "after fusion"}
# What a panel may hold under which key, and what its column is called.
_MEASURES = {
    "silhouette": ("silhouette",),
    "retrieval": ("retrieval",),
    "retrieval, Latin masked": ("retrieval_masked", "masked_retrieval"),
    "probe by sentence": ("probe",),
    "probe by token": ("token_probe", "probe_token", "probe_tokens"),
}


def control_table(results: Results, comparisons: Comparisons, langs: Sequence[str]) -> list[Node]:
    """ROUGE-L of each control, its difference to LAFT, and the removed norm."""
    variants = [v for v in names.VARIANTS if v != "main"]
    extra = [c.variant for c in comparisons.controls] + list(results.representations)
    variants += [v for v in dict.fromkeys(extra) if v not in (*variants, "main", "stage1")]
    header = ["LAFT"]
    for lang in langs:
        header += [f"{names.language(lang)}: ROUGE-L", f"{names.language(lang)}: to LAFT"]
    rows: list[Sequence[Entry] | str] = []
    for variant in ["main", *variants]:
        entries = [Entry(names.VARIANTS.get(variant, variant))]
        for lang in langs:
            system = comparisons.find("headlines", "zero-shot", lang, "laft", variant)
            mean = (Entry(names.number(system.mean.value), spread(system))
                    if system else Entry(names.NOT_RUN, muted=True))  # fmt: skip
            entries += [mean, to_main(comparisons, lang, variant)]
        rows.append([*entries, _removed(results, variant)])
    caption = "Controls of LAFT, zero-shot headlines"
    judged = names.join([names.VARIANTS[variant] for variant in JUDGED])
    return [
        Table(caption, [*header, "removed ‖s‖ / ‖e‖"], rows),
        Text("To LAFT: control minus LAFT; the interval is corrected by Holm's procedure, over the "
             f"languages and the two controls that the verdict asks ({judged}), or over the "
             "languages and all other controls, run or not. Same seeds: on the seeds that both "
             "have, without the others of LAFT."),
        *representation_tables(results),
    ]  # fmt: skip


def _removed(results: Results, variant: str) -> Entry:
    measures = _measures(results, variant)
    shares = measures.get("removed")
    if not isinstance(shares, dict) or not shares:
        return Entry(names.NOT_MEASURED if not measures else names.NONE, muted=True)
    return Entry(", ".join(f"{tag[:2]} {names.number(share, 2)}" for tag, share in shares.items()))


def _measures(results: Results, variant: str) -> dict[str, Any]:
    measures = results.representations.get(variant, {}).get("measures")
    return measures if isinstance(measures, dict) else {}


def representation_tables(results: Results) -> list[Node]:
    """Silhouette, retrieval and probes by control, languages and stage."""
    if not results.representations:
        return [Text("Representations: not measured. No file laft-representations/1 was given.")]
    rows: list[Sequence[Entry] | str] = []
    order = [*(v for v in names.VARIANTS if v in results.representations),
             *(v for v in results.representations if v not in names.VARIANTS)]  # fmt: skip
    for variant in order:
        panels = _measures(results, variant).get("panels") or []
        rows.append(f"LAFT, {names.VARIANTS.get(variant, variant)}")
        rows += [_panel_row(panel) for panel in panels if isinstance(panel, dict)]
    header = ["Languages", "Representation", *_MEASURES]
    chance = _chance(results)
    return [
        Table("How much language the representations show, before and after", header, rows),
        Text(f"Silhouette: 0 is within each other. Retrieval: mean of both directions{chance}. "
             "A probe near 100 % after removal does not refute anything by itself."),
    ]  # fmt: skip


def _panel_row(panel: dict[str, Any]) -> list[Entry]:
    langs = names.join([names.language(tag) for tag in panel.get("langs", [])])
    stage = str(panel.get("stage", ""))
    return [Entry(langs), Entry(_STAGES.get(stage, stage)),
            *(_measure(panel, keys) for keys in _MEASURES.values())]  # fmt: skip


def _measure(panel: dict[str, Any], keys: tuple[str, ...]) -> Entry:
    found = next((panel[key] for key in keys if panel.get(key) is not None), None)
    if isinstance(found, dict) and "forward" in found:
        return Entry(names.percent(50 * (found["forward"] + found["backward"])))
    if isinstance(found, dict) and "value" in found:
        return Entry(names.percent(100 * found["value"]))
    if isinstance(found, int | float):
        return Entry(names.number(found, 3))
    return Entry(names.NOT_MEASURED, muted=True)


def _chance(results: Results) -> str:
    for variant in results.representations:
        for panel in _measures(results, variant).get("panels") or []:
            found = panel.get("retrieval") if isinstance(panel, dict) else None
            if isinstance(found, dict) and "chance" in found:
                return f", chance {names.percent(100 * found['chance'])}"
    return ""


def figure(results: Results) -> list[Node]:
    """Figure 2 of the paper for this run."""
    if results.figure is None:
        return [Text(f"{names.NOT_RUN.capitalize()}: there is no figure2.png.")]
    alternative = (
        "t-SNE maps of sentence representations, English against each other language: encoder "
        "output, after removal, after fusion"
    )
    return [Image(results.figure, alternative),
            Text("Its numbers stand in the table of representations under Controls.")]  # fmt: skip
