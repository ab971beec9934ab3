import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.errors import UsageError
from steelyard_agent.link.address import ControllerAddress, parse_controller_address
from steelyard_agent.link.backoff import Backoff


@pytest.mark.parametrize("text", ["127.0.0.1:7433", "localhost:1", "[::1]:65535", "127.8.9.1:80"])
def test_an_address_on_loopback_is_taken_as_it_is(text: str) -> None:
    assert str(parse_controller_address(text)) == text


@pytest.mark.parametrize("text", ["192.168.1.4:7433", "example.org:7433", "[2001:db8::1]:7433", "0.0.0.0:7433"])
def test_an_address_elsewhere_is_refused_and_told_how_to_reach_a_board_today(text: str) -> None:
    with pytest.raises(UsageError, match=r"ssh -R 7433:127\.0\.0\.1:7433 USER@DEVICE") as caught:
        parse_controller_address(text)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text", ["", "7433", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:7433\n", "::1:80"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_controller_address(text)


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_controller_address(text), ControllerAddress)


def test_the_bound_of_the_back_off_doubles_up_to_its_cap() -> None:
    full = Backoff(draw=lambda: 1.0)
    assert [full.delay_s(count) for count in (1, 2, 3, 4, 5, 6, 10_000)] == [1, 2, 4, 8, 10, 10, 10]
    assert Backoff(draw=lambda: 0.0).delay_s(9) == 0


@given(st.integers(1, 10**9))
def test_the_back_off_is_drawn_from_the_whole_interval(count: int) -> None:
    assert 0 <= Backoff().delay_s(count) <= 10


def test_a_back_off_without_a_bound_is_refused() -> None:
    with pytest.raises(ValueError, match="makes no sense"):
        Backoff(base_s=0)
