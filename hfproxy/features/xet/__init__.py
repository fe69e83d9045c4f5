"""Xet through the gateway: `/-/xet/cas/…` stands for the Hub's store, `/-/xet/xorbs/{place}` for a range of a xorb.

Calls to the store are relayed with the Xet token of who calls. What a reconstruction says is rewritten and never kept;
the ranges of xorbs that it leads to are kept by the xorb's hash, so that versions of a model share their chunks.
"""
