"""What our own start of a command takes for granted in paramiko."""

from __future__ import annotations

from paramiko import Channel


def test_a_command_waits_for_its_reply_where_we_stop_it() -> None:
    """Otherwise a start would wait for a host that accepts and then says nothing, and for ever."""
    assert Channel.exec_command.__wrapped__.__code__.co_names[-1] == "_wait_for_event"
