"""A tokenizer that `tokenizers` and `transformers` load: word pieces over a short list of words."""

import json
from functools import lru_cache
from importlib.resources import files
from string import ascii_lowercase, digits
from typing import Final

_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS: Final = files("hfproxy.sandbox.seed") / "words.txt"


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """The pieces in the order of their numbers: special ones, letters, letters inside words, words."""
    letters = [*ascii_lowercase, *digits, *".,!?-'"]
    inside = [f"##{letter}" for letter in ascii_lowercase + digits]
    return tuple(dict.fromkeys([*_SPECIAL, *letters, *inside, *_WORDS.read_text("utf-8").split()]))


@lru_cache(maxsize=1)
def tokenizer_files() -> dict[str, bytes]:
    """`tokenizer.json`, `tokenizer_config.json` and `vocab.txt` of that vocabulary."""
    numbers = {piece: number for number, piece in enumerate(vocabulary())}
    special = [
        {
            "id": numbers[piece],
            "content": piece,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for piece in _SPECIAL
    ]
    one = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    end = [{"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    other = [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": one + end,
            "pair": one + end + other,
            "special_tokens": {
                piece: {"id": piece, "ids": [numbers[piece]], "tokens": [piece]} for piece in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": numbers,
        },
    }
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": 64,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    return {
        "tokenizer.json": as_json(tokenizer),
        "tokenizer_config.json": as_json(config),
        "vocab.txt": "".join(f"{piece}\n" for piece in vocabulary()).encode(),
    }


def as_json(value: object) -> bytes:
    """The value as people commit it: indented, with a newline at the end."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"
