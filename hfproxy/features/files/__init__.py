"""`GET` and `HEAD …/resolve/…`: the Hub's files, each fetched once, kept by their hash, and answered by us.

What a name means is kept for a short time (`lookup.py`), and only for whom the Hub lets read it (`rights.py`). Bytes
are kept for good (`storage/`), and arrive by one download that all who ask follow (`fill.py`).
"""
