"""Parquet files of one row group: required columns, plain encoding, no compression.

Structures and field numbers: `parquet.thrift` of the Parquet format; wire form: Thrift's compact protocol.
"""

import struct
from collections.abc import Mapping, Sequence

Column = Sequence[int] | Sequence[float] | Sequence[str]

_MAGIC = b"PAR1"
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
_INT64, _DOUBLE, _BYTE_ARRAY = 2, 5, 6
_PLAIN, _RLE = 0, 3
_REQUIRED, _UTF8, _UNCOMPRESSED, _DATA_PAGE = 0, 0, 0, 0

Field = tuple[int, int, bytes]


def parquet(columns: Mapping[str, Column]) -> bytes:
    """The columns, all of one length and each of one type, as the bytes of a `.parquet` file."""
    [row_count] = {len(column) for column in columns.values()}
    body = bytearray(_MAGIC)
    chunks, schema = [], [_struct(_binary(4, "schema"), _i32(5, len(columns)))]
    for name, column in columns.items():
        kind, values = _plain(column)
        page = _page_header(len(values), row_count) + values
        chunks.append(_column_chunk(name, kind, offset=len(body), size_bytes=len(page), row_count=row_count))
        schema.append(_schema_element(name, kind))
        body += page
    row_group = _struct(_list(1, _STRUCT, chunks), _i64(2, len(body) - len(_MAGIC)), _i64(3, row_count))
    footer = _struct(
        _i32(1, 1),
        _list(2, _STRUCT, schema),
        _i64(3, row_count),
        _list(4, _STRUCT, [row_group]),
        _binary(6, "hfproxy-sandbox"),
    )
    return bytes(body) + footer + struct.pack("<I", len(footer)) + _MAGIC


def _plain(column: Column) -> tuple[int, bytes]:
    first = column[0]
    if isinstance(first, str):
        encoded = [str(value).encode() for value in column]
        return _BYTE_ARRAY, b"".join(struct.pack("<I", len(value)) + value for value in encoded)
    if isinstance(first, float):
        return _DOUBLE, struct.pack(f"<{len(column)}d", *column)
    return _INT64, struct.pack(f"<{len(column)}q", *column)


def _schema_element(name: str, kind: int) -> bytes:
    told = [_i32(1, kind), _i32(3, _REQUIRED), _binary(4, name)]
    return _struct(*told, *([_i32(6, _UTF8)] if kind == _BYTE_ARRAY else []))


def _page_header(size_bytes: int, row_count: int) -> bytes:
    levels = _struct(_i32(1, row_count), _i32(2, _PLAIN), _i32(3, _RLE), _i32(4, _RLE))
    return _struct(_i32(1, _DATA_PAGE), _i32(2, size_bytes), _i32(3, size_bytes), (5, _STRUCT, levels))


def _column_chunk(name: str, kind: int, *, offset: int, size_bytes: int, row_count: int) -> bytes:
    metadata = _struct(
        _i32(1, kind),
        _list(2, _I32, [_zigzag(_PLAIN), _zigzag(_RLE)]),
        _list(3, _BINARY, [_sized(name.encode())]),
        _i32(4, _UNCOMPRESSED),
        _i64(5, row_count),
        _i64(6, size_bytes),
        _i64(7, size_bytes),
        _i64(9, offset),
    )
    return _struct(_i64(2, offset), (3, _STRUCT, metadata))


def _struct(*fields: Field) -> bytes:
    """Fields in rising order, each told by its distance from the one before, then a stop."""
    written, before = bytearray(), 0
    for number, kind, content in fields:
        written.append((number - before) << 4 | kind)
        written += content
        before = number
    written.append(0)
    return bytes(written)


def _list(number: int, kind: int, items: Sequence[bytes]) -> Field:
    head = bytes([len(items) << 4 | kind]) if len(items) < 15 else bytes([0xF0 | kind]) + _varint(len(items))
    return number, _LIST, head + b"".join(items)


def _i32(number: int, value: int) -> Field:
    return number, _I32, _zigzag(value)


def _i64(number: int, value: int) -> Field:
    return number, _I64, _zigzag(value)


def _binary(number: int, value: str) -> Field:
    return number, _BINARY, _sized(value.encode())


def _sized(content: bytes) -> bytes:
    return _varint(len(content)) + content


def _zigzag(number: int) -> bytes:
    return _varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
