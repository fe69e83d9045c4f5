"""Cats and their friends, drawn from a few words each: the pictures of the sticker data set, with their captions."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .formats.png import Canvas, Colour

SIDE: Final = 96
_COLOURS: Final[dict[str, Colour]] = {
    "black": (40, 38, 46),
    "grey": (140, 142, 150),
    "orange": (240, 150, 60),
    "white": (246, 244, 238),
    "brown": (130, 88, 56),
    "blue": (92, 140, 210),
    "pink": (244, 176, 196),
    "green": (110, 176, 96),
    "yellow": (250, 210, 90),
    "red": (206, 62, 58),
}
_PLACES: Final[dict[str, Colour]] = {
    "in a park": (188, 224, 170),
    "at night": (44, 48, 92),
    "by the sea": (176, 216, 236),
    "in the snow": (232, 240, 248),
    "on a red sofa": (196, 96, 92),
    "under a yellow lamp": (252, 236, 180),
}
_INK: Final[Colour] = (24, 22, 30)


@dataclass(frozen=True, slots=True)
class Sticker:
    """One animal in a mood and a place."""

    animal: str
    colour: str
    mood: str
    place: str

    @property
    def file_name(self) -> str:
        return f"{self.mood}-{self.colour}-{self.animal}-{self.place.replace(' ', '-')}.png"

    @property
    def caption(self) -> str:
        return f"A {self.mood} {self.colour} {self.animal} {self.place}"

    def png(self) -> bytes:
        canvas, fur = Canvas(SIDE, _PLACES[self.place]), _COLOURS[self.colour]
        if self.place in {"in a park", "in the snow", "by the sea"}:
            canvas.polygon(
                [(0, 0.78), (1, 0.78), (1, 1), (0, 1)], _COLOURS["green" if "park" in self.place else "white"]
            )
        _draw_ears(canvas, self.animal, fur)
        canvas.ellipse((0.5, 0.55), (0.33, 0.3), fur)
        _draw_face(canvas, self.mood, dark=self.colour in {"black", "brown"})
        if self.animal == "cat":
            for side in (-1, 1):
                for tilt in (-0.05, 0.02, 0.09):
                    canvas.line((0.5 + side * 0.1, 0.63), (0.5 + side * 0.42, 0.63 + tilt), _INK, width=0.007)
        return canvas.png()


STICKERS: Final = (
    Sticker("cat", "orange", "happy", "in a park"),
    Sticker("cat", "orange", "sleepy", "on a red sofa"),
    Sticker("cat", "black", "grumpy", "at night"),
    Sticker("cat", "black", "sleepy", "under a yellow lamp"),
    Sticker("cat", "grey", "happy", "by the sea"),
    Sticker("cat", "grey", "surprised", "in the snow"),
    Sticker("cat", "white", "grumpy", "in a park"),
    Sticker("cat", "white", "happy", "at night"),
    Sticker("cat", "brown", "surprised", "under a yellow lamp"),
    Sticker("cat", "brown", "sleepy", "by the sea"),
    Sticker("cat", "blue", "happy", "on a red sofa"),
    Sticker("cat", "pink", "surprised", "in a park"),
    Sticker("dog", "brown", "happy", "in a park"),
    Sticker("dog", "white", "sleepy", "in the snow"),
    Sticker("bear", "brown", "sleepy", "in the snow"),
    Sticker("bear", "white", "grumpy", "by the sea"),
    Sticker("mouse", "grey", "surprised", "at night"),
    Sticker("mouse", "pink", "happy", "under a yellow lamp"),
    Sticker("rabbit", "white", "happy", "in a park"),
    Sticker("rabbit", "grey", "grumpy", "on a red sofa"),
)


def pictures() -> Iterator[tuple[str, bytes]]:
    """File name and content of every sticker."""
    for sticker in STICKERS:
        yield sticker.file_name, sticker.png()


def captions() -> bytes:
    """`metadata.jsonl` as the image folder loader of `datasets` reads it."""
    lines = (json.dumps({"file_name": sticker.file_name, "text": sticker.caption}) for sticker in STICKERS)
    return "".join(f"{line}\n" for line in lines).encode()


def _draw_ears(canvas: Canvas, animal: str, fur: Colour) -> None:
    for side in (-1, 1):
        x = 0.5 + side * 0.22
        if animal == "cat":
            canvas.polygon([(x - 0.12, 0.42), (x + 0.12, 0.42), (x + side * 0.07, 0.12)], fur)
            canvas.polygon([(x - 0.05, 0.38), (x + 0.05, 0.38), (x + side * 0.05, 0.2)], _COLOURS["pink"])
        elif animal == "rabbit":
            canvas.ellipse((0.5 + side * 0.13, 0.22), (0.07, 0.2), fur)
        elif animal == "dog":
            canvas.ellipse((0.5 + side * 0.32, 0.52), (0.09, 0.2), fur)
        else:
            canvas.ellipse((x + side * 0.04, 0.3), (0.15 if animal == "mouse" else 0.1,) * 2, fur)


def _draw_face(canvas: Canvas, mood: str, *, dark: bool) -> None:
    ink = _COLOURS["yellow"] if dark else _INK
    for side in (-1, 1):
        eye = (0.5 + side * 0.13, 0.5)
        if mood == "sleepy":
            canvas.line((eye[0] - 0.06, 0.51), (eye[0] + 0.06, 0.51), ink, width=0.012)
        else:
            canvas.ellipse(eye, (0.045, 0.075 if mood == "surprised" else 0.055), ink)
        if mood == "grumpy":
            canvas.line((eye[0] + side * 0.07, 0.39), (eye[0] - side * 0.05, 0.44), ink, width=0.015)
    canvas.polygon([(0.46, 0.59), (0.54, 0.59), (0.5, 0.63)], _COLOURS["pink"])
    if mood == "surprised":
        canvas.ellipse((0.5, 0.71), (0.035, 0.045), ink)
    elif mood == "grumpy":
        canvas.line((0.43, 0.73), (0.5, 0.69), ink, width=0.01)
        canvas.line((0.5, 0.69), (0.57, 0.73), ink, width=0.01)
    else:
        canvas.line((0.42, 0.68), (0.5, 0.73), ink, width=0.01)
        canvas.line((0.5, 0.73), (0.58, 0.68), ink, width=0.01)
