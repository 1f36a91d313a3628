"""Beam search over the same batches by one contender: `update N` after each, then the hypotheses.

Every search writes `--tokens` tokens and ``</s>``, neither fewer nor more, so that all contenders
take the same number of decoder steps whatever the random weights say.
"""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.data import LANGS, pieces
from benchmarks.shapes import BEAM, SHAPES, Shape

LENPEN = 1.0
EOS = 2
Search = Callable[[Tensor], list[list[int]]]  # (B, S) sources -> the best hypothesis of each


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=sorted(CONTENDERS))
    parser.add_argument("folder", type=Path, help="made by benchmarks/data.py")
    parser.add_argument("--shape", choices=sorted(SHAPES), required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True, help="written, without </s>")
    parser.add_argument("--updates", type=int, required=True, help="batches")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="weights in bf16, ours and stock's")
    return parser.parse_args()


def dictionary(shape: Shape) -> Any:
    """Pieces, tags and <mask>, as both fairseq models have it."""
    found = pieces(shape)
    for entry in (*(f"[{tag}]" for tag in LANGS), "<mask>"):
        found.add_symbol(entry)
    return found


def shape_options(shape: Shape) -> dict[str, Any]:
    """fairseq's options of the model."""
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (
            ("layers", shape.layers), ("embed_dim", shape.d), ("ffn_embed_dim", shape.ffn),
            ("attention_heads", shape.heads), ("normalize_before", True), ("learned_pos", True),
        )
    }  # fmt: skip
    return sides | {"max_source_positions": 1024, "max_target_positions": 1024}


def stock(args: argparse.Namespace) -> Search:
    """fairseq's own model and generator, told as ours which tokens are never written."""
    from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
    from fairseq.sequence_generator import SequenceGenerator

    shape = SHAPES[args.shape]
    options = Namespace(task="translation", share_all_embeddings=True, layernorm_embedding=True,
                        **shape_options(shape))  # fmt: skip
    ARCH_CONFIG_REGISTRY["mbart_large"](options)
    known = dictionary(shape)
    task = Namespace(source_dictionary=known, target_dictionary=known)
    model = ARCH_MODEL_REGISTRY["mbart_large"].build_model(options, task)
    state = torch.load(args.folder / "model.pt", weights_only=True, mmap=True)["model"]
    model.load_state_dict({k: v for k, v in state.items() if not k.startswith("laft")})
    placed(model, args)
    suppressed = [*(f"[{tag}]" for tag in LANGS), "<mask>", "<s>"]
    generator = SequenceGenerator(
        [model], known, beam_size=BEAM, max_len_a=0, max_len_b=args.tokens, min_len=args.tokens,
        len_penalty=LENPEN, unk_penalty=float("inf"), tokens_to_suppress=tuple(suppressed),
    )  # fmt: skip
    tag = known.index(f"[{LANGS[0]}]")

    def search(sources: Tensor) -> list[list[int]]:
        found = generator.generate([model], sample(sources), bos_token=tag)
        return [best[0]["tokens"].tolist() for best in found]

    return search


def ours(args: argparse.Namespace, method: str) -> Search:
    """This package's model, task and generator."""
    from fairseq.models import ARCH_CONFIG_REGISTRY

    import laft_fairseq
    from laft_fairseq.hub.loading import load_model
    from laft_fairseq.models.laft_mbart import LAFTMBart
    from laft_fairseq.tasks.laft_generation import LaftGeneration, LaftGenerationOptions

    assert laft_fairseq
    folder, laft = args.folder, method == "laft"
    options = Namespace(
        task="laft_generation", method=method, backbone=str(folder / "model.pt"),
        language_components=str(folder / "c.safetensors") if laft else None,
        max_source_positions=1024, max_target_positions=1024,
    )  # fmt: skip
    ARCH_CONFIG_REGISTRY[SHAPES[args.shape].arch](options)
    data = str(folder / "data-bin")
    if laft:
        task = LaftGeneration.setup_task(LaftGenerationOptions(data=data))
        model = LAFTMBart.build_model(options, task)
        model.start([LANGS[0]])
    else:
        model, task = load_model(str(folder / "model.pt"), data)
    placed(model, args)
    generator = task.build_generator(
        [model], Namespace(beam=BEAM, lenpen=LENPEN, max_len_a=0, max_len_b=args.tokens,
                           min_len=args.tokens),
    )  # fmt: skip

    def search(sources: Tensor) -> list[list[int]]:
        found = task.inference_step(generator, [model], sample(sources))
        return [best[0]["tokens"].tolist() for best in found]

    return search


def placed(model: Any, args: argparse.Namespace) -> None:
    """In eval, on the device, as fairseq-generate prepares a model."""
    model.requires_grad_(False).eval()
    if args.bf16:
        model.to(torch.bfloat16)
    if args.cuda:
        model.cuda()
    model.prepare_for_inference_(Namespace(
        generation=Namespace(beam=BEAM, no_beamable_mm=False, print_alignment=None)
    ))  # fmt: skip


def sample(sources: Tensor) -> dict[str, Any]:
    """A batch as fairseq's generators expect it."""
    lengths = torch.full((len(sources),), sources.size(1), device=sources.device)
    return {
        "id": torch.arange(len(sources), device=sources.device),
        "net_input": {"src_tokens": sources, "src_lengths": lengths},
    }


def hugging_face(folder: Path, shape: Shape) -> Any:
    """transformers' MBart with the weights of model.pt, which both then share."""
    from transformers import MBartConfig, MBartForConditionalGeneration

    entries = len(dictionary(shape))
    config = MBartConfig(
        vocab_size=entries, d_model=shape.d, encoder_layers=shape.layers,
        decoder_layers=shape.layers, encoder_ffn_dim=shape.ffn, decoder_ffn_dim=shape.ffn,
        encoder_attention_heads=shape.heads, decoder_attention_heads=shape.heads,
        scale_embedding=True, dropout=0.0, attention_dropout=0.0, normalize_before=True,
    )  # fmt: skip
    own = torch.load(folder / "model.pt", weights_only=True, mmap=True)["model"]
    shared = own["encoder.embed_tokens.weight"]  # (V, d)
    state = {f"model.{name}": tensor for name, tensor in own.items()}
    state |= {"model.shared.weight": shared, "lm_head.weight": shared,
              "final_logits_bias": torch.zeros(1, entries)}  # fmt: skip
    with torch.device("meta"):
        model = MBartForConditionalGeneration(config)
    state = {name: state[name] for name in model.state_dict()}
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    for side in (model.model.encoder, model.model.decoder):  # not a parameter
        assert side.embed_tokens.embed_scale == shape.d**0.5
    return model.requires_grad_(False).eval()


def transformers(args: argparse.Namespace) -> Search:
    """transformers' generate."""
    shape = SHAPES[args.shape]
    model = hugging_face(args.folder, shape)
    if args.bf16:
        model.to(torch.bfloat16)
    if args.cuda:
        model.cuda()
    tag = dictionary(shape).index(f"[{LANGS[0]}]")

    def search(sources: Tensor) -> list[list[int]]:
        with torch.no_grad():
            found = model.generate(
                sources, attention_mask=torch.ones_like(sources), num_beams=BEAM,
                length_penalty=LENPEN, min_new_tokens=args.tokens + 1,
                max_new_tokens=args.tokens + 1, decoder_start_token_id=tag, do_sample=False,
                forced_eos_token_id=EOS, early_stopping=True,
                suppress_tokens=[0, 1, 3, *range(tag, tag + len(LANGS) + 1)],
            )  # fmt: skip
        return [row[1:].tolist() for row in found]

    return search


def ctranslate2(args: argparse.Namespace) -> Search:
    """CTranslate2 in float32, by its transformers converter on the same weights."""
    import ctranslate2 as engine

    folder, shape = args.folder / "ctranslate2", SHAPES[args.shape]
    words = dictionary(shape).symbols
    if not (folder / "model.bin").exists():
        convert(args.folder, shape, folder, words)
    translator = engine.Translator(
        str(folder), device="cuda" if args.cuda else "cpu", compute_type="float32",
        inter_threads=1, intra_threads=torch.get_num_threads(),
    )  # fmt: skip
    places = {word: index for index, word in enumerate(words)}
    tag = f"[{LANGS[0]}]"
    never = [[word] for word in ("<s>", "<pad>", *(f"[{tag}]" for tag in LANGS), "<mask>")]

    def search(sources: Tensor) -> list[list[int]]:
        found = translator.translate_batch(
            [[words[index] for index in row] for row in sources.tolist()],
            target_prefix=[[tag]] * len(sources), beam_size=BEAM, length_penalty=LENPEN,
            max_decoding_length=args.tokens, min_decoding_length=args.tokens,
            suppress_sequences=never, disable_unk=True, max_batch_size=0,
        )  # fmt: skip
        return [[*(places[word] for word in row.hypotheses[0]), EOS] for row in found]

    return search


def convert(source: Path, shape: Shape, folder: Path, words: list[str]) -> None:
    """Write CTranslate2's model; its converter would ask for a tokenizer's files."""
    from ctranslate2.converters.transformers import MBartLoader

    loader = MBartLoader()
    model = hugging_face(source, shape)
    spec = loader.get_model_spec(model)
    loader.set_vocabulary(spec, words)
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<s>", "</s>", "<unk>"
    spec.config.decoder_start_token = None
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir(parents=True)
    spec.save(str(folder))


CONTENDERS: dict[str, Callable[[argparse.Namespace], Search]] = {
    "stock": stock,
    "mbart_full": lambda args: ours(args, "mbart_full"),
    "laft": lambda args: ours(args, "laft"),
    "transformers": transformers,
    "ctranslate2": ctranslate2,
}


def main() -> None:
    """Search batch by batch."""
    args = parse()
    shape = SHAPES[args.shape]
    search = CONTENDERS[args.contender](args)
    generator = torch.Generator().manual_seed(2)
    tag = dictionary(shape).index(f"[{LANGS[0]}]")
    found: list[list[int]] = []
    print("update 0", flush=True)
    for update in range(args.updates):
        texts = torch.randint(4, shape.pieces, (args.batch, shape.source - 2), generator=generator)
        ends = torch.tensor([EOS, tag]).expand(args.batch, 2)
        sources = torch.cat([texts, ends], dim=1).to("cuda" if args.cuda else "cpu")  # (B, S)
        found += search(sources)
        print(f"update {update + 1}", flush=True)
    assert all(len(row) == args.tokens + 1 for row in found), [len(row) for row in found]
    if args.cuda and args.contender != "ctranslate2":
        print(f"cuda_peak_bytes {torch.cuda.max_memory_allocated()}", flush=True)
    print("hypotheses " + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
