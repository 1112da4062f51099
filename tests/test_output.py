"""What a stream leaves, where receivers over the network take part."""

import pytest

from streamdyn import Frame, SinkError
from streamdyn.bench.cameras.ports import free_port
from streamdyn.output import Output
from streamdyn.sinks import Sink
from streamdyn.summary import StreamSummary
from tests.receivers_kit import NoPixels, WebServer, prediction


def fill(output: Output, frames: int) -> None:
    for index in range(frames):
        frame = Frame(NoPixels(), index=index, pts_seconds=index / 25, size=(64, 96), stream="cam")
        output(prediction(index), frame)


def test_what_a_receiver_has_not_taken_is_told_and_sent_by_the_next_run(tmp_path):
    port = free_port()
    url, spool = f"http://127.0.0.1:{port}/results", tmp_path / "spool"
    summary = StreamSummary("cam")
    with Output(tmp_path / "first", ["jsonl", url], False, summary, spool) as output:
        fill(output, 5)
    assert [(d["sent"], d["waiting"]) for d in summary.deliveries] == [(0, 5)]
    assert "has taken 0 results; 5 wait" in "\n".join(summary.notes())
    assert summary.to_dict()["deliveries"][0]["waiting"] == 5
    with WebServer(port=port) as server:
        later = StreamSummary("cam")
        with Output(tmp_path / "second", [url], False, later, spool) as output:
            fill(output, 2)
    assert later.deliveries[0]["sent"] == 7
    assert [r["index"] for post in server.posts for r in post.records] == [0, 1, 2, 3, 4, 0, 1]
    assert not any("taken" in note for note in later.notes())


class Refusing(Sink):
    """Cannot write what is left."""

    def __init__(self, folder):
        self.closed = False

    def __call__(self, prediction, frame):
        pass

    def close(self):
        self.closed = True
        raise SinkError("the disk is full")


def test_a_sink_that_cannot_close_keeps_no_other_from_closing(tmp_path):
    made = []

    def make(folder):
        made.append(Refusing(folder))
        return made[-1]

    output = Output(tmp_path, [make, make, "jsonl"], False, StreamSummary("cam"))
    fill(output, 3)
    with pytest.raises(SinkError, match="the disk is full"):
        output.close()
    assert [sink.closed for sink in made] == [True, True]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 3
