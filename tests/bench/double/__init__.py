"""A Hub that costs next to nothing: answers made beforehand, latency and bandwidth as told, everything counted.

Start it with `python -m tests.bench.double`. `GET /-/double` tells what was asked and sent, `PUT /-/double` sets how it
behaves (`Behaviour`), `DELETE /-/double` begins to count anew.
"""
