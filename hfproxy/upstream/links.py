"""`Link` headers (RFC 8288) taken apart and put together again."""

import re
from dataclasses import dataclass

# One member: an address in angle brackets, then parameters; commas and semicolons may stand inside quotes.
_MEMBER = re.compile(r'\s*<([^>]*)>((?:\s*;\s*[^=;,\s"]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^;,\s"]*))?)*)\s*(?:,|$)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^;,\s"]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Link:
    """One member of a `Link` header; `parameters` is its text from the first semicolon on, as it came."""

    address: str
    parameters: str

    @property
    def relations(self) -> frozenset[str]:
        match = _REL.search(self.parameters)
        return frozenset((match[1] or match[2] or "").lower().split()) if match else frozenset()


def parse_links(value: str) -> list[Link] | None:
    """The members of a header's value in their order; None if it is not what RFC 8288 says."""
    links, position = [], 0
    while position < len(value):
        if (match := _MEMBER.match(value, position)) is None:
            return None
        links.append(Link(match[1], match[2].strip()))
        position = match.end()
    return links


def print_links(links: list[Link]) -> str:
    """The value of a `Link` header with these members."""
    return ", ".join(f"<{link.address}>{link.parameters}" for link in links)
