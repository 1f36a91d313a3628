"""What each system trains, against lists written out by hand (2 + 2 layers)."""

import pytest

from laft_fairseq.errors import LaftError
from laft_fairseq.method import systems as methods
from laft_fairseq.method.systems import is_trained
from tests import tiny

ATTENTION = ("k_proj", "v_proj", "q_proj", "out_proj")
LINEAR = (".weight", ".bias")


def both(*names: str) -> set[str]:
    """Weight and bias of each."""
    return {name + part for name in names for part in LINEAR}


def encoder_layer(prefix: str) -> set[str]:
    """The 16 parameters of one of mBART's encoder layers."""
    attention = both(*(f"{prefix}.self_attn.{name}" for name in ATTENTION))
    rest = ("self_attn_layer_norm", "fc1", "fc2", "final_layer_norm")
    return attention | both(*(f"{prefix}.{name}" for name in rest))


def decoder_layer(prefix: str) -> set[str]:
    """The 26 parameters of one of mBART's decoder layers."""
    cross = both(*(f"{prefix}.encoder_attn.{name}" for name in ATTENTION))
    return encoder_layer(prefix) | cross | both(f"{prefix}.encoder_attn_layer_norm")


ENCODER_LAYERS = encoder_layer("encoder.layers.0") | encoder_layer("encoder.layers.1")
TASK_MODULE = encoder_layer("encoder.task_module.0") | encoder_layer("encoder.task_module.1")
GATE = both("encoder.gate.linear")
FUSION = both("encoder.fusion.down", "encoder.fusion.up")
ADAPTERS = both(
    *(
        f"decoder.layers.{layer}.language_adapter.{tag}.{part}"
        for layer in (0, 1)
        for tag in ("en_XX", "fr_XX")
        for part in ("down", "up", "layer_norm")
    )
)
BACKBONE = {
    "encoder.embed_tokens.weight",  # tied: also the decoder's, and the output projection
    "encoder.embed_positions.weight",
    "decoder.embed_positions.weight",
    *both("encoder.layernorm_embedding", "decoder.layernorm_embedding"),
    *both("encoder.layer_norm", "decoder.layer_norm"),
    *ENCODER_LAYERS,
    *decoder_layer("decoder.layers.0"),
    *decoder_layer("decoder.layers.1"),
}
QUERY_AND_KEY = both(
    "encoder.layers.0.self_attn.q_proj",
    "encoder.layers.0.self_attn.k_proj",
    "encoder.layers.1.self_attn.q_proj",
    "encoder.layers.1.self_attn.k_proj",
    "decoder.layers.0.self_attn.q_proj",
    "decoder.layers.0.self_attn.k_proj",
    "decoder.layers.0.encoder_attn.q_proj",
    "decoder.layers.0.encoder_attn.k_proj",
    "decoder.layers.1.self_attn.q_proj",
    "decoder.layers.1.self_attn.k_proj",
    "decoder.layers.1.encoder_attn.q_proj",
    "decoder.layers.1.encoder_attn.k_proj",
)
TASK_ADAPTERS = both(
    "encoder.layers.0.task_adapter.down",
    "encoder.layers.0.task_adapter.up",
    "encoder.layers.1.task_adapter.down",
    "encoder.layers.1.task_adapter.up",
    "decoder.layers.0.task_adapter.down",
    "decoder.layers.0.task_adapter.up",
    "decoder.layers.1.task_adapter.down",
    "decoder.layers.1.task_adapter.up",
)
LORA = {
    f"{projection}.lora_{side}.lora.weight"
    for projection in (
        *(f"encoder.layers.{n}.self_attn.{name}" for n in (0, 1) for name in ATTENTION),
        *(f"decoder.layers.{n}.self_attn.{name}" for n in (0, 1) for name in ATTENTION),
        *(f"decoder.layers.{n}.encoder_attn.{name}" for n in (0, 1) for name in ATTENTION),
        *("encoder.layers.0.fc1", "encoder.layers.0.fc2"),
        *("encoder.layers.1.fc1", "encoder.layers.1.fc2"),
        *("decoder.layers.0.fc1", "decoder.layers.0.fc2"),
        *("decoder.layers.1.fc1", "decoder.layers.1.fc2"),
    )
    for side in "AB"
}
ADDED = {
    "lora": LORA,
    "laft": TASK_MODULE | FUSION | ADAPTERS,
    "adapter": TASK_ADAPTERS,
    "tm_adv": TASK_MODULE | GATE,
    "tm_adv_frozen": TASK_MODULE | GATE,
}
TRAINED = [
    ("laft", "denoising", TASK_MODULE | FUSION | ADAPTERS),
    ("laft", "generation", TASK_MODULE),
    *(("mbart_full", stage, BACKBONE) for stage in methods.STAGES),
    *(("mbart_enc", stage, ENCODER_LAYERS) for stage in methods.STAGES),
    *(("mbart_enc_top2", stage, ENCODER_LAYERS) for stage in methods.STAGES),
    *(("adapter", stage, TASK_ADAPTERS) for stage in methods.STAGES),
    *(("lora", stage, LORA) for stage in methods.STAGES),
    *(("mbart_attn_qk", stage, QUERY_AND_KEY) for stage in methods.STAGES),
    *(("tm_adv", stage, BACKBONE | TASK_MODULE | GATE) for stage in methods.STAGES),
    *(("tm_adv_frozen", stage, TASK_MODULE | GATE) for stage in methods.STAGES),
]


def test_the_list_has_every_system_and_stage() -> None:
    assert {(method, stage) for method, stage, _ in TRAINED} == {
        (method, stage) for method in methods.METHODS for stage in methods.STAGES
    }


@pytest.mark.parametrize(("method", "stage", "expected"), TRAINED)
def test_what_is_trained(method: str, stage: str, expected: set[str]) -> None:
    built = tiny.model(stage, method=method, adapters=("en_XX", "fr_XX"))
    assert {name for name, p in built.named_parameters() if p.requires_grad} == expected
    assert {name for name, _ in built.named_parameters()} == BACKBONE | ADDED.get(method, set())


def test_freezing_works_both_ways() -> None:
    built = tiny.model("generation")
    for parameter in built.parameters():
        parameter.requires_grad = not parameter.requires_grad
    built.freeze()
    assert {name for name, p in built.named_parameters() if p.requires_grad} == TASK_MODULE


def test_top2_of_twelve_layers() -> None:
    trained = [
        layer
        for layer in range(12)
        if is_trained(f"encoder.layers.{layer}.fc1.weight", "mbart_enc_top2", "generation", 12)
    ]
    assert trained == [10, 11]
    assert not is_trained("decoder.layers.11.fc1.weight", "mbart_enc_top2", "generation", 12)


@pytest.mark.parametrize(
    ("method", "is_frozen", "changes_e_L"),  # task adapters stand within the encoder's layers
    [
        ("laft", True, False),
        ("tm_adv_frozen", True, False),
        ("adapter", False, False),
        ("lora", False, False),
        ("tm_adv", False, True),
        ("mbart_enc", False, True),
        ("mbart_enc_top2", False, True),
        ("mbart_attn_qk", False, True),
        ("mbart_full", False, True),
    ],
)
def test_which_systems_train_the_encoder(method: str, is_frozen: bool, changes_e_L: bool) -> None:
    assert tiny.model(method=method).encoder.frozen is is_frozen
    assert methods.trains_encoder(method) is changes_e_L


def test_unknown_method() -> None:
    with pytest.raises(LaftError, match="--method mbart_deep: "):
        methods.find("mbart_deep")
