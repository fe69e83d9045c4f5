"""A small, faithful Hub that ships with the gateway: what `make run` and every test speak to.

A server of its own: it uses the pure modules of `upstream/` and nothing else of the gateway.
"""
