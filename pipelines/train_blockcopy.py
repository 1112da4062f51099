"""Train the weights that the policy BlockCopy starts with.

    python -m streamdyn.pipelines.train_blockcopy --out weights.npz

BlockCopy learns here as it does anywhere, while the built-in `street` model runs; but from street
to street, fixed and slowly panning, after H.264 of several qualities. The packaged weights are of
the defaults, at a third of the policy's learning rate of now.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from streamdyn import Frame, Pipeline, load_model, open_source
from streamdyn.load import load_object
from streamdyn.sources.synthetic.encode import encode
from streamdyn.sources.synthetic.street import Street

log = logging.getLogger(__name__)

FIRST_SEED = 2_000_000  # tests use smaller ones
SIZES = (256, 512), (384, 768)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One clip to learn from."""

    street: Street
    crf: int  # quality of its H.264

    @classmethod
    def draw(cls, seed: int, frames: int) -> Lesson:
        """A street, how it is seen, and how it is coded: all from one number."""
        draw = np.random.default_rng([seed, 1])
        height, width = SIZES[draw.integers(len(SIZES))]
        pan = float(draw.choice([0, 0, 0, 1]))
        street = Street(
            seed=seed,
            height=height,
            width=width,
            frames=frames,
            pan=pan,
            noise=float(draw.uniform(1, 4)),
            drift=float(draw.uniform(0, 0.1)),
        )
        return cls(street, int(draw.integers(20, 34)))

    def frames(self) -> Iterator[Frame]:
        """Its frames, after H.264."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lesson.mp4"
            encode(self.street, path, crf=self.crf, preset="fast")
            yield from open_source(str(path))


def train(out: Path, *, clips: int, frames: int, target: float) -> None:
    """Learn from one clip after the other, and write the weights after each."""
    make = load_object("streamdyn.policies", "BlockCopy")
    model = load_model("street")
    for clip in range(clips):
        policy = make(target=target, seed=clip, weights=out if clip else "random")
        lesson = Lesson.draw(FIRST_SEED + clip, frames)
        density = fmean(p.density for p in Pipeline(model, policy).run(lesson.frames()))
        policy.save(out)
        log.info("clip %d of %d: density %.3f", clip + 1, clips, density)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="file for the weights")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--frames", type=int, default=100, help="of each clip")
    parser.add_argument("--target", type=float, default=0.1, help="density to learn at")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(arguments.out, clips=arguments.clips, frames=arguments.frames, target=arguments.target)


if __name__ == "__main__":
    main()
