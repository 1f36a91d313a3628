"""Beam search by one system over random sources; prints `update N` after each batch, then all
hypotheses.

Every search writes as many tokens as a target of the shape has, and ``</s>``, neither fewer nor
more, so that all systems take the same number of decoder steps whatever the random weights say.
"""

from __future__ import annotations

import argparse
import json
from argparse import Namespace
from collections.abc import Callable
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.utils import convert_padding_direction
from torch import Tensor

from benchmarks.data import LANGS, subword_dictionary
from benchmarks.shapes import BEAM, LENGTHS, SHAPES, Shape
from benchmarks.steps import PAD, add_step_options, batches, print_cuda_peak, random_rows

EOS = 2
# (B, S) sources, padded at the right -> the best hypothesis of each
Search = Callable[[Tensor], list[list[int]]]


def fairseq(folder: Path, shape: Shape, cuda: bool) -> Search:
    """fairseq's model and generator, with the tokens that ours never writes suppressed."""
    from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY
    from fairseq.sequence_generator import SequenceGenerator

    options = Namespace(task="translation", share_all_embeddings=True, layernorm_embedding=True,
                        max_source_positions=1024, max_target_positions=1024)  # fmt: skip
    for side in ("encoder", "decoder"):
        for name, value in (
            ("layers", shape.layers), ("embed_dim", shape.d), ("ffn_embed_dim", shape.ffn),
            ("attention_heads", shape.heads), ("normalize_before", True), ("learned_pos", True),
        ):  # fmt: skip
            setattr(options, f"{side}_{name}", value)
    ARCH_CONFIG_REGISTRY["mbart_large"](options)
    dictionary = subword_dictionary(shape, with_tags=True)
    task = Namespace(source_dictionary=dictionary, target_dictionary=dictionary)
    model = ARCH_MODEL_REGISTRY["mbart_large"].build_model(options, task)
    state = torch.load(folder / "model.pt", weights_only=True, mmap=True)["model"]
    model.load_state_dict({k: v for k, v in state.items() if not k.startswith("laft")})
    prepare_for_inference(model, cuda)
    never = ("<s>", *(f"[{tag}]" for tag in LANGS), "<mask>")
    generator = SequenceGenerator(
        [model], dictionary, beam_size=BEAM, max_len_a=0, max_len_b=shape.target,
        min_len=shape.target, unk_penalty=float("inf"), tokens_to_suppress=never,
    )  # fmt: skip

    def search(sources: Tensor) -> list[list[int]]:
        hypotheses = generator.generate([model], sample(sources), bos_token=shape.subwords)
        return [best[0]["tokens"].tolist() for best in hypotheses]

    return search


def ours(folder: Path, shape: Shape, cuda: bool, method: str, half: bool = False) -> Search:
    """This package's model, task and generator; with ``half`` as `laft generate --half`."""
    from fairseq.models import ARCH_CONFIG_REGISTRY

    import laft_fairseq
    from laft_fairseq.hub.loading import load_model
    from laft_fairseq.models.laft_mbart import LAFTMBart
    from laft_fairseq.tasks.laft_generation import LaftGeneration, LaftGenerationOptions

    assert laft_fairseq
    data = str(folder / "data-bin")
    if method == "laft":
        options = Namespace(
            task="laft_generation", method=method, backbone=str(folder / "model.pt"),
            language_components=str(folder / "c.safetensors"),
            max_source_positions=1024, max_target_positions=1024,
        )  # fmt: skip
        ARCH_CONFIG_REGISTRY[shape.arch](options)
        task = LaftGeneration.setup_task(LaftGenerationOptions(data=data))
        model = LAFTMBart.build_model(options, task)
        model.start([LANGS[0]])
    else:
        model, task = load_model(str(folder / "model.pt"), data)
    prepare_for_inference(model, cuda)
    if half:
        model = model.half() if cuda else model.bfloat16()
    lengths = Namespace(beam=BEAM, lenpen=1.0, max_len_a=0, max_len_b=shape.target,
                        min_len=shape.target)  # fmt: skip
    generator = task.build_generator([model], lengths)

    def search(sources: Tensor) -> list[list[int]]:
        hypotheses = task.inference_step(generator, [model], sample(sources))
        return [best[0]["tokens"].tolist() for best in hypotheses]

    return search


def prepare_for_inference(model: Any, cuda: bool) -> None:
    """Do to a model what fairseq-generate does before it searches."""
    model.requires_grad_(False).eval()
    if cuda:
        model.cuda()
    model.prepare_for_inference_(Namespace(
        generation=Namespace(beam=BEAM, no_beamable_mm=False, print_alignment=None)
    ))  # fmt: skip


def sample(sources: Tensor) -> dict[str, Any]:
    """Returns a batch as fairseq's generators expect it, padded at the left."""
    tokens = convert_padding_direction(sources, PAD, right_to_left=True)
    return {
        "id": torch.arange(len(sources), device=sources.device),
        "net_input": {"src_tokens": tokens, "src_lengths": tokens.ne(PAD).sum(1)},
    }


def hugging_face(folder: Path, shape: Shape) -> Any:
    """transformers' MBart with the weights of model.pt."""
    entries = shape.subwords + len(LANGS) + 1
    weights = torch.load(folder / "model.pt", weights_only=True, mmap=True)["model"]
    shared = weights["encoder.embed_tokens.weight"]  # (V, d)
    state = {f"model.{name}": tensor for name, tensor in weights.items()}
    state |= {"model.shared.weight": shared, "lm_head.weight": shared,
              "final_logits_bias": torch.zeros(1, entries)}  # fmt: skip
    with torch.device("meta"):
        model = shape.hugging_face(entries, dropout=0.0)
    model.load_state_dict({name: state[name] for name in model.state_dict()}, assign=True)
    model.tie_weights()
    for side in (model.model.encoder, model.model.decoder):  # not a parameter
        assert side.embed_tokens.embed_scale == shape.d**0.5
    return model.requires_grad_(False).eval()


def transformers(folder: Path, shape: Shape, cuda: bool) -> Search:
    """transformers' MBart with the weights of model.pt, and its `generate`."""
    model = hugging_face(folder, shape).to("cuda" if cuda else "cpu")
    tag = shape.subwords  # the first

    def search(sources: Tensor) -> list[list[int]]:
        with torch.no_grad():
            hypotheses = model.generate(
                sources, attention_mask=sources.ne(PAD), num_beams=BEAM,
                length_penalty=1.0, min_new_tokens=shape.target + 1,
                max_new_tokens=shape.target + 1, decoder_start_token_id=tag, do_sample=False,
                forced_eos_token_id=EOS, early_stopping=True,
                suppress_tokens=[0, 1, 3, *range(tag, tag + len(LANGS) + 1)],
            )  # fmt: skip
        return [row[1:].tolist() for row in hypotheses]

    return search


def ctranslate2(folder: Path, shape: Shape, cuda: bool) -> Search:
    """CTranslate2 in fp32 on a CPU, the only floating-point type that it has there."""
    import ctranslate2 as engine

    assert not cuda
    converted = folder / "ctranslate2"
    words = subword_dictionary(shape, with_tags=True).symbols
    if not (converted / "model.bin").exists():  # converted elsewhere, so that no memory is kept
        process = get_context("spawn").Process(target=convert, args=(folder, shape, converted))
        process.start()
        process.join()
    translator = engine.Translator(
        str(converted), compute_type="float32", inter_threads=1,
        intra_threads=torch.get_num_threads(),
    )  # fmt: skip
    ids = {word: index for index, word in enumerate(words)}
    tags = [f"[{tag}]" for tag in LANGS]

    def search(sources: Tensor) -> list[list[int]]:
        hypotheses = translator.translate_batch(
            [[words[index] for index in row if index != PAD] for row in sources.tolist()],
            target_prefix=[tags[:1]] * len(sources), beam_size=BEAM, length_penalty=1.0,
            max_decoding_length=shape.target, min_decoding_length=shape.target,
            suppress_sequences=[[word] for word in ("<s>", "<pad>", *tags, "<mask>")],
            disable_unk=True,
        )  # fmt: skip
        return [[*(ids[word] for word in row.hypotheses[0]), EOS] for row in hypotheses]

    return search


def convert(folder: Path, shape: Shape, out: Path) -> None:
    """Write CTranslate2's model of model.pt; its own converter asks for a tokenizer's files."""
    from ctranslate2.converters.transformers import MBartLoader

    loader, model = MBartLoader(), hugging_face(folder, shape)
    model.config.normalize_before = True  # which the loader reads
    spec = loader.get_model_spec(model)
    loader.set_vocabulary(spec, subword_dictionary(shape, with_tags=True).symbols)
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<s>", "</s>", "<unk>"
    spec.config.decoder_start_token = None
    spec.validate()
    spec.optimize(quantization=None)
    out.mkdir(exist_ok=True)
    spec.save(str(out))


SYSTEMS: dict[str, Callable[[Path, Shape, bool], Search]] = {
    "fairseq": fairseq,
    "mbart_full": lambda *args: ours(*args, "mbart_full"),
    "laft": lambda *args: ours(*args, "laft"),
    "mbart_full-half": lambda *args: ours(*args, "mbart_full", half=True),
    "laft-half": lambda *args: ours(*args, "laft", half=True),
    "transformers": transformers,
    "ctranslate2": ctranslate2,
}


def main() -> None:
    """Search batch by batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="made by benchmarks/data.py")
    parser.add_argument("--system", choices=sorted(SYSTEMS), required=True)
    add_step_options(parser)
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    search = SYSTEMS[args.system](args.folder, shape, args.cuda)
    generator = torch.Generator().manual_seed(2)
    pairs = np.load(args.folder / "stock" / LENGTHS)
    lengths = pairs[0]
    hypotheses: list[list[int]] = []
    print("update 0", flush=True)
    for update, chosen in enumerate(islice(cycle(batches(pairs, args)), args.updates)):
        sources = random_rows(lengths[chosen], shape.subwords, generator)  # (B, S)
        ends = torch.from_numpy(lengths[chosen]).unsqueeze(1)  # (B, 1)
        sources.scatter_(1, ends - 2, EOS).scatter_(1, ends - 1, shape.subwords)  # the first tag
        hypotheses += search(sources.to("cuda" if args.cuda else "cpu"))
        print(f"update {update + 1}", flush=True)
    lengths = {len(row) for row in hypotheses}
    assert lengths == {shape.target + 1}, lengths
    if args.cuda:
        print_cuda_peak()
    print("hypotheses " + json.dumps(hypotheses), flush=True)


if __name__ == "__main__":
    main()
