"""What is compared: clips and models. The default job is what the project's own figures are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamdyn.bench.policies.clip import Clip, load_clips, load_coded
from streamdyn.models import load_model
from streamdyn.models.vision import VisionModel

Size = tuple[int, int]  # height, width

DETECTOR = "fastestdet.onnx"
CARD = Path(__file__).parents[3] / "data" / "cards" / "fastestdet.toml"

_FIXED = ("bottle-detection.mp4", "car-detection.mp4")
_SIGNING = tuple(f"asl-{word}.mkv" for word in ("again", "bird", "book", "help", "learn", "sister"))
_DETECTOR_SIZES = ((352, 352), (704, 704))
_STREET = "synthetic:street?seed=5&height=256&width=512&frames=150"
_PANNING = f"{_STREET}&pan=1"
_CRFS = (23, 35)


@dataclass(frozen=True, slots=True)
class Job:
    """Sources, each with each size of a model."""

    sources: Sequence[str]
    model: str
    sizes: Sequence[Size | None] = (None,)  # None: as the model's card says
    card: Path | None = None
    crfs: Sequence[int] = ()  # at which synthetic sources are coded; none: as they are drawn
    fixed: bool = False  # whether the cameras are known not to move

    def clips(self, *, start: float = 0.0, max_frames: int | None = None) -> Iterator[Clip]:
        """The clips, one after the other: each may take much memory.

        Raises:
            SourceError: a source cannot be read, or is live.
        """
        for spec in self.sources:
            for crf in self.crfs:
                yield load_coded(spec, crf, start=start, max_frames=max_frames)
            if not self.crfs:
                yield from load_clips(spec, start=start, max_frames=max_frames)

    def models(self, threads: int | None = None) -> Iterator[tuple[str, VisionModel]]:
        """The models, by names for people.

        Raises:
            ModelError: the model cannot be loaded.
        """
        for size in self.sizes:
            model = load_model(self.model, card=self.card, size=size, threads=threads)
            yield f"{model.name} {size[0]}x{size[1]}" if size else model.name, model


def default_jobs(media: Path | None, models: Path | None) -> list[Job]:
    """Streets with truth, and where there are clips and weights, a detector on real video.

    Args:
        media: folder of the clips.
        models: folder of the detector's weights.
    """
    jobs = [
        Job([_STREET], "street", crfs=_CRFS, fixed=True),
        Job([_PANNING], "street", crfs=_CRFS),
    ]
    if media and models:
        weights = str(models / DETECTOR)
        jobs += [
            Job([str(media / clip) for clip in clips], weights, _DETECTOR_SIZES, CARD, fixed=fixed)
            for clips, fixed in ((_FIXED, True), (_SIGNING, False))
        ]
    return jobs
