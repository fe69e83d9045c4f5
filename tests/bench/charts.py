"""Bar charts as SVG, readable on light and dark pages, from nothing but strings."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_COLOURS = ("#d9822b", "#7a8ca3", "#3d7ea6", "#a64d79", "#5a9e6f")
_BAR, _GAP, _LABEL, _WIDTH, _VALUE = 16, 14, 190, 560, 90


@dataclass(frozen=True)
class Chart:
    """Horizontal bars in groups. groups: a label, and a value for each of `series`."""

    name: str
    title: str
    unit: str
    series: Sequence[str]
    groups: Sequence[tuple[str, Sequence[float]]]

    def svg(self) -> str:
        """The whole picture."""
        longest = max(value for _, values in self.groups for value in values) or 1
        parts: list[str] = []
        top = 64
        for label, values in self.groups:
            middle = top + len(values) * _BAR / 2 + 4
            parts.append(_text(_LABEL - 10, middle, label, anchor="end"))
            for number, value in enumerate(values):
                length = _WIDTH * value / longest
                parts.append(
                    f'<rect x="{_LABEL}" y="{top}" width="{length:.1f}" height="{_BAR - 3}" rx="2" '
                    f'fill="{_COLOURS[number % len(_COLOURS)]}"/>'
                )
                parts.append(_text(_LABEL + length + 6, top + _BAR - 6, _figure(value), size=11))
                top += _BAR
            top += _GAP
        width = _LABEL + _WIDTH + _VALUE
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" width="{width}" height="{top}" '
                'font-family="system-ui, sans-serif" font-size="13">',
                f"<title>{escape(self.title)}</title>",
                f'<rect width="{width}" height="{top}" rx="8" fill="#fbfaf7"/>',
                _text(16, 24, f"{self.title}, {self.unit}", size=15, weight="bold"),
                *self._legend(),
                *parts,
                "</svg>",
                "",
            ]
        )

    def _legend(self) -> list[str]:
        parts: list[str] = []
        left = 16.0
        for number, name in enumerate(self.series):
            parts.append(f'<rect x="{left}" y="36" width="11" height="11" rx="2" fill="{_COLOURS[number]}"/>')
            parts.append(_text(left + 16, 46, name, size=12))
            left += 34 + 6.6 * len(name)
        return parts


def _text(x: float, y: float, text: str, *, size: int = 13, anchor: str = "start", weight: str = "normal") -> str:
    style = f'font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="#2b2b2b"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
