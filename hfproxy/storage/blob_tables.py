"""The tables of what lies in a bucket: which blobs, in which objects, and who writes which."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, PrimaryKeyConstraint, String, Table

from hfproxy.storage.database import METADATA

BLOBS = Table(
    "bucket_blobs",
    METADATA,
    Column("blob", String(80), primary_key=True),
    Column("size_bytes", BigInteger(), nullable=False),
    Column("block_bytes", Integer(), nullable=False),
    Column("complete", Boolean(), nullable=False),
    # Of a complete blob: `series:blocks` for each writer that a part of it came from (`object_names.py`).
    Column("objects", String(), nullable=False),
    # What it takes, with what is reserved for it.
    Column("taken_bytes", BigInteger(), nullable=False),
    Column("used_at_s", Float(53), nullable=False, index=True),
    # Who writes it, and until when they may without saying that they still live.
    Column("writer", String(32), index=True),
    Column("writer_until_s", Float(53), nullable=False),
)

BLOCKS = Table(
    "bucket_blocks",
    METADATA,
    Column("blob", String(80), nullable=False),
    Column("block", Integer(), nullable=False),
    Column("series", String(32), nullable=False),
    PrimaryKeyConstraint("blob", "block"),
)
"""What is there of blobs on their way."""

DROPPED = Table(
    "bucket_dropped",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("blob", String(80), nullable=False),
    Column("objects", String(), nullable=False),
    Column("due_at_s", Float(53), nullable=False, index=True),
)
"""Objects that nobody finds any more, and when they are deleted: who was reading them has until then."""
