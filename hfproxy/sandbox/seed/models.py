"""What is in the demo's model repositories: configuration, tokenizer, weights, in the order people commit them."""

from collections.abc import Callable, Mapping, Sequence

from . import graphs, layers
from .formats.numbers import float32
from .formats.safetensors import Tensor, safetensors
from .layers import HIDDEN, INNER, POSITIONS, Shapes
from .plan import Build, PlannedCommit
from .vocabulary import as_json, tokenizer_files, vocabulary

Commits = Sequence[PlannedCommit]

_WORDS = len(vocabulary())
_PYTORCH = {"format": "pt"}


def bert(
    name: str, architecture: str, *, head: Shapes | None = None, labels: Sequence[str] = (), depth: int = 1
) -> Build:
    """A BERT with a head."""

    def build() -> Commits:
        prefix = "" if architecture == "BertModel" else "bert."
        shapes = layers.bert(prefix, _WORDS, layers=depth, head=head or {})
        config: dict[str, object] = {
            "architectures": [architecture],
            "model_type": "bert",
            "hidden_size": HIDDEN,
            "intermediate_size": INNER,
            "max_position_embeddings": POSITIONS,
            "num_attention_heads": 2,
            "num_hidden_layers": depth,
            "type_vocab_size": 2,
            "vocab_size": _WORDS,
        }
        if labels:
            config["id2label"] = {str(number): label for number, label in enumerate(labels)}
            config["label2id"] = {label: number for number, label in enumerate(labels)}
        return [_upload(name, config, shapes)]

    return build


def question_answerer(name: str) -> Build:
    return bert(name, "BertForQuestionAnswering", head=layers.linear("qa_outputs", 2, HIDDEN))


def masked(name: str) -> Build:
    """A BERT for filling in blanks; its head is tied to the embeddings but for a bias."""
    return bert(name, "BertForMaskedLM", head={"cls.predictions.bias": (_WORDS,)})


def sequence_classifier(name: str, labels: Sequence[str]) -> Build:
    return bert(
        name,
        "BertForSequenceClassification",
        head=layers.linear("bert.pooler.dense", HIDDEN, HIDDEN) | layers.linear("classifier", len(labels), HIDDEN),
        labels=labels,
    )


def token_classifier(name: str, labels: Sequence[str]) -> Build:
    head = layers.linear("classifier", len(labels), HIDDEN)
    return bert(name, "BertForTokenClassification", head=head, labels=labels)


def gpt2(name: str, *, depth: int = 1) -> Build:
    config: dict[str, object] = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_embd": HIDDEN,
        "n_head": 2,
        "n_inner": INNER,
        "n_layer": depth,
        "n_positions": POSITIONS,
        "vocab_size": _WORDS,
    }
    settings = as_json({"do_sample": True, "temperature": 0.9, "top_p": 0.92})
    return lambda: [
        _upload(name, config, layers.gpt2(_WORDS, layers=depth)),
        PlannedCommit("Add sampling defaults", {"generation_config.json": settings}, tag="v1.0"),
    ]


def t5(name: str, task: str, *, tag: str | None = None) -> Build:
    config: dict[str, object] = {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "d_ff": INNER,
        "d_kv": HIDDEN // 2,
        "d_model": HIDDEN,
        "num_heads": 2,
        "num_layers": 1,
        "task_specific_params": {task: {"prefix": f"{task}: "}},
        "vocab_size": _WORDS,
    }
    notes = f"# Training\n\nOne GPU, one night, learning rate 3e-4. Task prefix: `{task}: `.\n".encode()
    return lambda: [
        _upload(name, config, layers.t5(_WORDS, layers=1)),
        PlannedCommit("Say how it was trained", {"docs/training.md": notes}, tag=tag),
    ]


def vit(name: str, labels: Sequence[str], *, model_type: str = "vit") -> Build:
    config: dict[str, object] = {
        "architectures": ["ViTForImageClassification"],
        "model_type": model_type,
        "hidden_size": HIDDEN,
        "image_size": 32,
        "patch_size": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "id2label": {str(number): label for number, label in enumerate(labels)},
    }
    pictures = as_json({"do_normalize": True, "do_resize": True, "size": {"height": 32, "width": 32}})
    return lambda: [
        PlannedCommit(
            "Upload the model",
            {
                "config.json": as_json(config),
                "preprocessor_config.json": pictures,
                "model.safetensors": _weights(name, layers.vit(layers=1, side=32, patch=8, labels=len(labels))),
            },
        )
    ]


def onnx(name: str, make: Callable[[str], bytes], more: Mapping[str, object] | None = None) -> Build:
    """A repository whose model is one ONNX file, with a few JSON files beside it."""
    described = {path: as_json(value) for path, value in (more or {}).items()}
    return lambda: [
        PlannedCommit("Upload the model", {"model.onnx": make(name), **described}),
        PlannedCommit("Retrain with last month's data", {"model.onnx": make(f"{name} again")}, tag="2025.10"),
    ]


def sentence_encoder(name: str) -> Build:
    """The one with everything: weights, a graph, several versions, and a branch with halved numbers."""

    def build() -> Commits:
        table: Shapes = {"embeddings.weight": (_WORDS, HIDDEN)}
        modules = [
            {"idx": 0, "name": "0", "path": "0_StaticEmbedding", "type": "sentence_transformers.models.StaticEmbedding"}
        ]
        halves = {"embeddings.weight": Tensor.made(f"{name}:embeddings.weight", _WORDS, HIDDEN, dtype="F16")}
        return [
            PlannedCommit(
                "Upload the model",
                {
                    "modules.json": as_json(modules),
                    "config_sentence_transformers.json": as_json({"similarity_fn_name": "cosine"}),
                    "model.safetensors": _weights(name, table),
                    **tokenizer_files(),
                },
                tag="v0.9",
            ),
            PlannedCommit("Export to ONNX", {"onnx/model.onnx": graphs.sentence_encoder(name)}, tag="v1.0"),
            PlannedCommit(
                "Store the vectors as halves",
                {"model.safetensors": safetensors(halves, _PYTORCH)},
                branch="float16",
            ),
            PlannedCommit("Forget the unused list of modules", {}, removed=["modules.json"], tag="v1.1"),
        ]

    return build


def chat(name: str) -> Build:
    """A Llama in two shards, with an index that says which tensor lies where."""

    def build() -> Commits:
        tensors = layers.filled(name, layers.llama(_WORDS, layers=2))
        names = list(tensors)
        halves = names[: len(names) // 2], names[len(names) // 2 :]
        shards = {
            f"model-{number:05}-of-00002.safetensors": {tensor: tensors[tensor] for tensor in half}
            for number, half in enumerate(halves, start=1)
        }
        index = {
            "metadata": {"total_size": sum(len(tensor.content) for tensor in tensors.values())},
            "weight_map": {tensor: shard for shard, held in shards.items() for tensor in held},
        }
        config = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": HIDDEN,
            "intermediate_size": INNER,
            "max_position_embeddings": 2048,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "num_key_value_heads": 2,
            "vocab_size": _WORDS,
        }
        template = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}\n{% endfor %}<|assistant|>\n"
        tokenizer = tokenizer_files() | {"chat_template.jinja": template.encode()}
        return [
            PlannedCommit("Add configuration and tokenizer", {"config.json": as_json(config), **tokenizer}),
            PlannedCommit(
                "Upload the weights",
                {
                    **{path: safetensors(held, _PYTORCH) for path, held in shards.items()},
                    "model.safetensors.index.json": as_json(index),
                },
                tag="v1.0",
            ),
            PlannedCommit("Add the licence", {"LICENSE": _licence("Parrot community licence", "Acme")}),
        ]

    return build


def clip(name: str) -> Build:
    """Two graphs that share a space, and the projections for those who want to look inside."""

    def build() -> Commits:
        shapes: Shapes = {
            "text_projection.weight": (HIDDEN, HIDDEN),
            "visual_projection.weight": (HIDDEN, 3 * 16 * 16),
        }
        pictures = {"do_center_crop": False, "do_resize": True, "size": {"height": 16, "width": 16}}
        return [
            PlannedCommit(
                "Upload the model",
                {
                    "config.json": as_json({"model_type": "clip", "projection_dim": HIDDEN}),
                    "preprocessor_config.json": as_json(pictures),
                    "projection.safetensors": _weights(name, shapes),
                    **tokenizer_files(),
                },
            ),
            PlannedCommit(
                "Export both halves to ONNX",
                {
                    "onnx/text_model.onnx": graphs.clip_text(name),
                    "onnx/vision_model.onnx": graphs.clip_vision(name, side=16),
                },
                tag="v1.0",
            ),
        ]

    return build


def digits(name: str) -> Build:
    """One set of weights in two formats."""
    shapes: Shapes = layers.linear("hidden", 32, 64) | layers.linear("output", 10, 32)
    return lambda: [
        PlannedCommit("Weights", {"model.safetensors": _weights(name, shapes)}),
        PlannedCommit("The same as ONNX", {"model.onnx": graphs.classifier(name, inputs=64, classes=10, hidden=32)}),
    ]


def adapter(name: str, base_model: str) -> Build:
    """A LoRA adapter as PEFT saves it."""
    modules = [f"model.layers.{layer}.self_attn.{part}_proj" for layer in range(2) for part in "qv"]
    config = {
        "base_model_name_or_path": base_model,
        "lora_alpha": 16,
        "peft_type": "LORA",
        "r": 8,
        "target_modules": ["q_proj", "v_proj"],
        "task_type": "CAUSAL_LM",
    }
    return lambda: [
        PlannedCommit(
            "Upload the adapter",
            {
                "adapter_config.json": as_json(config),
                "adapter_model.safetensors": _weights(name, layers.lora(modules, rank=8)),
            },
        )
    ]


def voice(name: str) -> Build:
    """A spectrogram predictor behind a gate, with the licence that stays readable."""
    shapes: Shapes = {"speaker.weight": (HIDDEN, 64), **layers.linear("mel", 80, HIDDEN)}
    config = {"model_type": "speech-sketch", "sampling_rate": 16000, "num_mel_bins": 80}
    return lambda: [
        PlannedCommit(
            "Upload the model",
            {
                "config.json": as_json(config),
                "model.safetensors": _weights(name, shapes),
                "LICENSE": _licence("Creative Commons BY-NC 4.0, in short: not for money", "bob"),
            },
        )
    ]


def empty() -> Build:
    return lambda: [PlannedCommit("Promise something", {"notes.txt": b"Soon.\n"})]


def with_branch(build: Build, branch: str, title: str, put: Mapping[str, bytes]) -> Build:
    """The same repository with one more commit on a branch of its own."""
    return lambda: [*build(), PlannedCommit(title, put, branch=branch)]


def with_licence(build: Build, title: str, owner: str) -> Build:
    return lambda: [*build(), PlannedCommit("Add the licence", {"LICENSE": _licence(title, owner)})]


def wide_positions(name: str) -> bytes:
    """A table of position embeddings four times as long."""
    numbers = layers.filled(name, {"wide_positions.weight": (4 * POSITIONS, HIDDEN)})
    return safetensors(numbers, _PYTORCH)


def calibration(name: str) -> bytes:
    """A few numbers in a `.npy` file. Format: NEP 1, version 1.0."""
    scale = [0.5, 1.0, 2.0, len(name) / 2]
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + float32(scale)


def _upload(name: str, config: Mapping[str, object], shapes: Shapes) -> PlannedCommit:
    put = {"config.json": as_json(config), "model.safetensors": _weights(name, shapes), **tokenizer_files()}
    return PlannedCommit("Upload the model", put)


def _weights(name: str, shapes: Shapes) -> bytes:
    return safetensors(layers.filled(name, shapes), _PYTORCH)


def _licence(title: str, owner: str) -> bytes:
    return (
        f"{title}\n\nCopyright 2025 {owner}\n\nPermission to use, copy and change these files is granted to everyone "
        "who keeps this notice.\nThere is no warranty of any kind.\n"
    ).encode()
