"""What a pointer's age is when the clock was set."""

import time

import pytest

from hfproxy.storage.pointers import Pointer


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_a_pointer_of_another_time_is_old(ahead_s: int) -> None:
    assert Pointer("c0ffee", time.time() + ahead_s).age_s > 3500
