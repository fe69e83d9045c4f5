"""Small things of our own, pushed and loaded by `transformers` and `datasets`, each load with an empty cache."""

import csv
import io
import json
import os
import tempfile

from huggingface_hub import HfApi

api = HfApi()
WORDS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "tea", "is", "good", "grün", "茶"]
ROWS = [{"text": f"cup {number}", "stars": number % 5} for number in range(300)]


def fresh():
    return tempfile.mkdtemp()


def pushed(thing):
    """Uploads what a library saves; its own `push_to_hub` wants Jinja2 for a card."""
    folder = fresh()
    thing.save_pretrained(folder)
    api.create_repo("alice/tiny", exist_ok=True)
    return api.upload_folder(folder_path=folder, repo_id="alice/tiny").oid


def transformers_loads_a_config():
    from transformers import AutoConfig, BertConfig

    first = pushed(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=len(WORDS)))
    config = AutoConfig.from_pretrained("alice/tiny", cache_dir=fresh())
    assert (config.model_type, config.hidden_size) == ("bert", 8)
    pushed(BertConfig(hidden_size=16, num_attention_heads=2))
    cache = fresh()
    assert AutoConfig.from_pretrained("alice/tiny", cache_dir=cache).hidden_size == 16
    assert AutoConfig.from_pretrained("alice/tiny", revision=first, cache_dir=cache).hidden_size == 8


def transformers_loads_a_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    pushed(PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]"))
    tokenizer = AutoTokenizer.from_pretrained("alice/tiny", cache_dir=fresh())
    assert tokenizer("tea is grün 茶 coffee")["input_ids"] == [5, 6, 8, 9, 0]
    try:
        AutoTokenizer.from_pretrained("alice/nothing", cache_dir=fresh())
    except OSError as error:
        assert "alice/nothing" in str(error), error
    else:
        raise AssertionError("a tokenizer was found where there is none")


def datasets_pushes_and_loads():
    from datasets import Dataset, load_dataset

    Dataset.from_list(ROWS).push_to_hub("alice/rows", num_shards=2)
    loaded = load_dataset("alice/rows", split="train", cache_dir=fresh())
    assert loaded.to_list() == ROWS
    streamed = load_dataset("alice/rows", split="train", streaming=True)
    assert list(streamed) == ROWS
    assert [row["text"] for row in streamed.skip(298)] == ["cup 298", "cup 299"]


def datasets_loads_a_revision():
    from datasets import Dataset, load_dataset

    before = api.dataset_info("alice/rows").sha
    Dataset.from_list(ROWS[:7]).push_to_hub("alice/rows")
    assert load_dataset("alice/rows", split="train", cache_dir=fresh()).num_rows == 7
    for revision, wanted in ((before, 300), ("main", 7)):
        assert load_dataset("alice/rows", split="train", revision=revision, cache_dir=fresh()).num_rows == wanted
        streamed = load_dataset("alice/rows", split="train", revision=revision, streaming=True)
        assert len(list(streamed)) == wanted


def datasets_loads_csv_and_json():
    from datasets import load_dataset

    table = io.StringIO()
    writer = csv.DictWriter(table, ["text", "stars"])
    writer.writeheader()
    writer.writerows(ROWS)
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    for name, path, content in (
        ("alice/csv", "data/50% off/train.csv", table.getvalue()),
        ("alice/lines", "train.jsonl", lines),
    ):
        api.create_repo(name, repo_type="dataset", private=True)
        api.upload_file(path_or_fileobj=content.encode(), path_in_repo=path, repo_id=name, repo_type="dataset")
        options = {"data_files": path} if "%" in path else {}
        assert load_dataset(name, split="train", cache_dir=fresh(), **options).to_list() == ROWS
        assert list(load_dataset(name, split="train", streaming=True, **options)) == ROWS
    os.environ.pop("HF_TOKEN")
    try:
        load_dataset("alice/lines", split="train", cache_dir=fresh(), token="hf_sandbox_bob")
    except Exception as error:
        assert "doesn't exist on the Hub" in str(error), error
    else:
        raise AssertionError("bob read a private dataset")


if __name__ == "__main__":
    for scenario in (
        transformers_loads_a_config,
        transformers_loads_a_tokenizer,
        datasets_pushes_and_loads,
        datasets_loads_a_revision,
        datasets_loads_csv_and_json,
    ):
        scenario()
        print("passed", scenario.__name__, flush=True)
