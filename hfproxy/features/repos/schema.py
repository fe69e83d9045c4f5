"""What the validators of `models.py` check, said once more as JSON Schema, for the API's description.

Programs that make requests out of the description, and those that attack it, then know what will be refused. JSON
Schema cannot add lengths: that owner and name together have at most 96 characters is left to the Hub.
"""

from typing import Any, Final

Json = dict[str, Any]

_NOT_BOTH: Final[Json] = {
    "not": {
        "required": ["private", "visibility"],
        "properties": {"private": {"type": "boolean"}, "visibility": {"type": "string"}},
    }
}
_ONE_OWNER: Final[Json] = {
    "not": {
        "required": ["organization"],
        "properties": {"organization": {"type": "string"}, "name": {"pattern": "/"}},
    }
}
_NULL: Final[Json] = {"type": "null"}
_SPACES: Final[Json] = {
    "if": {"properties": {"type": {"enum": ["space", "spaces"]}}},
    "then": {"required": ["sdk"], "properties": {"sdk": {"type": "string"}}},
    "else": {
        "properties": {
            **dict.fromkeys(("sdk", "template", "hardware", "sleepTimeSeconds", "secrets", "variables"), _NULL),
            "visibility": {"not": {"const": "protected"}},
        }
    },
}
_SOMETHING: Final[Json] = {
    "anyOf": [
        {"required": ["private"], "properties": {"private": {"type": "boolean"}}},
        {"required": ["visibility"], "properties": {"visibility": {"type": "string"}}},
        {"required": ["gated"], "properties": {"gated": {"not": _NULL}}},
        {"required": ["move"], "properties": {"move": {"type": "string"}}},
    ]
}
CREATION: Final[Json] = {"allOf": [_NOT_BOTH, _ONE_OWNER, _SPACES]}
CHANGE: Final[Json] = {"allOf": [_NOT_BOTH, _SOMETHING]}
DELETION: Final[Json] = {"allOf": [_ONE_OWNER]}
