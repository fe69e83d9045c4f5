"""Repository info, trees, paths-info and lists: asked of the Hub through the relay, and kept for a short while.

What is kept belongs to whom it was said: the gateway's token, a caller's own, or nobody. So nobody ever gets an answer
that the Hub gave to somebody else, redacted or not (contract 9.8). While the Hub cannot be asked, the last answer is
given to the gateway's own callers and the anonymous.
"""
