"""What flows through a pipeline: frames in, results out. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamdyn.blocks import BlockMask
from streamdyn.windows import patches

Task = Literal["recognition", "detection", "segmentation"]
Status = Literal["computed", "reused"]
Scalar = TypeVar("Scalar", bound=np.generic)


def read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """A view that cannot be written; the array itself stays as it is."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True)
class MotionVectors:
    """Where the blocks of a picture came from, as the codec saw it. Pixels of the upright frame."""

    boxes: NDArray[np.int32]  # (N, 4) x1 y1 x2 y2 of each block in this frame
    shifts: NDArray[np.float32]  # (N, 2) dx dy from where the block was to where it is


class Pixels(Protocol):
    """Where a frame's pixels come from; each is made when it is first read."""

    def luma(self) -> NDArray[np.uint8]: ...
    def image(self) -> NDArray[np.uint8]: ...
    def motion(self) -> MotionVectors | None: ...

    def patches(self, corners: NDArray[np.intp], size: tuple[int, int]) -> NDArray[np.uint8] | None:
        """Exactly what `image` shows there, made without the rest; None if that is not possible."""


class Frame:
    """One picture of one stream. Its pixels are made when first read, and cannot be written."""

    def __init__(
        self,
        pixels: Pixels,
        *,
        index: int,
        pts_seconds: float,
        size: tuple[int, int],
        stream: str,
        key_frame: bool = True,
        captured_at: float | None = None,
    ) -> None:
        self._pixels = pixels
        self.index = index  # position in the stream, from 0
        self.pts_seconds = pts_seconds  # presentation time, as the container says
        self.size = size  # (height, width) in pixels, upright
        self.stream = stream
        self.key_frame = key_frame  # coded by itself, as all are of a source that is not coded
        self.captured_at = captured_at  # of a live source: when it was decoded, as time.time()

    @classmethod
    def from_image(
        cls, image: NDArray[np.uint8], *, index: int, pts_seconds: float, stream: str = ""
    ) -> Frame:
        """A frame of an RGB picture (H, W, 3), which it reads but does not copy.

        Raises:
            ValueError: the image is not (H, W, 3) uint8, or has no pixels.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"an image is (H, W, 3) uint8, got {image.shape} {image.dtype}")
        height, width, _ = image.shape
        return cls(
            _ImagePixels(image),
            index=index,
            pts_seconds=pts_seconds,
            size=(height, width),
            stream=stream,
        )

    @cached_property
    def luma(self) -> NDArray[np.uint8]:
        """Brightness (H, W): a view of the decoder's own plane where there is one."""
        # Later pictures are predicted from that plane: writing to it would spoil them.
        return read_only(self._pixels.luma())

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The picture (H, W, 3) in RGB."""
        return read_only(self._pixels.image())

    def patches(self, corners: NDArray[np.intp], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Parts of the picture, exactly as `image` shows them; cheaper where they are small.

        Args:
            corners: (N, 2), top and left of each; it lies on the picture whole.
            size: (height, width) of all of them.

        Returns:
            (N, height, width, 3) in RGB.
        """
        found = None
        if len(corners) and "image" not in vars(self):
            found = self._pixels.patches(corners, size)
        return patches(self.image, corners, size) if found is None else found

    @cached_property
    def motion(self) -> MotionVectors | None:
        """The bitstream's motion vectors; None where the codec or the picture has none."""
        return self._pixels.motion()

    def __repr__(self) -> str:
        height, width = self.size
        return f"Frame({self.stream!r}, {self.index}, {self.pts_seconds:.3f} s, {height}x{width})"


@dataclass(frozen=True, slots=True)
class _ImagePixels:
    rgb: NDArray[np.uint8]

    def luma(self) -> NDArray[np.uint8]:
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        luma: NDArray[np.uint8] = np.rint(self.rgb @ weights).astype(np.uint8)
        return luma

    def image(self) -> NDArray[np.uint8]:
        return self.rgb

    def patches(self, corners: NDArray[np.intp], size: tuple[int, int]) -> NDArray[np.uint8]:
        return patches(self.rgb, corners, size)

    def motion(self) -> None:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """What a frame shows: the best classes, best first."""

    labels: NDArray[np.int64]  # (K,)
    scores: NDArray[np.float32]  # (K,) in [0, 1]
    names: tuple[str, ...]  # K names

    task: Task = field(default="recognition", init=False)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What stands where in a frame."""

    boxes: NDArray[np.float32]  # (N, 4) x1 y1 x2 y2 in pixels of the upright frame
    scores: NDArray[np.float32]  # (N,) in [0, 1]
    labels: NDArray[np.int64]  # (N,)
    names: tuple[str, ...]  # N names

    task: Task = field(default="detection", init=False)

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """The class of each pixel of a frame."""

    labels: NDArray[np.uint8]  # (H, W)
    classes: tuple[str, ...]  # name of each class
    # What the network said of the picture (classes, h, w), before the largest was chosen, at its
    # own resolution; None where only the labels are known.
    logits: NDArray[np.float32] | None = field(default=None, repr=False)

    task: Task = field(default="segmentation", init=False)


Result = Classification | Detections | Segmentation


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Where the time of one frame went."""

    decode: float = 0.0
    policy: float = 0.0
    model: float = 0.0
    wait: float = 0.0  # for an engine that serves other streams too, and on the way there and back
    setup: float = 0.0  # to make the network ready for a stream: of its first frame, and no latency
    audit: float = 0.0  # after the frame before this one was told: no latency either


@dataclass(frozen=True, slots=True)
class Audit:
    """A frame that was computed whole as well, beside the stream, to see how good its result is."""

    index: int  # of the frame
    agreement: float  # of its result with the dense model's, in [0, 1]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a pipeline says of one frame: there is one for each frame, skipped or not."""

    stream: str
    index: int  # of the frame in its stream
    pts_seconds: float
    status: Status  # "reused": nothing was computed, the result is that of an older frame
    age_frames: int  # frames since the result was last computed, 0 when it was now
    age_seconds: float
    density: float  # fraction of blocks computed, in [0, 1]
    share: float  # fraction of the model's multiply-accumulates computed, in [0, 1]
    latency_seconds: float  # from the decoded frame to the result
    result: Result
    fault: str | None = None  # what the policy did wrong; a decision that failed is replaced by all
    audit: Audit | None = None  # made since the prediction before this one, of that frame
    mask: BlockMask | None = field(default=None, repr=False, compare=False)
    seconds: StageSeconds = field(default=StageSeconds(), repr=False, compare=False)
