"""Measurements, run by `make bench`: never part of the tests, since a machine's mood is not a fault of ours.

Every figure stands next to a peer's or a limit's, taken in the same run: rounds go round all of them in turn, each cell
is the median of its rounds, and what counts are ratios. CPU time per request hardly depends on what else the machine
does, requests per second do.
"""
