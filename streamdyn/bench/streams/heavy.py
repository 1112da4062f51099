"""One stream that takes all there is: what does it cost to compute it in other processes?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.streams.alone import run_alone
from streamdyn.bench.streams.fleet import Fleet
from streamdyn.bench.streams.meter import Meter, Span, farthest
from streamdyn.bench.streams.setting import BENCH, FILE_POLICY, Setting
from streamdyn.specs import ModelSpec

ASKED_RATE = Asked(0.90)
ASKED_BYTES = Asked(1.5, at_most=True)
ASKED_DIFFERENCE = Asked(0.0, at_most=True)
KEPT = 100  # results that are compared; later a cluster computes a picture whole, now and then


@dataclass(frozen=True, slots=True)
class _Run:
    span: Span
    meter: Meter
    bytes_per_pixel: float  # sent, over 3 for each pixel of the computed blocks
    limits: str


def measure_heavy(setting: Setting) -> Iterator[Measurement]:
    """The throughput of a cluster over that of one process, and what travels."""
    (clip,) = setting.files(1)
    spec = setting.network(setting.heavy)
    model = spec.load(os.cpu_count())
    blocks = setting.blocks(spec)
    here: list[tuple[Span, Meter]] = []
    there: list[_Run] = []
    for number in range(setting.rounds):
        setting.say(f"heavy: round {number + 1} of {setting.rounds}")
        meter = Meter(KEPT)
        folder = setting.folder / f"heavy-alone-{number}"
        here.append((run_alone(model, FILE_POLICY, clip, folder, setting.seconds, meter), meter))
        there.append(_on_cluster(setting, spec, f"heavy-{number}", blocks))
    height, width = setting.size
    density = sum(run.span.blocks / run.span.frames for run in there) / len(there) / blocks
    case = f"one stream, {setting.heavy} {height}x{width} {spec.dtype}, {density:.1%} of blocks"
    about: dict[str, str | float] = {"density": density, "limits": there[-1].limits}
    for name, rates in {
        "frame rate in one process": [span.rate for span, _ in here],
        "frame rate on a cluster": [run.span.rate for run in there],
    }.items():
        yield Measurement.of(BENCH, case, name, "frames/s", rates, about=about)
    ratios = [run.span.rate / span.rate for run, (span, _) in zip(there, here, strict=True)]
    yield Measurement.of(
        BENCH, case, "share of the rate of one process", "ratio", ratios, asked=ASKED_RATE,
        about=about,
    )  # fmt: skip
    sent = [run.bytes_per_pixel for run in there]
    yield Measurement.of(
        BENCH, case, "bytes sent over those of the computed blocks", "ratio", sent,
        asked=ASKED_BYTES, about=about,
    )  # fmt: skip
    name = clip.stem
    same = [
        farthest(run.meter.results("stream-1"), meter.results(name))
        for run, (_, meter) in zip(there, here, strict=True)
    ]
    yield Measurement.of(
        BENCH, case, f"largest difference of scores in {KEPT} frames", "1", same,
        asked=ASKED_DIFFERENCE, about=about,
    )  # fmt: skip


def _on_cluster(setting: Setting, spec: ModelSpec, name: str, blocks: int) -> _Run:
    (clip,) = setting.files(1)
    with Fleet(setting, name, spec, FILE_POLICY, keep=KEPT) as fleet:
        fleet.start([clip])
        span = fleet.steady(setting.seconds)
        (status,) = fleet.streams()
    computed = status.rates.computed / max(status.rates.computed + status.rates.reused, 1e-9)
    pixels = (status.density or 1.0) * blocks * spec.block**2
    sent = (status.bytes_per_frame or 0.0) * computed
    limits = ", ".join(f"{name} {share:.0%}" for name, share in status.limit_shares.items())
    return _Run(span, fleet.meter, sent / (3 * pixels), limits)
