"""The suites: each a function that takes the effort and gives its report. A new one is one line here."""

from collections.abc import Callable

from tests.bench.effort import Effort
from tests.bench.reports import Report
from tests.bench.suites.api import api_calls
from tests.bench.suites.cold import capped, cold_large, fan_out, thrift
from tests.bench.suites.connections import pooled_connections
from tests.bench.suites.hot_large import hot_large
from tests.bench.suites.hot_small import hot_small
from tests.bench.suites.many_files import many_files
from tests.bench.suites.memory import memory
from tests.bench.suites.nodes import nodes
from tests.bench.suites.policy import policy
from tests.bench.suites.relayed import relayed
from tests.bench.suites.soak import soak
from tests.bench.suites.starting import starting
from tests.bench.suites.transfers import transfers
from tests.bench.suites.xet import xet

SUITES: dict[str, Callable[[Effort], Report]] = {
    "api": api_calls,
    "connections": pooled_connections,
    "hot-small": hot_small,
    "hot-large": hot_large,
    "cold-large": cold_large,
    "capped": capped,
    "fan-out": fan_out,
    "thrift": thrift,
    "relayed": relayed,
    "many-files": many_files,
    "transfers": transfers,
    "soak": soak,
    "memory": memory,
    "nodes": nodes,
    "policy": policy,
    "starting": starting,
    "xet": xet,
}
