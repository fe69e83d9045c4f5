"""Who calls: gateway keys, Hub tokens of the callers' own, anonymous callers; and what each may do.

Kept: the keys, as hashes, for ever (a revoked one still shows that this gateway once asked for keys).
"""
