"""The table of what is kept of xorbs."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

from hfproxy.storage.database import METADATA

XORB_RANGES = Table(
    "kept_xorb_ranges",
    METADATA,
    Column("xorb", String(64), nullable=False),
    Column("start", BigInteger(), nullable=False),
    Column("stop", BigInteger(), nullable=False),
    Column("repo", String(), nullable=False),
    Column("first_chunk", Integer(), nullable=False),
    Column("leaves", LargeBinary(), nullable=False),
    Column("pieces", String(), nullable=False),
    Column("proven", Boolean(), nullable=False),
    Column("kept_at_s", Float(53), nullable=False),
    PrimaryKeyConstraint("xorb", "start", "stop", "repo"),
)
