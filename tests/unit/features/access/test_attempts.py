"""Wrong keys are limited for each address, in bounded memory."""

from ipaddress import ip_address

import pytest

from hfproxy.errors import TooManyAttempts
from hfproxy.features.access.attempts import MOST_ADDRESSES, FailedAttempts


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


A, B = ip_address("192.0.2.1"), ip_address("192.0.2.2")


def test_an_address_is_refused_until_its_minute_is_over_and_is_told_how_long() -> None:
    clock = Clock()
    attempts = FailedAttempts(2, clock=clock)
    for _ in range(2):
        attempts.check(A)
        attempts.count(A)
    clock.now += 10.5
    with pytest.raises(TooManyAttempts) as told:
        attempts.check(A)
    assert told.value.headers["Retry-After"] == "50"
    attempts.check(B)
    clock.now += 49.5
    attempts.check(A)
    attempts.count(A)
    attempts.check(A)


def test_a_network_of_one_customer_is_one_address() -> None:
    attempts = FailedAttempts(1)
    attempts.count(ip_address("2001:db8::1"))
    with pytest.raises(TooManyAttempts):
        attempts.check(ip_address("2001:db8::ffff"))
    attempts.check(ip_address("2001:db8:0:1::1"))


def test_any_number_of_addresses_is_kept_in_bounded_memory() -> None:
    attempts = FailedAttempts(1)
    for number in range(MOST_ADDRESSES + 500):
        attempts.count(ip_address(number))
    assert len(attempts) == MOST_ADDRESSES
    with pytest.raises(TooManyAttempts):
        attempts.check(ip_address(MOST_ADDRESSES + 499))
