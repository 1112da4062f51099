"""What waits for the supervisor: bounded, whatever a stream gives."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest

from streamdyn.cluster.messages import Outcome, Tally
from streamdyn.cluster.outbox import KEPT_DAMAGE, LARGEST, LONGEST, Outbox
from streamdyn.sources import SourceReport
from streamdyn.sources.camera_events import CameraReport
from streamdyn.types import Classification, Frame, Segmentation
from tests.predictions_kit import a_prediction

SMALL = Classification(np.zeros(1, np.int64), np.ones(1, np.float32), ("a",))


def outcome(index: int, result=SMALL, side: int | None = None) -> Outcome:
    frame = None
    if side:
        image = np.zeros((side, side, 3), np.uint8)
        frame = Frame.from_image(image, index=index, pts_seconds=float(index))
    return Outcome(index, float(index), a_prediction(result, index), frame)


def pictures(count: int) -> list[Outcome]:
    return [outcome(n, side=1024) for n in range(count)]  # 3 MiB each


def labels(count: int) -> list[Outcome]:
    result = Segmentation(np.zeros((2048, 2048), np.uint8), ("a",))  # 4 MiB
    return [outcome(n, result) for n in range(count)]


@pytest.mark.parametrize(
    ("outcomes", "most"),
    [
        (pictures(20), LARGEST // (3 << 20)),
        (labels(20), LARGEST // (4 << 20)),
        ([outcome(n) for n in range(LONGEST + 50)], LONGEST),
        ([outcome(n, side=4096) for n in range(3)], 1),  # each is larger than what may wait
    ],
)
def test_a_feed_waits_when_too_much_waits(outcomes, most):
    outbox = Outbox()
    feed = Thread(target=lambda: [outbox.put(one) for one in outcomes], daemon=True)
    feed.start()
    found = []
    while len(found) < len(outcomes):
        report = outbox.take(0.2)
        assert len(report.outcomes) <= most
        found += report.outcomes
    feed.join(5)
    assert not feed.is_alive()
    assert found == outcomes


def test_the_end_frees_a_feed_that_waits():
    outbox = Outbox()
    feed = Thread(target=lambda: [outbox.put(one) for one in labels(10)], daemon=True)
    feed.start()
    outbox.end("over")
    feed.join(5)
    assert not feed.is_alive()
    report = outbox.take(0.0)
    assert (report.ended, report.error) == (True, "over")


def test_only_the_newest_damage_is_told_of_and_the_rest_counted():
    outbox, source = Outbox(), SourceReport()
    for n in range(2 * KEPT_DAMAGE):
        source.add_damage(n, n + 0.5, f"bad {n}")
    outbox.begin(Tally(damage=tuple(source.damage[:5]), damage_forgotten=7))
    outbox.count(source)
    tally = outbox.take(0.0).tally
    assert list(tally.damage) == source.damage[-KEPT_DAMAGE:]
    assert tally.damage_forgotten + len(tally.damage) == 7 + 5 + 2 * KEPT_DAMAGE


def test_what_a_camera_lost_is_told():
    outbox = Outbox()
    report = CameraReport(decoded=9, emitted=4, dropped=5, reconnects=2, frames_to_recover=3)
    outbox.count(report)
    tally = outbox.take(0.0).tally
    assert (tally.emitted, tally.dropped, tally.decoded) == (4, 5, 9)
    assert (tally.reconnects, tally.frames_to_recover) == (2, 3)
    assert (tally + Tally()).frames_to_recover == 3
    assert (tally + Tally(frames_to_recover=1)).frames_to_recover == 1
