"""The short way from a decoder to a worker of its node."""

import threading
from dataclasses import replace
from multiprocessing import AuthenticationError

import pytest

from streamdyn.cluster.channel import Channel, Doorkeeper


@pytest.fixture
def door():
    return Doorkeeper("here", lambda caller, request: caller.encode() + b": " + request).door


def test_answers_each_caller(door):
    first, second = Channel(door, "first"), Channel(door, "second")
    assert second.ask(b"a") == b"second: a"
    assert first.ask(b"b") == b"first: b"
    first.close()
    large = bytes(4 << 20)
    assert second.ask(large) == b"second: " + large


def test_one_that_waits_for_its_answer_does_not_hold_up_others():
    free = threading.Event()

    def answer(caller: str, request: bytes) -> bytes:
        if caller == "slow":
            free.wait(10)
        return request

    door = Doorkeeper("here", answer).door
    slow, quick = Channel(door, "slow"), Channel(door, "quick")
    found: list[bytes] = []
    waiting = threading.Thread(target=lambda: found.append(slow.ask(b"s")))
    waiting.start()
    assert quick.ask(b"q") == b"q"
    assert not found
    free.set()
    waiting.join(10)
    assert found == [b"s"]


def test_who_lacks_the_key_is_turned_away_and_others_are_served(door):
    with pytest.raises(AuthenticationError):
        Channel(replace(door, key=b"another"), "stranger")
    assert Channel(door, "known").ask(b"a") == b"known: a"
    assert str(door.key) not in repr(door)


def test_an_answer_that_breaks_ends_the_connection_alone(door):
    def answer(caller: str, request: bytes) -> bytes:
        if request == b"bad":
            raise OSError("broken")
        return request

    door = Doorkeeper("here", answer).door
    channel = Channel(door, "one")
    with pytest.raises((EOFError, OSError)):
        channel.ask(b"bad")
    assert Channel(door, "two").ask(b"good") == b"good"


def test_nobody_behind_a_door_is_an_error(door):
    with pytest.raises(OSError, match="refused"):
        Channel(replace(door, address="\0streamdyn-nobody"), "one")
