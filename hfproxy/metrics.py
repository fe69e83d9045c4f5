"""What is measured, under the names that `/-/metrics` prints.

One object for each application, made in `app.py`; a feature that measures more registers it with `registry`. Labels
take few values whatever callers do: routes are templates, methods and statuses those that HTTP knows.
"""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import hdrs
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, disable_created_metrics
from prometheus_client.core import InfoMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from hfproxy import __version__

OTHER: Final = "other"
_DURATIONS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STATUSES = {*map(int, HTTPStatus), 499}


class Metrics:
    """Counters of one application."""

    def __init__(self) -> None:
        # A second series for each one, which nobody plots.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        # Where several workers count together, their folder has their numbers, and what is not one is told of here.
        self._folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self._told = told = CollectorRegistry() if self._folder else registry
        if self._folder is None:
            ProcessCollector(registry=told)
            GCCollector(registry=told)
        else:
            MultiProcessCollector(told, self._folder)  # type: ignore[no-untyped-call]
            told.register(WorkerProcesses(Path(self._folder)))
        told.register(_Build())
        self._requests = Counter(
            "hfproxy_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self._request_duration = Histogram(
            "hfproxy_request_duration_seconds",
            "From a request's head to the last byte of its answer",
            ["method", "route"],
            buckets=_DURATIONS_S,
            registry=registry,
        )
        self._bytes = Counter(
            "hfproxy_sent_bytes", "Bytes of answers handed to the socket, heads included", ["route"], registry=registry
        )
        self._routes: dict[tuple[str, str, int], RouteMetrics] = {}
        self._in_flight = Gauge(
            "hfproxy_requests_in_flight", "Requests being answered", registry=registry, multiprocess_mode="livesum"
        )
        self._hub_calls = Counter(
            "hfproxy_upstream_calls",
            "Calls to the Hub, by the status it answered or the error that took its place",
            ["method", "outcome"],
            registry=registry,
        )
        self._hub_call_duration = Histogram(
            "hfproxy_upstream_call_duration_seconds",
            "From the start of a call to the Hub to the head of its answer",
            ["method"],
            buckets=_DURATIONS_S,
            registry=registry,
        )
        self._hub_outcomes: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._hub_calls_in_flight = Gauge(
            "hfproxy_upstream_calls_in_flight",
            "Calls to the Hub whose answer has not begun",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._connections = Counter(
            "hfproxy_upstream_connections",
            "Connections taken for calls to the Hub: opened, or reused from the pool",
            ["how"],
            registry=registry,
        )
        self.hub_places = Gauge(
            "hfproxy_upstream_places",
            "Most calls to the Hub at once",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.hub_places_used = Gauge(
            "hfproxy_upstream_places_used",
            "Calls to the Hub that hold a place of these",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def shown(self) -> CollectorRegistry:
        """What `/-/metrics` prints: of all workers, where there are several."""
        return self._told

    def request_begun(self) -> None:
        self._in_flight.inc()

    def request_finished(self, method: str, route: str, status: int, *, duration_s: float, bytes_sent: int) -> None:
        """Counts one answer; `route` is a template."""
        self._in_flight.dec()
        self.of_route(method, route, status).finished(duration_s, bytes_sent)

    def of_route(self, method: str, route: str, status: int) -> "RouteMetrics":
        """What counts answers of one kind; to be kept by who gives many of them."""
        key = (_method(method), route, status if status in _STATUSES else 0)
        if (found := self._routes.get(key)) is None:
            found = self._routes[key] = RouteMetrics(
                self._requests.labels(key[0], route, _status(status)),
                self._request_duration.labels(key[0], route),
                self._bytes.labels(route),
            )
        return found

    def request_unreadable(self, status: int) -> None:
        """Counts one answer to what was no readable request, so that it has neither method nor route."""
        self._requests.labels(OTHER, "(unreadable)", _status(status)).inc()

    def hub_call_begun(self) -> None:
        self._hub_calls_in_flight.inc()

    def hub_call_ended(self, method: str, outcome: int | str, *, duration_s: float) -> None:
        """Counts one call to the Hub; `outcome` is its status, or the code of our error."""
        self._hub_calls_in_flight.dec()
        key = (_method(method), _status(outcome) if isinstance(outcome, int) else outcome)
        if (found := self._hub_outcomes.get(key)) is None:
            found = self._hub_outcomes[key] = (self._hub_calls.labels(*key), self._hub_call_duration.labels(key[0]))
        calls, duration = found
        calls.inc()
        duration.observe(duration_s)

    def connection_taken(self, how: str) -> None:
        """`how`: `opened` or `reused`."""
        self._connections.labels(how).inc()


@dataclass(frozen=True, slots=True)
class RouteMetrics:
    """The counters of one method, route and status: looking them up by their labels costs more than counting."""

    _requests: Counter
    _duration: Histogram
    _bytes: Counter

    def finished(self, duration_s: float, bytes_sent: int) -> None:
        """Counts one answer."""
        self._requests.inc()
        self._duration.observe(duration_s)
        self._bytes.inc(bytes_sent)


class _Build(Collector):
    """The running program; not a metric of the library's, since those are summed over workers."""

    def collect(self) -> Iterator[Metric]:
        build = InfoMetricFamily("hfproxy_build", "The running program")
        told = {"version": __version__, "python": platform.python_version(), "aiohttp": aiohttp.__version__}
        build.add_metric([], told)
        yield build


class WorkerProcesses(Collector):
    """`process_*` of all workers together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        found: dict[str, list[Metric]] = {}
        for pid in self._living():
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                found.setdefault(metric.name, []).append(metric)
        for same in found.values():
            first, values = same[0], [sample.value for metric in same for sample in metric.samples]
            # They began when the first of them did; all else adds up.
            value = min(values) if first.name == "process_start_time_seconds" else sum(values)
            first.samples = [first.samples[0]._replace(value=value)]
            yield first

    def _living(self) -> list[int]:
        """The workers that are alive: the parent takes away what a dead one was measuring."""
        return sorted({int(file.stem.rpartition("_")[2]) for file in self._folder.glob("gauge_live*_*.db")})


def _method(method: str) -> str:
    return method if method in hdrs.METH_ALL else OTHER


def _status(status: int) -> str:
    return str(status) if status in _STATUSES else OTHER
