"""The demo's repositories as values: what they promise to everyone who builds on them."""

import hashlib
import io
import json
import struct
import wave
import zlib

import numpy
import onnxruntime
import pyarrow.parquet
import pytest
import yaml

from hfproxy.sandbox.seed.catalogue import CATALOGUE, ORGANISATIONS
from hfproxy.sandbox.seed.formats.parquet import parquet
from hfproxy.sandbox.seed.formats.safetensors import Tensor, safetensors
from hfproxy.sandbox.seed.stickers import SIDE, STICKERS

# Changes only when somebody means to change the demo: its commit hashes are quoted in documents and tests.
DIGEST = "304ea9cecf60c1946c41a3de7f4a07c85da6393f5b820f28eb2768787c05061b"


def every_file() -> list[tuple[str, bytes]]:
    return [
        (f"{repo.ref}@{commit.branch}:{path}", content)
        for repo in CATALOGUE
        for _, commit in repo.commits()
        for path, content in commit.put.items()
    ]


FILES = every_file()


def files_ending(suffix: str) -> list[pytest.param]:
    found = [pytest.param(content, id=name) for name, content in FILES if name.endswith(suffix)]
    assert found
    return found


def test_the_demo_is_the_same_to_the_byte_on_every_machine():
    digest = hashlib.sha256()
    for repo in CATALOGUE:
        for created_at, commit in repo.commits():
            digest.update(f"{repo.ref} {created_at.isoformat()} {commit.title} {commit.tag}".encode())
            for path, content in commit.put.items():
                digest.update(path.encode() + hashlib.sha256(content).digest())
    assert digest.hexdigest() == DIGEST


def test_it_holds_every_kind_of_repository_and_every_kind_of_door():
    assert 40 <= len(CATALOGUE) == len({(repo.ref.repo_type, repo.ref.repo_id) for repo in CATALOGUE})
    assert {repo.ref.repo_type.value for repo in CATALOGUE} == {"model", "dataset", "space", "kernel"}
    assert {repo.gated for repo in CATALOGUE} == {False, "auto", "manual"}
    assert any(repo.private for repo in CATALOGUE)
    assert {repo.ref.namespace for repo in CATALOGUE} <= {"alice", "bob", "acme", *ORGANISATIONS}


@pytest.mark.parametrize("repo", CATALOGUE, ids=lambda repo: str(repo.ref))
def test_every_card_has_front_matter_that_reads_and_words_worth_finding(repo):
    _, front_matter, text = repo.card.decode().split("---\n", 2)
    assert isinstance(yaml.safe_load(front_matter), dict)
    assert len(text.split()) >= 8


@pytest.mark.parametrize("repo", CATALOGUE, ids=lambda repo: str(repo.ref))
def test_commits_follow_each_other_and_remove_only_what_is_there(repo):
    commits = repo.commits()
    assert [when for when, _ in commits] == sorted({when for when, _ in commits})
    there: set[str] = set()
    for _, commit in commits:
        assert set(commit.removed) <= there
        there |= set(commit.put)


@pytest.mark.parametrize("content", files_ending(".safetensors"))
def test_safetensors_tell_of_tensors_that_fill_the_file_exactly(content):
    (header_length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + header_length])
    table.pop("__metadata__")
    offsets = [offset for tensor in table.values() for offset in tensor["data_offsets"]]
    assert offsets[0] == 0 and offsets[1:-1:2] == offsets[2::2] and offsets[-1] == len(content) - 8 - header_length


@pytest.mark.parametrize("content", files_ending(".onnx"))
def test_onnx_models_run(content):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    feed = {
        wanted.name: numpy.ones(
            [length if isinstance(length, int) else 2 for length in wanted.shape],
            {"tensor(float)": "float32", "tensor(int64)": "int64"}[wanted.type],
        )
        for wanted in session.get_inputs()
    }
    assert all(numpy.isfinite(output).all() for output in session.run(None, feed))


@pytest.mark.parametrize("content", files_ending(".parquet"))
def test_parquet_files_read(content):
    assert content[:4] == content[-4:] == b"PAR1"
    assert pyarrow.parquet.read_table(io.BytesIO(content)).num_rows > 0


def test_parquet_keeps_numbers_and_words_as_they_are():
    columns = {"n": [1, -2, 2**40], "x": [0.5, -1e300, 0.0], "s": ["", "é", "cat"]}
    assert pyarrow.parquet.read_table(io.BytesIO(parquet(columns))).to_pydict() == columns


@pytest.mark.parametrize("content", files_ending(".wav"))
def test_sounds_play(content):
    with wave.open(io.BytesIO(content)) as sound:
        assert sound.getnframes() > 400


@pytest.mark.parametrize("sticker", STICKERS, ids=lambda sticker: sticker.file_name)
def test_stickers_are_pictures_of_more_than_one_colour(sticker):
    content = sticker.png()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    at, pixels = 8, b""
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        body, (checksum,) = content[at + 8 : at + 8 + length], struct.unpack(">I", content[at + 8 + length :][:4])
        assert zlib.crc32(kind + body) == checksum
        pixels += body if kind == b"IDAT" else b""
        at += length + 12
    rows = zlib.decompress(pixels)
    assert len(rows) == SIDE * (SIDE + 1) and len(set(rows)) >= 3


def test_a_tensor_must_have_as_many_bytes_as_its_shape_says():
    with pytest.raises(AssertionError):
        Tensor("F32", (2, 3), bytes(23))
    assert safetensors({"x": Tensor("F32", (1,), bytes(4))})[-4:] == bytes(4)
