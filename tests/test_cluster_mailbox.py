"""Calls for one thread, and events from another."""

import threading

import pytest

from streamdyn.cluster.mailbox import Mailbox, Teller
from streamdyn.status import Event


def serve(mailbox: Mailbox, stop: threading.Event) -> None:
    while not stop.wait(0.001):
        mailbox.work_off()
    mailbox.close()


@pytest.fixture
def served():
    mailbox, stop = Mailbox(), threading.Event()
    thread = threading.Thread(target=serve, args=(mailbox, stop))
    thread.start()
    yield mailbox, stop, thread
    stop.set()
    thread.join()


def test_calls_are_made_by_the_thread_in_order(served):
    mailbox, _, thread = served
    made: list[object] = []
    for number in range(100):
        mailbox.post(lambda number=number: made.append(number))
    assert mailbox.ask(threading.current_thread) is thread
    assert made == list(range(100))


def test_what_a_call_raises_is_raised_where_it_comes_from(served):
    mailbox, _, _ = served
    with pytest.raises(KeyError, match="nobody"):
        mailbox.ask(lambda: {}["nobody"])
    assert mailbox.ask(lambda: 7) == 7


def test_after_the_thread_whoever_asks_makes_the_call(served):
    mailbox, stop, thread = served
    answers: list[threading.Thread] = []
    askers = [
        threading.Thread(target=lambda: answers.append(mailbox.ask(threading.current_thread)))
        for _ in range(50)
    ]
    for n, asker in enumerate(askers):
        asker.start()
        if n == 25:
            stop.set()
    for asker in askers:
        asker.join(10)
        assert not asker.is_alive()
    assert len(answers) == 50
    assert set(answers) <= {thread, *askers}
    assert mailbox.ask(threading.current_thread) is threading.current_thread()


def test_who_listens_may_fail_and_be_slow():
    heard: list[int] = []
    go_on = threading.Event()

    def listen(stream: str, event: Event) -> None:
        go_on.wait(10)
        heard.append(int(event.at))
        if event.at == 1:
            raise BrokenPipeError

    tell = Teller(listen)
    for number in range(4):
        tell("cam", Event(number, "running"))  # returns although nobody has listened yet
    assert heard == []
    go_on.set()
    tell.close(10)
    assert heard == [0, 1, 2, 3]
