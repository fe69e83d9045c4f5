"""Quotas: fixed windows, one per caller and kind of path."""

from hfproxy.sandbox.config import Quotas
from hfproxy.sandbox.limits import RateLimits


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_quota_is_used_up_and_comes_back_with_the_next_window() -> None:
    clock = Clock()
    limits = RateLimits(Quotas(api=2, window_s=300), enforced=True, clock=clock)
    assert [limits.spend(None, "10.0.0.1", "api").exceeded for _ in range(3)] == [False, False, True]
    clock.now_s += 299.5
    late = limits.spend(None, "10.0.0.1", "api")
    assert late.exceeded
    assert late.headers == {"RateLimit": '"api";r=0;t=1', "RateLimit-Policy": '"fixed window";"api";q=2;w=300'}
    clock.now_s += 0.5
    assert not limits.spend(None, "10.0.0.1", "api").exceeded


def test_callers_and_kinds_of_paths_do_not_share_a_quota() -> None:
    limits = RateLimits(Quotas(api=1), enforced=True, clock=Clock())
    assert not limits.spend(None, "10.0.0.1", "api").exceeded
    assert limits.spend(None, "10.0.0.1", "api").exceeded
    assert not limits.spend(None, "10.0.0.2", "api").exceeded
    assert not limits.spend(None, "10.0.0.1", "pages").exceeded
    assert [limits.spend("alice", "10.0.0.1", "api").exceeded for _ in range(3)] == [False, False, True]


def test_a_quota_that_is_not_enforced_never_looks_used_up() -> None:
    limits = RateLimits(Quotas(api=1), enforced=False, clock=Clock())
    standing = [limits.spend(None, "10.0.0.1", "api") for _ in range(5)]
    assert not any(each.exceeded for each in standing)
    assert all(each.left == 1 for each in standing)
