"""Whether the gateway lives, is ready, and how it fares; and the description of its API.

`/-/live`, `/-/ready`, `/-/metrics`, `/-/openapi.json`. Nothing is kept.
"""
