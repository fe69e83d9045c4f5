"""The tensors of small networks under the names that `transformers` gives them, so that it can load them."""

from collections.abc import Iterable
from typing import Final

from .formats.safetensors import Tensor

HIDDEN: Final = 32
INNER: Final = 64
POSITIONS: Final = 64

Shapes = dict[str, tuple[int, ...]]


def filled(name: str, shapes: Shapes) -> dict[str, Tensor]:
    """A tensor for each shape, with weights that the model's name and the tensor's decide."""
    return {tensor: Tensor.made(f"{name}:{tensor}", *shape) for tensor, shape in shapes.items()}


def bert(prefix: str, vocabulary_size: int, *, layers: int, head: Shapes) -> Shapes:
    """`BertModel` without its pooler, and a head."""
    shapes: Shapes = {
        f"{prefix}embeddings.word_embeddings.weight": (vocabulary_size, HIDDEN),
        f"{prefix}embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        f"{prefix}embeddings.token_type_embeddings.weight": (2, HIDDEN),
        **_norm(f"{prefix}embeddings.LayerNorm"),
    }
    for layer in range(layers):
        at = f"{prefix}encoder.layer.{layer}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= linear(at + name, HIDDEN, HIDDEN)
        shapes |= _norm(f"{at}attention.output.LayerNorm")
        shapes |= linear(f"{at}intermediate.dense", INNER, HIDDEN)
        shapes |= linear(f"{at}output.dense", HIDDEN, INNER)
        shapes |= _norm(f"{at}output.LayerNorm")
    return shapes | head


def gpt2(vocabulary_size: int, *, layers: int) -> Shapes:
    """`GPT2LMHeadModel`, whose matrices are stored input first; the head is tied to the embeddings."""
    shapes: Shapes = {
        "transformer.wte.weight": (vocabulary_size, HIDDEN),
        "transformer.wpe.weight": (POSITIONS, HIDDEN),
    }
    for layer in range(layers):
        at = f"transformer.h.{layer}."
        shapes |= _norm(f"{at}ln_1") | _norm(f"{at}ln_2")
        for name, wide, narrow in (
            ("attn.c_attn", HIDDEN, 3 * HIDDEN),
            ("attn.c_proj", HIDDEN, HIDDEN),
            ("mlp.c_fc", HIDDEN, INNER),
            ("mlp.c_proj", INNER, HIDDEN),
        ):
            shapes |= {f"{at}{name}.weight": (wide, narrow), f"{at}{name}.bias": (narrow,)}
    return shapes | _norm("transformer.ln_f")


def llama(vocabulary_size: int, *, layers: int) -> Shapes:
    """`LlamaForCausalLM` with as many key heads as heads."""
    shapes: Shapes = {"model.embed_tokens.weight": (vocabulary_size, HIDDEN)}
    for layer in range(layers):
        at = f"model.layers.{layer}."
        shapes |= {f"{at}self_attn.{part}_proj.weight": (HIDDEN, HIDDEN) for part in "qkvo"}
        shapes |= {f"{at}mlp.{part}_proj.weight": (INNER, HIDDEN) for part in ("gate", "up")}
        shapes[f"{at}mlp.down_proj.weight"] = (HIDDEN, INNER)
        shapes |= {f"{at}{part}_layernorm.weight": (HIDDEN,) for part in ("input", "post_attention")}
    return shapes | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (vocabulary_size, HIDDEN)}


def t5(vocabulary_size: int, *, layers: int) -> Shapes:
    """`T5ForConditionalGeneration`: an encoder and a decoder over shared embeddings, without biases."""
    shapes: Shapes = {"shared.weight": (vocabulary_size, HIDDEN)}
    for stack, attentions in (("encoder", ["SelfAttention"]), ("decoder", ["SelfAttention", "EncDecAttention"])):
        for block in range(layers):
            at = f"{stack}.block.{block}.layer."
            for number, attention in enumerate(attentions):
                shapes |= {f"{at}{number}.{attention}.{part}.weight": (HIDDEN, HIDDEN) for part in "qkvo"}
            if block == 0:
                shapes[f"{at}0.SelfAttention.relative_attention_bias.weight"] = (32, 2)
            dense = f"{at}{len(attentions)}.DenseReluDense."
            shapes |= {f"{dense}wi.weight": (INNER, HIDDEN), f"{dense}wo.weight": (HIDDEN, INNER)}
            shapes |= {f"{at}{number}.layer_norm.weight": (HIDDEN,) for number in range(len(attentions) + 1)}
        shapes[f"{stack}.final_layer_norm.weight"] = (HIDDEN,)
    return shapes


def vit(*, layers: int, side: int, patch: int, labels: int) -> Shapes:
    """`ViTForImageClassification` over square pictures in colour."""
    shapes: Shapes = {
        "vit.embeddings.cls_token": (1, 1, HIDDEN),
        "vit.embeddings.position_embeddings": (1, (side // patch) ** 2 + 1, HIDDEN),
        "vit.embeddings.patch_embeddings.projection.weight": (HIDDEN, 3, patch, patch),
        "vit.embeddings.patch_embeddings.projection.bias": (HIDDEN,),
    }
    for layer in range(layers):
        at = f"vit.encoder.layer.{layer}."
        for part in ("attention.query", "attention.key", "attention.value", "output.dense"):
            shapes |= linear(f"{at}attention.{part}", HIDDEN, HIDDEN)
        shapes |= linear(f"{at}intermediate.dense", INNER, HIDDEN) | linear(f"{at}output.dense", HIDDEN, INNER)
        shapes |= _norm(f"{at}layernorm_before") | _norm(f"{at}layernorm_after")
    return shapes | _norm("vit.layernorm") | linear("classifier", labels, HIDDEN)


def lora(modules: Iterable[str], *, rank: int) -> Shapes:
    """A PEFT adapter on square projections."""
    shapes: Shapes = {}
    for module in modules:
        at = f"base_model.model.{module}."
        shapes |= {f"{at}lora_A.weight": (rank, HIDDEN), f"{at}lora_B.weight": (HIDDEN, rank)}
    return shapes


def linear(name: str, outputs: int, inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str) -> Shapes:
    return {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}
