"""What the policy did, in numbers. Labels are names from its file, so there are as many as somebody wrote there."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class PolicyMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._rules = Gauge("hfproxy_policy_rules", "Rules that hold", registry=registry, multiprocess_mode="livemax")
        self._bad_file = Gauge(
            "hfproxy_policy_file_refused",
            "1 while the policy's file cannot be used and older rules hold",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._denials = Counter("hfproxy_policy_denials", "Calls that a rule denied", ["rule"], registry=registry)
        self._limited = Counter(
            "hfproxy_policy_limited", "Calls that a limit refused: for requests, or transfers", ["limit", "what"],
            registry=registry,
        )  # fmt: skip

    def loaded(self, rules: int) -> None:
        self._rules.set(rules)
        self._bad_file.set(0)

    def refused(self) -> None:
        self._bad_file.set(1)

    def denied(self, rule: str) -> None:
        self._denials.labels(rule).inc()

    def limited(self, limit: str, what: str) -> None:
        self._limited.labels(limit, what).inc()
