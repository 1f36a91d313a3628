"""A checkpoint opened once: its tensors, its header, and what it records of the run behind it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from laft_fairseq.checkpoints.header import HEADER_KEY, Header, pop_header
from laft_fairseq.checkpoints.options import asks_for_ours, configuration, recorded_groups
from laft_fairseq.checkpoints.reading import (
    ORIGIN_KEY,
    checked_tensors,
    read_checkpoint,
    text_tensor,
)
from laft_fairseq.errors import LaftError
from laft_fairseq.languages.layout import TagLayout, tag_layout
from laft_fairseq.languages.vocabulary_files import LANGS_FILE, LAYOUT_FILE, NEW_LANGS_FILE

NOT_OURS = (
    "not written by laft_fairseq, so its languages and shape are not known; a pretrained mBART "
    "goes to --backbone"
)
POSITION_OFFSET = 2  # fairseq's learned positions begin after <s> and <pad>
HEAD_WIDTH = 64  # of mBART's attention at every size, where a file does not record its heads


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file of fairseq's form, ours or a stock one."""

    path: str
    content: Mapping[str, Any]  # all of it; large files are mapped, not copied
    state: dict[str, Tensor]  # the model's, checked, without the header; {} where it has no model
    header: Header | None  # what one of ours says of itself; None for others
    options: dict[str, dict[str, Any]]  # recorded for model, task and criterion, unchecked

    @property
    def is_ours(self) -> bool:
        """Whether it has our header, or asks for one of our architectures or tasks."""
        return self.header is not None or asks_for_ours(self.options)

    @property
    def is_slim(self) -> bool:
        """Whether it is one of ours, without the backbone's tensors."""
        return self.header is not None and self.header.kind == "slim"

    @property
    def is_backbone(self) -> bool:
        """Whether it is a stock mBART, or what ``laft export --as-backbone`` writes."""
        if not self.state or not self.options["model"]:
            return True
        plain = "method" not in self.options["model"]
        return self.header is None or (self.header.method == "mbart_full" and plain)

    @property
    def data(self) -> str | None:
        """The data directory that it was trained on, if recorded."""
        data = self.options["task"].get("data")
        return data if isinstance(data, str) else None

    @property
    def langs(self) -> list[str] | None:
        """The dictionary's tags in order, but for new languages, if recorded."""
        if self.header is not None:
            return self.header.langs
        langs = self._recorded("langs")
        return [tag for tag in langs.split(",") if tag] if isinstance(langs, str) else None

    @property
    def layout(self) -> TagLayout | None:
        """Where the tag stands, as header, options or the folder's ``tag-layout.txt`` say."""
        if self.header is not None:
            return TagLayout(self.header.tag_layout)
        recorded, folder = self._recorded("tag_layout"), Path(self.path).parent
        if isinstance(recorded, str) or (folder / LAYOUT_FILE).exists():
            return tag_layout(folder, recorded)
        return None

    def _recorded(self, name: str) -> Any:
        groups = (self.options["task"], self.options["model"])
        return next((group[name] for group in groups if group.get(name) is not None), None)

    def in_place_of_files(self, data: str) -> dict[str, str]:
        """What the header says in place of each vocabulary file that ``data`` lacks, by name."""
        if self.header is None:
            return {}
        recorded = {
            LANGS_FILE: ",".join(self.header.langs),
            LAYOUT_FILE: self.header.tag_layout,
            NEW_LANGS_FILE: ",".join(self.header.new_langs),
        }
        return {name: text for name, text in recorded.items() if not (Path(data) / name).exists()}

    def state_to_load(self, *, as_tensors: bool = False) -> dict[str, Any]:
        """The model's tensors with header and origin, as ``load_state_dict`` takes them.

        The header is the parsed one; with ``as_tensors`` all can be sent to other processes.
        """
        state: dict[str, Any] = self.state | {ORIGIN_KEY: text_tensor(self.path)}
        if self.header is not None:
            state[HEADER_KEY] = self.header.to_tensor() if as_tensors else self.header
        return state

    def usable_content(self) -> dict[str, Any]:
        """What may be used of a checkpoint of ours beside its model.

        A training's course, the criterion's tensors, and ``cfg`` in fairseq's form (options.py).

        Raises:
            LaftError: names the file and what is refused in it.
        """
        keys = ("criterion", "optimizer_history", "extra_state", "last_optimizer_state")
        content = {key: self.content[key] for key in keys if key in self.content}
        if content.get("criterion") is not None:
            content["criterion"] = checked_tensors(content["criterion"], self.path)
        cfg = configuration(self.options, self.path)
        return {**content, "args": None, "cfg": cfg, "task_state": {}}


def open_checkpoint(path: str, *, mmap: bool = True) -> Checkpoint:
    """Open a checkpoint and parse its header; with ``mmap`` large files are mapped.

    Raises:
        LaftError: unreadable, unsafe, or its tensors, header or options are damaged.
    """
    content = read_checkpoint(path, mmap=mmap)
    state = checked_tensors(content.get("model") or {}, path)
    header, _ = pop_header(state, path)
    return Checkpoint(path, content, state, header, recorded_groups(content, path))


def shape_arguments(state: Mapping[str, Tensor], path: str) -> dict[str, int]:
    """fairseq's options of a backbone's shape, all but the heads, read off its tensors.

    Sinusoidal positions leave no tensor.

    Raises:
        LaftError: a tensor is missing or has another number of dimensions.
    """
    shape: dict[str, int] = {"layernorm_embedding": "encoder.layernorm_embedding.weight" in state}
    try:
        for side, positions in (("encoder", "source"), ("decoder", "target")):
            layers = {name.split(".")[2] for name in state if name.startswith(f"{side}.layers.")}
            ffn, d = state[f"{side}.layers.0.fc1.weight"].shape
            table = state.get(f"{side}.embed_positions.weight")
            shape[f"{side}_layers"] = len(layers)
            shape[f"{side}_embed_dim"] = d
            shape[f"{side}_ffn_embed_dim"] = ffn
            shape[f"{side}_learned_pos"] = table is not None
            if table is not None:
                shape[f"max_{positions}_positions"] = table.size(0) - POSITION_OFFSET
    except (KeyError, ValueError, IndexError) as error:
        raise LaftError(f"{path}: not an mBART ({error} is missing or has another shape)") from None
    return shape
