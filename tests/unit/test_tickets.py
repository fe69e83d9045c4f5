"""Tickets lead where they were made to lead, and nowhere else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfproxy.features.passthrough.tickets import LIFE_S, READING_LIFE_S, BadTicket, TicketOffice
from hfproxy.storage.secret import derived_key
from hfproxy.upstream.lfs import Target

TARGET = Target("https://s3.example/x?X-Amz-Signature=secret", ("PUT",), "Basic secret", "a" * 64, 5)
OFFICE = TicketOffice(b"k" * 32)


def test_a_ticket_leads_where_it_was_made_for_and_shows_nothing_of_it() -> None:
    ticket = OFFICE.issue(TARGET)
    assert OFFICE.read(ticket) == TARGET
    assert ticket.replace("-", "").replace("_", "").isalnum()


@given(st.text() | st.binary().map(lambda raw: raw.hex()))
def test_whatever_else_is_no_ticket(text: str) -> None:
    with pytest.raises(BadTicket):
        OFFICE.read(text)


@given(st.integers(0, len(OFFICE.issue(TARGET)) - 1), st.sampled_from("AZaz09-_"))
def test_a_ticket_that_was_changed_is_no_ticket(position: int, letter: str) -> None:
    ticket = OFFICE.issue(TARGET)
    changed = ticket[:position] + letter + ticket[position + 1 :]
    try:
        assert OFFICE.read(changed) == TARGET  # the last letter has bits that say nothing
    except BadTicket:
        assert changed != ticket


def test_a_ticket_of_another_gateway_is_no_ticket() -> None:
    with pytest.raises(BadTicket):
        TicketOffice(b"o" * 32).read(OFFICE.issue(TARGET))


def test_a_ticket_runs_out() -> None:
    now = [1000.0]
    office = TicketOffice(b"k" * 32, clock=lambda: now[0])
    ticket = office.issue(TARGET)
    now[0] += LIFE_S
    assert office.read(ticket) == TARGET
    now[0] += 1
    with pytest.raises(BadTicket, match="run out"):
        office.read(ticket)


@pytest.mark.parametrize(("said_s", "life_s"), [(None, READING_LIFE_S), (60, 60), (10**9, LIFE_S)])
def test_a_right_to_read_an_object_ends_no_later_than_the_hubs_own(said_s: int | None, life_s: int) -> None:
    now = [1000.0]
    office = TicketOffice(b"k" * 32, clock=lambda: now[0])
    target = Target("https://cdn.example/x", ("GET", "HEAD"), oid="a" * 64, size_bytes=5, life_s=said_s)
    ticket = office.issue(target)
    now[0] += life_s
    assert office.read(ticket) == target
    now[0] += 1
    with pytest.raises(BadTicket):
        office.read(ticket)


def test_the_secret_is_made_once_for_its_owner_alone_and_differs_by_purpose(tmp_path: Path) -> None:
    root = tmp_path / "data"
    key = derived_key(root, "a")
    assert derived_key(root, "a") == key != derived_key(root, "b")
    assert (root / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in root.iterdir()] == ["secret"]
