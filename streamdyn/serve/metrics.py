"""The figures as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamdyn.status import ActorStatus, RunStatus, StreamStatus
from streamdyn.status.figures import StreamState

_STREAM = ("stream",)
_ACTOR = ("actor", "role", "node")


def expose(status: RunStatus) -> bytes:
    """The figures in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(status))
    return generate_latest(registry)


class _Figures(Collector):
    """Figures of one moment. What is not known has no sample."""

    def __init__(self, status: RunStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status
        yield GaugeMetricFamily(
            "streamdyn_uptime_seconds", "Since the run began.", status.uptime_seconds
        )
        yield from _counts(status.streams)
        yield from _by_word(status.streams)
        for name, what, read in _GAUGES:
            family = GaugeMetricFamily(f"streamdyn_stream_{name}", what, labels=_STREAM)
            for stream in status.streams:
                if (value := read(stream)) is not None:
                    family.add_metric([stream.name], value)
            yield family
        yield from _actors(status.actors)


_GAUGES: tuple[tuple[str, str, Callable[[StreamStatus], float | None]], ...] = (
    ("density", "Fraction of blocks computed lately.", lambda s: s.density),
    ("share", "Fraction of multiply-accumulates computed lately.", lambda s: s.share),
    ("queue_frames", "Frames captured and not yet at their end.", lambda s: s.queue),
    ("bytes_per_frame", "Sent to the worker for each computed frame.", lambda s: s.bytes_per_frame),
    (
        "recovery_frames",
        "Decoded after the last reconnect, before the first that was handed out.",
        lambda s: s.frames_to_recover,
    ),
)


def _counts(streams: tuple[StreamStatus, ...]) -> Iterator[Metric]:
    frames = CounterMetricFamily(
        "streamdyn_stream_frames",
        "Frames that came to an end: computed, reused, dropped or failed.",
        labels=(*_STREAM, "end"),
    )
    reconnects = CounterMetricFamily(
        "streamdyn_stream_reconnects", "Times the source was lost and found.", labels=_STREAM
    )
    gaps = CounterMetricFamily(
        "streamdyn_stream_gap_seconds", "Without a connection or a decoder.", labels=_STREAM
    )
    crashes = CounterMetricFamily(
        "streamdyn_stream_crashes", "Processes lost that held the stream.", labels=_STREAM
    )
    for stream in streams:
        for end, count in asdict(stream.account).items():
            frames.add_metric([stream.name, end], count)
        reconnects.add_metric([stream.name], stream.reconnects)
        gaps.add_metric([stream.name], stream.gap_seconds)
        crashes.add_metric([stream.name], stream.crashes)
    yield from (frames, reconnects, gaps, crashes)


def _by_word(streams: tuple[StreamStatus, ...]) -> Iterator[Metric]:
    """Figures of which a stream has several."""
    rates = GaugeMetricFamily(
        "streamdyn_stream_fps", "Frames per second lately.", labels=(*_STREAM, "what")
    )
    ages = GaugeMetricFamily(
        "streamdyn_stream_age_seconds",
        "From the capture of a frame to its result, lately.",
        labels=(*_STREAM, "quantile"),
    )
    limits = GaugeMetricFamily(
        "streamdyn_stream_limit_share",
        "Fraction of the time that each stage takes.",
        labels=(*_STREAM, "limit"),
    )
    states = GaugeMetricFamily(
        "streamdyn_stream_state", "1 for the state it is in.", labels=(*_STREAM, "state")
    )
    for stream in streams:
        for what, fps in asdict(stream.rates).items():
            rates.add_metric([stream.name, what], fps)
        for quantile, seconds in stream.age_seconds.items():
            fraction = f"{int(quantile.removeprefix('p')) / 100:g}"
            ages.add_metric([stream.name, fraction], seconds)
        for limit, share in stream.limit_shares.items():
            limits.add_metric([stream.name, limit], share)
        for state in get_args(StreamState):
            states.add_metric([stream.name, state], state == stream.state)
    yield from (rates, ages, limits, states)


def _actors(actors: tuple[ActorStatus, ...]) -> Iterator[Metric]:
    load = GaugeMetricFamily(
        "streamdyn_actor_load", "Fraction of the time it was busy lately.", labels=_ACTOR
    )
    memory = GaugeMetricFamily("streamdyn_actor_memory_bytes", "Held in memory.", labels=_ACTOR)
    held = GaugeMetricFamily("streamdyn_actor_streams", "Streams that it holds.", labels=_ACTOR)
    for actor in actors:
        labels = [actor.name, actor.role, actor.node]
        load.add_metric(labels, actor.load)
        memory.add_metric(labels, actor.memory_bytes)
        held.add_metric(labels, len(actor.streams))
    yield from (load, memory, held)
