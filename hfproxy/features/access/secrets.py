"""The secrets of gateway keys: made from randomness only, kept as a hash only."""

import hashlib
import secrets
import string

PREFIX = "hfp_"
_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 43  # of 62 characters each: 256 bits


def new_secret() -> str:
    """A key that nobody has guessed or will guess."""
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def hash_of(secret: str) -> str:
    """What is kept of a key: SHA-256 in hex.

    A slow, salted hash protects secrets that people think up; 256 random bits need none, and each request would pay.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def fingerprint(token: str) -> str:
    """A name for somebody else's token that does not give it away, the same each time: 48 bits of its hash."""
    return hash_of(token)[:12]
