"""Sounds: 8-bit mono WAV files of pure tones. Format: the RIFF WAVE layout with one `fmt ` and one `data` chunk."""

import struct
from functools import lru_cache
from math import pi, sin

SAMPLE_RATE_HZ = 8000


def wav(*tones_hz: float, seconds_each: float = 0.05) -> bytes:
    """The tones one after the other, as the bytes of a `.wav` file."""
    samples = bytearray()
    for tone_hz in tones_hz:
        step = tone_hz * 256 / SAMPLE_RATE_HZ
        wave = _one_wave()
        samples += bytes(wave[int(step * index) & 0xFF] for index in range(round(SAMPLE_RATE_HZ * seconds_each)))
    samples += b"\x80" * (len(samples) % 2)
    form = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ, 1, 8)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


@lru_cache(maxsize=1)
def _one_wave() -> bytes:
    """One period of a sine in 256 unsigned steps."""
    return bytes(128 + round(100 * sin(2 * pi * step / 256)) for step in range(256))
