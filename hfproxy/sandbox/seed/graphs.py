"""The ONNX models of the demo: graphs small enough to read, run by onnxruntime as they are."""

from typing import Final

from .formats.onnx import FLOAT, INT64, constant, model, node, numbers, value
from .layers import HIDDEN
from .vocabulary import vocabulary

_CAST_TO_FLOAT: Final = FLOAT


def sentence_encoder(name: str) -> bytes:
    """Word vectors, their mean over the words that are there, scaled to length one."""
    return _text_graph(name, output="sentence_embedding", projected=False)


def clip_text(name: str) -> bytes:
    """The text half of a CLIP: as a sentence encoder, then into the space shared with pictures."""
    return _text_graph(name, output="text_embeds", projected=True)


def clip_vision(name: str, *, side: int) -> bytes:
    """The picture half of a CLIP: one matrix from pixels into the shared space."""
    return model(
        name,
        nodes=[
            node("Flatten", ["pixel_values"], "flat", axis=1),
            node("MatMul", ["flat", "visual_projection"], "projected"),
            *_to_length_one("projected", "image_embeds"),
        ],
        constants=[constant("visual_projection", 3 * side * side, HIDDEN)],
        inputs=[value("pixel_values", FLOAT, "batch", 3, side, side)],
        outputs=[value("image_embeds", FLOAT, "batch", HIDDEN)],
    )


def classifier(name: str, *, inputs: int, classes: int, hidden: int | None = None) -> bytes:
    """Features in, probabilities out: a logistic layer, or two layers with a rectifier between."""
    wide = hidden or inputs
    first = [node("Gemm", ["features", "weight_0", "bias_0"], "inner"), node("Relu", ["inner"], "active")]
    return model(
        name,
        nodes=[
            *(first if hidden else []),
            node("Gemm", ["active" if hidden else "features", "weight_1", "bias_1"], "logits"),
            node("Softmax", ["logits"], "probabilities", axis=1),
        ],
        constants=[
            *([constant("weight_0", inputs, wide), constant("bias_0", wide)] if hidden else []),
            constant("weight_1", wide, classes),
            constant("bias_1", classes),
        ],
        inputs=[value("features", FLOAT, "batch", inputs)],
        outputs=[value("probabilities", FLOAT, "batch", classes)],
    )


def regression(name: str, *, inputs: int, outputs: int) -> bytes:
    """One matrix product and one addition."""
    return model(
        name,
        nodes=[node("MatMul", ["features", "weight"], "product"), node("Add", ["product", "bias"], "prediction")],
        constants=[constant("weight", inputs, outputs), constant("bias", outputs)],
        inputs=[value("features", FLOAT, "batch", inputs)],
        outputs=[value("prediction", FLOAT, "batch", outputs)],
    )


def trigrams(name: str, *, buckets: int, classes: int) -> bytes:
    """Numbers of hashed trigrams in, probabilities out: a mean of their vectors and a logistic layer."""
    return model(
        name,
        nodes=[
            node("Gather", ["embeddings", "trigrams"], "vectors", axis=0),
            node("ReduceMean", ["vectors"], "mean", axes=[1], keepdims=0),
            node("Gemm", ["mean", "weight", "bias"], "logits"),
            node("Softmax", ["logits"], "probabilities", axis=1),
        ],
        constants=[constant("embeddings", buckets, 16), constant("weight", 16, classes), constant("bias", classes)],
        inputs=[value("trigrams", INT64, "batch", "length")],
        outputs=[value("probabilities", FLOAT, "batch", classes)],
    )


def detector(name: str, *, side: int, classes: int) -> bytes:
    """A grey picture in; per cell of a grid a box and a score for each class out."""
    cells = side // 8
    return model(
        name,
        nodes=[
            node("Conv", ["images", "edges", "edges_bias"], "features", kernel_shape=[8, 8], strides=[8, 8]),
            node("Relu", ["features"], "active"),
            node("Conv", ["active", "head", "head_bias"], "boxes", kernel_shape=[1, 1]),
        ],
        constants=[
            constant("edges", 8, 1, 8, 8),
            constant("edges_bias", 8),
            constant("head", 4 + classes, 8, 1, 1),
            constant("head_bias", 4 + classes),
        ],
        inputs=[value("images", FLOAT, "batch", 1, side, side)],
        outputs=[value("boxes", FLOAT, "batch", 4 + classes, cells, cells)],
    )


def _text_graph(name: str, *, output: str, projected: bool) -> bytes:
    pooled = [
        node("Gather", ["embeddings", "input_ids"], "last_hidden_state", axis=0),
        node("Cast", ["attention_mask"], "present", to=_CAST_TO_FLOAT),
        node("Unsqueeze", ["present", "axis_2"], "weights"),
        node("Mul", ["last_hidden_state", "weights"], "kept"),
        node("ReduceSum", ["kept", "axis_1"], "sum", keepdims=0),
        node("ReduceSum", ["weights", "axis_1"], "count", keepdims=0),
        node("Div", ["sum", "count"], "mean"),
    ]
    projection = [node("MatMul", ["mean", "text_projection"], "projected")] if projected else []
    return model(
        name,
        nodes=[*pooled, *projection, *_to_length_one("projected" if projected else "mean", output)],
        constants=[
            constant("embeddings", len(vocabulary()), HIDDEN),
            *([constant("text_projection", HIDDEN, HIDDEN)] if projected else []),
            numbers("axis_1", [1]),
            numbers("axis_2", [2]),
        ],
        inputs=[
            value("input_ids", INT64, "batch", "tokens"),
            value("attention_mask", INT64, "batch", "tokens"),
        ],
        outputs=[
            value("last_hidden_state", FLOAT, "batch", "tokens", HIDDEN),
            value(output, FLOAT, "batch", HIDDEN),
        ],
    )


def _to_length_one(source: str, output: str) -> list[bytes]:
    return [
        node("ReduceL2", [source], "length", axes=[1], keepdims=1),
        node("Div", [source, "length"], output),
    ]
