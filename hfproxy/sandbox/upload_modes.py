"""Which files a repository takes as large ones, and which it leaves out.

Source: contract section 6.3: by `.gitattributes`, by size, and by the look of the first bytes.
"""

import base64
import binascii
import io

from dulwich.attrs import GitAttributes, Pattern, parse_git_attributes
from dulwich.ignore import IgnoreFilter

LARGEST_REGULAR_BYTES = 10 * 1024 * 1024


def upload_mode(path: str, size_bytes: int, sample: str, attributes: GitAttributes) -> str:
    """`lfs` or `regular`. An empty file is always regular: there is nothing to point at."""
    if size_bytes == 0:
        return "regular"
    if attributes.match_path(path.encode()).get(b"filter") == b"lfs":
        return "lfs"
    return "lfs" if size_bytes > LARGEST_REGULAR_BYTES or _looks_binary(sample) else "regular"


def attributes_of(text: bytes) -> GitAttributes:
    """The rules of a `.gitattributes`."""
    return GitAttributes([(Pattern(pattern), found) for pattern, found in parse_git_attributes(io.BytesIO(text))])


def ignored(path: str, rules: IgnoreFilter) -> bool:
    """Whether a `.gitignore` leaves a path out, itself or by one of its folders."""
    parts = path.split("/")
    folders = ["/".join(parts[:length]) + "/" for length in range(1, len(parts))]
    return any(rules.is_ignored(each) for each in [*folders, path])


def ignore_rules(text: bytes) -> IgnoreFilter:
    """The rules of a `.gitignore`."""
    return IgnoreFilter([line for line in text.splitlines() if line.strip() and not line.startswith(b"#")])


def _looks_binary(sample: str) -> bool:
    try:
        return b"\0" in base64.b64decode(sample)
    except (binascii.Error, ValueError):
        return False
