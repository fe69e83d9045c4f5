"""Filling what is kept ahead of demand: from the Hub, from a client's cache, from a bundle of another gateway."""
