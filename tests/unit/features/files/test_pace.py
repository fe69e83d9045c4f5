"""How much one connection is asked for: more where it is fast, and where it will stay the only one."""

from hfproxy.features.files.pace import Pace

MIB = 1024**2


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _after_a_slow_run(*, crowded: bool) -> Pace:
    """4 MiB in a second, looked at in between."""
    clock = Clock()
    pace = Pace(8, crowded=lambda: crowded, now=clock)
    pace.run_began()
    pace.arrived(MIB)
    clock.now_s = 1.0
    pace.arrived(3 * MIB)
    pace.look()
    pace.run_ended(4 * MIB)
    return pace


def test_a_slow_connection_gets_company_and_no_longer_runs() -> None:
    pace = _after_a_slow_run(crowded=False)
    assert pace.allowed == 2
    pace.allowed = 1
    assert pace.run_bytes(1024 * MIB) == 4 * MIB


def test_in_a_crowd_it_stays_alone_and_is_asked_for_more_at_once() -> None:
    pace = _after_a_slow_run(crowded=True)
    assert pace.allowed == 1
    assert pace.run_bytes(1024 * MIB) == 16 * MIB
