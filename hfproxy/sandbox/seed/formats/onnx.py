"""ONNX graphs, written field by field. Field numbers: `onnx/onnx.proto3` of the onnx project (IR version 8)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from .numbers import float32, weights
from .protobuf import integer, message, packed, single, text

FLOAT: Final = 1
INT64: Final = 7
_OPSET = 17
_IR_VERSION = 8
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_INTS = 1, 2, 7

Attribute = int | float | Sequence[int]


def node(op_type: str, inputs: Iterable[str], output: str, **attributes: Attribute) -> bytes:
    """One operation; its output's name is its own name too."""
    return b"".join(
        [
            *(text(1, name) for name in inputs),
            text(2, output),
            text(3, output),
            text(4, op_type),
            *(message(5, _attribute(name, value)) for name, value in attributes.items()),
        ]
    )


def constant(name: str, *shape: int) -> bytes:
    """An initializer of plausible float weights, decided by its name."""
    return b"".join(
        [packed(1, shape), integer(2, FLOAT), text(8, name), message(9, float32(weights(name, *shape)))],
    )


def numbers(name: str, values: Sequence[int]) -> bytes:
    """A one-dimensional int64 initializer."""
    raw = b"".join(value.to_bytes(8, "little", signed=True) for value in values)
    return b"".join([packed(1, [len(values)]), integer(2, INT64), text(8, name), message(9, raw)])


def value(name: str, element: int, *shape: int | str) -> bytes:
    """An input or output: its element type and shape, where a word stands for any length."""
    dimensions = (message(1, text(2, length) if isinstance(length, str) else integer(1, length)) for length in shape)
    return text(1, name) + message(2, message(1, integer(1, element), message(2, *dimensions)))


def model(
    name: str,
    *,
    nodes: Iterable[bytes],
    constants: Iterable[bytes],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of one `.onnx` file."""
    graph = b"".join(
        [
            *(message(1, part) for part in nodes),
            text(2, name),
            *(message(5, part) for part in constants),
            *(message(11, part) for part in inputs),
            *(message(12, part) for part in outputs),
        ]
    )
    return b"".join(
        [
            integer(1, _IR_VERSION),
            text(2, "hfproxy-sandbox"),
            message(7, graph),
            message(8, text(1, ""), integer(2, _OPSET)),
            *(message(14, text(1, key), text(2, word)) for key, word in (metadata or {}).items()),
        ]
    )


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, float):
        return text(1, name) + single(2, value) + integer(20, _ATTRIBUTE_FLOAT)
    if isinstance(value, int):
        return text(1, name) + integer(3, value) + integer(20, _ATTRIBUTE_INT)
    return text(1, name) + packed(8, value) + integer(20, _ATTRIBUTE_INTS)
