"""One clip and one model: every policy runs on the same frames, against the same dense results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from time import perf_counter

from streamdyn.bench.policies.clip import Clip
from streamdyn.load import load_policy
from streamdyn.metrics import MeanIoU, agreement
from streamdyn.models.vision import VisionModel
from streamdyn.pipeline import Pipeline
from streamdyn.policy import Policy
from streamdyn.quality import Quality
from streamdyn.types import Prediction, Result, Segmentation

_DENSE_EVERY = 8  # frames: so often a frame is computed whole beside the stream, to time that
_STALL = 4.0  # times the dense model: a frame that takes longer does so because of the machine
_WARM_UP = 8  # frames on which kernels are compiled, and caches filled


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy came to on a clip. Means over all frames, if not said otherwise."""

    agreement: float  # with the dense model
    share: float  # of the dense model's multiply-accumulates, audits included
    time: float  # of the policy, the model and audits, over that of the dense model
    density: float  # of the masks
    policy_ms: float  # of the policy alone, for a frame; the median
    dense_ms: float  # of the dense model, for a frame; the median
    audits: int
    faults: int  # frames that were computed whole because the policy failed
    miou: float | None  # with the truth, over its classes and all pixels; None without truth


class Trial:
    """A clip, and the dense model's results of its frames.

    Args:
        name: for people.
    """

    def __init__(self, name: str, clip: Clip, model: VisionModel) -> None:
        self.name = name
        self.clip = clip
        self._model = model
        self._grid = model.grid(clip.kept[0].size)
        self._warm_up()
        dense = Pipeline(model, load_policy("All")).run(clip.frames())
        self._dense: Sequence[Result] = [prediction.result for prediction in dense]
        self.dense_miou = self._miou(self._dense)

    def run(self, policy: Policy, quality: Quality | None = None) -> Outcome:
        """Run a policy over the clip; time the dense model at the same time."""
        predictions, dense_seconds = self._run(policy, quality)
        frames = len(predictions)
        audits = sum(prediction.audit is not None for prediction in predictions)
        stall = _STALL * dense_seconds
        spent = fmean(min(_spent(prediction), stall) for prediction in predictions)
        results = [prediction.result for prediction in predictions]
        return Outcome(
            agreement=fmean(map(agreement, results, self._dense)),
            share=fmean(prediction.share for prediction in predictions) + audits / frames,
            time=spent / dense_seconds,
            density=fmean(prediction.density for prediction in predictions),
            policy_ms=1e3 * median(prediction.seconds.policy for prediction in predictions),
            dense_ms=1e3 * dense_seconds,
            audits=audits,
            faults=sum(prediction.fault is not None for prediction in predictions),
            miou=self._miou(results),
        )

    def _run(self, policy: Policy, quality: Quality | None) -> tuple[list[Prediction], float]:
        """The predictions, and the seconds of the dense model for a frame.

        These are measured between the frames of the stream: a machine that slows down for a while
        slows both.
        """
        model, everything = self._model, self._grid.all()
        others = self.clip.frames()
        spare = model.new_cache(self.clip.kept[0].size)
        model(next(self.clip.frames()), everything, spare)
        predictions, seconds = [], []
        pipeline = Pipeline(model, policy, quality=quality)
        for prediction, frame in zip(pipeline.run(self.clip.frames()), others, strict=True):
            predictions.append(prediction)
            if prediction.index % _DENSE_EVERY == 0:
                start = perf_counter()
                model(frame, everything, spare)
                seconds.append(perf_counter() - start)
        return predictions, median(seconds)

    def _warm_up(self) -> None:
        few = Clip(self.clip.name, self.clip.kept[:_WARM_UP])
        for spec in ("All", "Random(density=0.2)"):
            for _ in Pipeline(self._model, load_policy(spec)).run(few.frames()):
                pass

    def _miou(self, results: Iterable[Result]) -> float | None:
        truths, model = self.clip.truth, self._model
        if truths is None or (truths[0].task, truths[0].classes) != (model.task, model.classes):
            return None
        overlap = MeanIoU(len(model.classes))
        for result, truth in zip(results, truths, strict=True):
            assert isinstance(result, Segmentation), "that is the task of the model"
            overlap.add(result.labels, truth.labels)
        there = overlap.confusion.sum(axis=1) > 0
        return float(overlap.per_class[there].mean())


def _spent(prediction: Prediction) -> float:
    seconds = prediction.seconds
    return seconds.policy + seconds.model + seconds.audit
