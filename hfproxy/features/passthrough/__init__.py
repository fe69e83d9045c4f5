"""Every Hub path and method that no other feature serves, relayed: streamed both ways, changed only where it must be.

`/-/lfs/{ticket}` stands in for the places where the Hub keeps bytes, so that a network where the gateway is the only
way out can still upload and download. Nothing is kept.
"""
