"""From a file's text to rules, or to one readable line for each mistake."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hfproxy.features.policy.models import PolicyText

MOST_BYTES = 8 * 1024**2
_HEADER = re.compile(r"\s*\[\[\s*(rule|limit)\s*\]\]")


class BadPolicy(Exception):
    """A file that cannot be used: `problems` holds one line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_policy(path: Path) -> PolicyText:
    """The rules of a file. Raises BadPolicy."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise BadPolicy([f"{path}: larger than {MOST_BYTES // 1024**2} MiB"])
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise BadPolicy([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise BadPolicy([f"{path}: is not UTF-8 (byte {error.start})"]) from None
    try:
        return parse_policy(text)
    except BadPolicy as error:
        raise BadPolicy([f"{path}: {problem}" for problem in error.problems]) from None


def parse_policy(text: str) -> PolicyText:
    """The rules of a text. Raises BadPolicy."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPolicy([f"not TOML: {error}"]) from None
    except RecursionError:
        raise BadPolicy(["not TOML: nested too deeply"]) from None
    lines = _Lines(text, document)
    try:
        policy = PolicyText.model_validate(document)
    except ValidationError as error:
        raise BadPolicy([lines.told(details) for details in _without_echoes(error)]) from None
    if doubled := list(_doubled(policy, lines)):
        raise BadPolicy(doubled)
    return policy


def _without_echoes(error: ValidationError) -> Iterator[ErrorDetails]:
    """The mistakes, without those that only follow from others: a list is too short once its members are refused."""
    mistakes = error.errors(include_url=False)
    places = [details["loc"] for details in mistakes]
    for details in mistakes:
        place = details["loc"]
        if not any(len(other) > len(place) and other[: len(place)] == place for other in places):
            yield details


def _doubled(policy: PolicyText, lines: "_Lines") -> Iterator[str]:
    """Names are how log, metrics and answers speak of rules: two of one name would say nothing."""
    tables = {"rule": [rule.name for rule in policy.rule], "limit": [limit.name for limit in policy.limit]}
    for table, names in tables.items():
        for index, name in enumerate(names):
            if table == "rule" and name == "default":
                yield f"{lines.place(table, index, 'name')}: the name 'default' stands for the end of the file"
            if (first := names.index(name)) < index:
                place = lines.place(table, first, "name")
                yield f"{lines.place(table, index, 'name')}: there is a {table} of this name already ({place})"


class _Lines:
    """Where in a text its tables and their keys stand; `tomllib` does not tell."""

    def __init__(self, text: str, document: dict[str, object]) -> None:
        self._lines = text.splitlines()
        self._document = document
        self._headers: dict[str, list[int]] = {"rule": [], "limit": []}
        for number, line in enumerate(self._lines, start=1):
            if match := _HEADER.match(line):
                self._headers[match[1]].append(number)

    def told(self, details: ErrorDetails) -> str:
        location = [part for part in details["loc"] if not str(part).startswith("function-")]
        message = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        if details["type"] == "extra_forbidden":
            message = "there is no such key"
        elif details["type"] == "missing":
            message = "is missing"
        elif message == details["msg"].removeprefix("Input should be ") and details["msg"].startswith("Input"):
            message = f"must be {message}"
        match location:
            case ["rule" | "limit" as table, int(index)]:
                return f"{self.place(str(table), index, None)}: {message}"
            case ["rule" | "limit" as table, int(index), key, *_]:
                return f"{self.place(str(table), index, str(key))}: {key}: {message}"
            case [key, *_]:
                line = self._line_of(str(key), 1, self._end_of_top())
                return f"{f'line {line}: ' if line else ''}{key}: {message}"
        return message

    def place(self, table: str, index: int, key: str | None) -> str:
        """`line 12, rule 3 "no-pickle"`; without the line where the text is written in some other way."""
        entries = self._document.get(table)
        entry = entries[index] if isinstance(entries, list) and index < len(entries) else {}
        name = entry.get("name") if isinstance(entry, dict) else None
        called = f"{table} {index + 1}" + (f' "{name}"' if isinstance(name, str) else "")
        headers = self._headers[table]
        if not isinstance(entries, list) or len(headers) != len(entries):
            return called
        begin = headers[index]
        every = sorted([*self._headers["rule"], *self._headers["limit"], len(self._lines) + 1])
        end = next(number for number in every if number > begin)
        line = (self._line_of(key, begin + 1, end) if key is not None else None) or begin
        return f"line {line}, {called}"

    def _line_of(self, key: str, begin: int, end: int) -> int | None:
        written = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""")
        for number in range(begin, end):
            if written.match(self._lines[number - 1]):
                return number
        return None

    def _end_of_top(self) -> int:
        return min([*self._headers["rule"], *self._headers["limit"], len(self._lines) + 1])
