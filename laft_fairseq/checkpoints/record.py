"""What a checkpoint records of the run that wrote it: options, shape, languages, data."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from laft_fairseq.checkpoints.header import Header, architecture_options, pop_header
from laft_fairseq.languages.layout import TagLayout, tag_layout
from laft_fairseq.languages.vocabulary_files import LAYOUT_FILE, NEW_LANGS_FILE

POSITION_OFFSET = 2  # fairseq's learned positions begin after <s> and <pad>
HEAD_WIDTH = 64  # of mBART's attention at every size, where a file does not record its heads


def recorded_arguments(content: Mapping[str, Any]) -> Namespace | None:
    """The model's options as a checkpoint of fairseq keeps them; None if it keeps none."""
    args = content.get("args")
    if args is None and isinstance(content.get("cfg"), Mapping):
        args = content["cfg"].get("model")
    if isinstance(args, Mapping):
        return Namespace(**args)
    return args if isinstance(args, Namespace) else None


def shape_arguments(state: Mapping[str, Tensor]) -> dict[str, int]:
    """fairseq's options of an mBART's shape, all but the heads, read off its tensors."""
    found: dict[str, int] = {}
    for side in ("encoder", "decoder"):
        layers = {name.split(".")[2] for name in state if name.startswith(f"{side}.layers.")}
        ffn, d = state[f"{side}.layers.0.fc1.weight"].shape
        positions = state[f"{side}.embed_positions.weight"].size(0) - POSITION_OFFSET
        found[f"{side}_layers"] = len(layers)
        found[f"{side}_embed_dim"] = d
        found[f"{side}_ffn_embed_dim"] = ffn
        found["max_source_positions" if side == "encoder" else "max_target_positions"] = positions
    return found


def recorded_languages(data: str, state: Any) -> dict[str, str]:
    """What our checkpoint's header says in place of each file that ``data`` lacks, by its name."""
    header, _ = pop_header(dict(state)) if isinstance(state, Mapping) else (None, "")
    if header is None:
        return {}
    said = {"langs.txt": ",".join(header.langs), LAYOUT_FILE: header.tag_layout}
    said[NEW_LANGS_FILE] = ",".join(header.new_langs)
    return {name: value for name, value in said.items() if not (Path(data) / name).exists()}


def _parts(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """fairseq's ``args``, and the task's and the model's part of its ``cfg``."""
    cfg = content.get("cfg")
    parts = (cfg.get("task"), cfg.get("model")) if isinstance(cfg, Mapping) else (None, None)
    given = (content.get("args"), *parts)
    return [one if isinstance(one, Mapping) else getattr(one, "__dict__", {}) for one in given]


def recorded_options(content: Mapping[str, Any]) -> dict[str, Any]:
    """The ARCHITECTURE_OPTIONS in fairseq's ``args``, or in the model's part of its ``cfg``."""
    args, _, model = _parts(content)
    return architecture_options(args or model)


def recorded_langs(content: Mapping[str, Any]) -> list[str] | None:
    """The tags that a checkpoint of fairseq's records, in order; None if it records none."""
    langs = _recorded(content, "langs")
    return [tag for tag in langs.split(",") if tag] if isinstance(langs, str) else None


def _recorded(content: Mapping[str, Any], name: str) -> Any:
    return next((part[name] for part in _parts(content) if part.get(name) is not None), None)


def recorded_layout(
    path: str, header: Header | None, content: Mapping[str, Any]
) -> TagLayout | None:
    """What header, options or the folder's ``tag-layout.txt`` say; None where nothing does."""
    if header is not None:
        return TagLayout(header.tag_layout)
    recorded = _recorded(content, "tag_layout")
    folder = Path(path).parent
    if isinstance(recorded, str) or (folder / LAYOUT_FILE).exists():
        return tag_layout(folder, recorded)
    return None


def recorded_data(content: Mapping[str, Any]) -> str | None:
    """The data directory that fairseq kept in a checkpoint."""
    cfg, args = content.get("cfg"), content.get("args")
    task = cfg.get("task") if isinstance(cfg, Mapping) else args
    path = task.get("data") if isinstance(task, Mapping) else getattr(task, "data", None)
    return path if isinstance(path, str) else None
