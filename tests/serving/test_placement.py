"""Placement of services on the GPUs of a host: no overlap that nobody asked for."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import ServiceError
from provision.serving.placement import Ask, place

EIGHT: Final = 8


def test_counts_take_the_lowest_free_in_the_order_of_the_services() -> None:
    """The first service gets the first GPUs, the next goes on from there."""
    asks = [Ask("chat", 4), Ask("reason", 2), Ask("embed", 1), Ask("cpu", 0)]
    assert place("gpu01", asks, EIGHT) == {
        "chat": (0, 1, 2, 3),
        "reason": (4, 5),
        "embed": (6,),
        "cpu": (),
    }


def test_lists_come_first_and_the_answer_keeps_the_order() -> None:
    """A service that names its GPUs gets them, also where it stands last."""
    placed = place("gpu01", [Ask("chat", 2), Ask("embed", (0, 3))], EIGHT)
    assert placed == {"chat": (1, 2), "embed": (0, 3)}
    assert list(placed) == ["chat", "embed"]


def test_rows_without_a_gap_win_over_lower_ones_with_a_gap() -> None:
    """Side by side where that is possible, else the lowest."""
    assert place("h", [Ask("a", (1,)), Ask("b", 2)], 4)["b"] == (2, 3)
    assert place("h", [Ask("a", (1, 3)), Ask("b", 2)], 4)["b"] == (0, 2)


def test_shares_meet_on_one_gpu_until_it_is_full() -> None:
    """0.34 + 0.55 + 0.11 is 1, whatever floats make of it; what does not fit goes on."""
    asks = [Ask("a", 1, 0.34), Ask("b", 1, 0.55), Ask("c", 1, 0.11), Ask("d", 1, 0.1)]
    assert place("h", asks, 2) == {"a": (0,), "b": (0,), "c": (0,), "d": (1,)}


def test_service_without_a_share_shares_with_nobody() -> None:
    """One that states no share takes all the memory there is."""
    assert place("h", [Ask("a", 1, 0.1), Ask("b", 1)], 2) == {"a": (0,), "b": (1,)}
    assert place("h", [Ask("a", 1), Ask("b", 1, 0.1)], 2) == {"a": (0,), "b": (1,)}


def test_unknown_number_of_gpus_is_no_limit() -> None:
    """Where neither the inventory nor facts say how many there are, the host will."""
    asks = [Ask("a", (9,)), Ask("b", 3)]
    assert place("h", asks, None) == {"a": (9,), "b": (0, 1, 2)}
    assert place("h", [Ask("a", 1, 0.5), Ask("b", 2)], None)["b"] == (1, 2)


@pytest.mark.parametrize(
    ("asks", "total", "said"),
    [
        (
            [Ask("chat", 4), Ask("embed", 1), Ask("big", 8)],
            8,
            (
                "gpu01: services.wanted.big.gpus: asks for 8 GPUs, the host has 8 GPUs; "
                "free: 5, 6, 7. Ask for fewer or others, or let services share: memory_share on "
                "each of them."
            ),
        ),
        (
            [Ask("chat", (0, 8))],
            8,
            (
                "gpu01: services.wanted.chat.gpus: asks for GPU 8, the host has 8 GPUs; "
                "free: 0, 1, 2, 3, 4, 5, 6, 7. Ask for fewer or others, or let services share: "
                "memory_share on each of them."
            ),
        ),
        (
            [Ask("chat", (0,)), Ask("embed", (0,))],
            2,
            (
                "gpu01: services.wanted.embed.gpus: asks for all of GPU 0, which chat (all) has "
                "already; free: 1. Ask for fewer or others, or let services share: memory_share on "
                "each of them."
            ),
        ),
        (
            [Ask("chat", (0,), 0.7), Ask("embed", (0,), 0.4)],
            1,
            (
                "gpu01: services.wanted.embed.gpus: asks for 40% of GPU 0, which chat (70%) has "
                "already; free: 30% of 0. Ask for fewer or others, or let services share: "
                "memory_share on each of them."
            ),
        ),
        (
            [Ask("chat", 1)],
            0,
            (
                "gpu01: services.wanted.chat.gpus: asks for 1 GPU, the host has no GPUs; free: none. "
                "Write gpus: 0 to serve on the CPU."
            ),
        ),
    ],
)
def test_what_cannot_be_placed_names_service_host_and_what_is_free(
    asks: list[Ask], total: int, said: str
) -> None:
    """One line says who asks for what, what is free, and what to do."""
    with pytest.raises(ServiceError) as raised:
        place("gpu01", asks, total)
    assert str(raised.value) == said


_ASKS: Final = st.lists(
    st.tuples(
        st.one_of(
            st.integers(0, 4), st.lists(st.integers(0, 7), unique=True, max_size=3).map(tuple)
        ),
        st.one_of(st.none(), st.sampled_from([0.1, 0.3, 0.5, 1.0])),
    ),
    max_size=6,
)


@given(wishes=_ASKS)
def test_no_gpu_is_ever_given_twice(
    wishes: list[tuple[int | tuple[int, ...], float | None]],
) -> None:
    """Each GPU has one service, or services whose shares are at most all of it."""
    asks = [Ask(f"s{number}", gpus, share) for number, (gpus, share) in enumerate(wishes)]
    try:
        placed = place("h", asks, EIGHT)
    except ServiceError:
        return
    for ask in asks:
        count = ask.gpus if isinstance(ask.gpus, int) else len(ask.gpus)
        assert len(set(placed[ask.service])) == count
        assert set(placed[ask.service]) <= set(range(EIGHT))
    for gpu in range(EIGHT):
        users = [ask for ask in asks if gpu in placed[ask.service]]
        shares = [1 if ask.share is None else ask.share for ask in users]
        assert len(users) <= 1 or (None not in {ask.share for ask in users} and sum(shares) < 1.001)
