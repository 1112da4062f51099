"""What every policy must keep, as checks that run on any policy, yours too.

In a test file, inherit the checks:

    from streamdyn.testing import PolicyContract

    class TestCentre(PolicyContract):
        def make(self):
            return Centre()

or call `check_policy(Centre)`, as `streamdyn check --policy ./centre.py:Centre` does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.fit import Fit
from streamdyn.pipeline import Pipeline
from streamdyn.policy import Policy, StreamState
from streamdyn.types import Classification, Detections, Frame, Result, Segmentation

MakePolicy = Callable[[], Policy]

SIZES = ((96, 160), (17, 31), (1, 1))  # (height, width): whole blocks, odd, one pixel


def frames(
    count: int = 12, size: tuple[int, int] = (96, 160), stream: str = "test"
) -> Iterator[Frame]:
    """A bright square that moves over still noise, stands for some frames, and moves again."""
    height, width = size
    background = np.random.default_rng(0).integers(0, 200, (height, width, 3), np.uint8)
    side = max(min(size) // 4, 1)
    for index in range(count):
        image = background.copy()
        left = (index - min(max(index - 3, 0), 3)) * side // 2 % max(width - side, 1)
        image[:side, left : left + side] = 255
        yield Frame.from_image(image, index=index, pts_seconds=index / 25, stream=stream)


def results(size: tuple[int, int]) -> tuple[Result, ...]:
    """A result of each task, among them one that found nothing."""
    labels = np.arange(2, dtype=np.int64)
    scores = np.array([0.9, 0.1], np.float32)
    height, width = size
    boxes = np.array([[0, 0, width, height], [0, 0, 1, 1]], np.float32)
    none = np.zeros(0, np.int64)
    return (
        Classification(labels, scores, ("a", "b")),
        Detections(boxes, scores, labels, ("a", "b")),
        Detections(boxes[:0], scores[:0], none, ()),
        Segmentation(np.zeros(size, np.uint8), ("a", "b")),
    )


class StillModel:
    """A model that costs nothing and always says the same: for trying policies and sinks."""

    def __init__(self, result: Result | None = None, block: int = 32) -> None:
        self.result = result
        self.block = block
        self.masks: list[BlockMask] = []  # what was asked of it

    def grid(self, size: tuple[int, int]) -> BlockGrid:
        return Fit.make("stretch", size, (96, 160)).grid(self.block)

    def new_cache(self, size: tuple[int, int]) -> None:
        return None

    def __call__(self, frame: Frame, mask: BlockMask, cache: None) -> Result:
        self.masks.append(mask)
        return results(frame.size)[0] if self.result is None else self.result

    def share(self, mask: BlockMask) -> float:
        return mask.density


def check_decides_on_the_given_grid(make: MakePolicy) -> None:
    """`decide` returns a mask of `state.grid`, for any size of picture and input."""
    for size in SIZES:
        for grid in (BlockGrid(96, 160, 32), Fit.make("letterbox", size, (100, 90)).grid(16)):
            policy = make()
            for frame, state in _states(policy, grid, size):
                mask = policy.decide(frame, state)
                kind = type(mask).__name__
                assert isinstance(mask, BlockMask), f"decide returned {kind}, not a BlockMask"
                assert mask.grid == grid, f"decide returned a mask of {mask.grid}, not {grid}"


def check_leaves_frame_and_state_alone(make: MakePolicy) -> None:
    """`decide` changes neither the frame nor the state."""
    policy = make()
    for frame, state in _states(policy, BlockGrid(96, 160, 32), (96, 160)):
        watched: dict[str, NDArray[Any]] = {
            "frame.image": frame.image,
            "frame.luma": frame.luma,
            "state.reference": state.reference,
            "state.age": state.age,
        }
        before = {name: values.copy() for name, values in watched.items()}
        policy.decide(frame, state)
        for name, values in watched.items():
            assert np.array_equal(values, before[name]), f"decide changed {name}"


def check_reset_forgets(make: MakePolicy) -> None:
    """After `reset` a policy decides as if it were new: a run can be repeated."""
    policy = make()
    first, second, fresh = (_decisions(p) for p in (policy, policy, make()))
    for frame, (a, b, c) in enumerate(zip(first, second, fresh, strict=True), start=1):
        assert np.array_equal(a, b), f"after reset, frame {frame} was decided differently"
        assert np.array_equal(a, c), f"two new policies decided frame {frame} differently"


def check_serves_every_task(make: MakePolicy) -> None:
    """No task, size or result makes the policy fail: each frame gets its prediction."""
    for size in SIZES:
        for result in results(size):
            pipeline = Pipeline(StillModel(result), make())
            predictions = list(pipeline.run(frames(size=size)))
            assert len(predictions) == 12, f"{len(predictions)} predictions for 12 frames"
            faults = [p.fault for p in predictions if p.fault]
            assert not faults, f"on {size[0]}x{size[1]} px, {result.task}: {faults[0]}"


def check_combines(make: MakePolicy) -> None:
    """`policy & other` and `policy | other` hold what each asks for."""
    grid = BlockGrid(96, 160, 32)
    alone, narrow, wide = make(), make() & _Left(), make() | _Left()
    left = _Left().decide(next(frames()), _state(grid, (96, 160)))
    alone_masks, narrow_masks, wide_masks = map(_decisions, (alone, narrow, wide))
    for mask, both, either in zip(alone_masks, narrow_masks, wide_masks, strict=True):
        assert np.array_equal(both, mask & left.active), "policy & other is not the overlap"
        assert np.array_equal(either, mask | left.active), "policy | other is not the union"


def check_threshold_saves(make: MakePolicy) -> None:
    """A larger threshold computes no more: whoever holds a stream at a target relies on it."""
    if (given := make().threshold) is None:
        return
    counts = {scale: _computed(make(), given * scale) for scale in (1e-3, 1e3)}
    assert counts[1e3] <= counts[1e-3], (
        f"with a threshold of {given * 1e3:g} it computes {counts[1e3]} blocks, "
        f"with {given * 1e-3:g} only {counts[1e-3]}"
    )


CHECKS: tuple[Callable[[MakePolicy], None], ...] = (
    check_decides_on_the_given_grid,
    check_leaves_frame_and_state_alone,
    check_reset_forgets,
    check_serves_every_task,
    check_combines,
    check_threshold_saves,
)


def check_policy(make: MakePolicy) -> list[str]:
    """Run every check; return what failed, an empty list if the policy keeps the contract."""
    failures = []
    for check in CHECKS:
        try:
            check(make)
        except Exception as error:
            what = str(error) if isinstance(error, AssertionError) else repr(error)
            failures.append(f"{check.__name__.removeprefix('check_').replace('_', ' ')}: {what}")
    return failures


class PolicyContract(ABC):
    """The checks as a pytest class: inherit it, and say how to make the policy."""

    @abstractmethod
    def make(self) -> Policy:
        """A new policy."""

    def test_decides_on_the_given_grid(self) -> None:
        check_decides_on_the_given_grid(self.make)

    def test_leaves_frame_and_state_alone(self) -> None:
        check_leaves_frame_and_state_alone(self.make)

    def test_reset_forgets(self) -> None:
        check_reset_forgets(self.make)

    def test_serves_every_task(self) -> None:
        check_serves_every_task(self.make)

    def test_combines(self) -> None:
        check_combines(self.make)

    def test_threshold_saves(self) -> None:
        check_threshold_saves(self.make)


class _Left(Policy):
    def decide(self, frame: Frame, state: StreamState) -> BlockMask:
        mask = state.grid.none()
        mask.active[:, 0] = True
        return mask


def _state(grid: BlockGrid, size: tuple[int, int]) -> StreamState:
    return StreamState.start(grid, next(frames(size=size)), results(size)[0])


def _states(
    policy: Policy, grid: BlockGrid, size: tuple[int, int]
) -> Iterator[tuple[Frame, StreamState]]:
    """Frames 1 to 11 with the state before each, as if every other frame were computed."""
    policy.reset()
    state = _state(grid, size)
    for before, frame in pairwise(frames(size=size)):
        if before.index:
            mask = grid.all() if before.index % 2 else grid.none()
            state.advance(before, mask, state.result)
        yield frame, state


def _decisions(policy: Policy) -> list[NDArray[np.bool_]]:
    grid = BlockGrid(96, 160, 32)
    return [policy.decide(frame, state).active for frame, state in _states(policy, grid, (96, 160))]


def _computed(policy: Policy, threshold: float) -> int:
    """The blocks that a policy computes with such a threshold, the first frame not counted."""
    policy.threshold = threshold
    predictions = Pipeline(StillModel(), policy).run(frames())
    masks = [prediction.mask for prediction in predictions if prediction.index]
    return sum(int(mask.active.sum()) for mask in masks if mask is not None)
