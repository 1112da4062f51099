"""Masks that a policy draws on real video, against random masks of the same numbers of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from streamdyn.bench.engine.subject import BENCH, Setting, Subject
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.bench.masks import policy_masks, random_masks
from streamdyn.blocks import BlockMask

POLICY = "Change"
ASKED = Asked(0.85)


def measure_clips(
    subject: Subject, peer: str, clips: Sequence[Path], setting: Setting
) -> Iterator[Measurement]:
    """The speed of real masks over a peer, and as a share of that of random ones."""
    grid = subject.network.grid
    for clip in clips:
        real = policy_masks(grid, clip, POLICY, frames=setting.clip_frames, count=2 * setting.masks)
        if not real:
            setting.say(f"{clip.name}: {POLICY} computes nothing of it")
            continue
        chance = random_masks(grid, [int(np.count_nonzero(mask.active)) for mask in real])
        yield from _compare(subject, peer, clip.name, real, chance, setting)


def _compare(
    subject: Subject, peer: str, clip: str, real: list[BlockMask], chance: list[BlockMask],
    setting: Setting,
) -> Iterator[Measurement]:  # fmt: skip
    network, x, cache = subject.network, subject.x, subject.network.new_cache()
    network(x, network.grid.all(), cache)

    def sweep(masks: list[BlockMask]) -> Callable[[], object]:
        return lambda: [network(x, mask, cache) for mask in masks]

    masks = {f"masks of {POLICY}": real, "random masks": chance}
    contenders = {name: sweep(chosen) for name, chosen in masks.items()}
    seconds = setting.race(contenders | {peer: subject.peers[peer]})
    density = mean(mask.density for mask in real)
    about = subject.about(density=density, clip=clip, peer=peer)
    case = f"{subject.case}, {clip}, {density:.1%} of blocks"
    for name in masks:
        speedups = [len(real) * p / s for p, s in zip(seconds[peer], seconds[name], strict=True)]
        yield Measurement.of(
            BENCH, case, f"speed-up of {name} over {peer}", "x", speedups, about=about
        )
    of_real, of_chance = (seconds[name] for name in masks)
    ratios = [c / r for c, r in zip(of_chance, of_real, strict=True)]
    yield Measurement.of(
        BENCH, case, "speed-up against that of random masks", "ratio", ratios,
        asked=ASKED, about=about,
    )  # fmt: skip
