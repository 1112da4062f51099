"""Random access for offline work: the frames of a video at given times, in any order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SourceError
from streamdyn.sources.opening import require_path
from streamdyn.types import Frame

Backend = Literal["pyav", "decord", "torchcodec"]
_BACKENDS: tuple[Backend, ...] = ("pyav", "decord", "torchcodec")

# Forgives times that were rounded to microseconds, as programs print them.
_EPSILON_SECONDS = 1e-6


class Clip(ABC):
    """A video file whose frames can be had by their times.

    Frames have the same index, time and pixels as when the file is read from its beginning; but
    where the file is damaged, the index counts the pictures that it should hold.
    """

    times: NDArray[np.float64]  # (N,) when each picture is shown, in seconds, increasing

    def __len__(self) -> int:
        return len(self.times)

    def frames_at(self, seconds: Sequence[float]) -> list[Frame]:
        """The frame that a player shows at each time: the last that came until then.

        A time before the first frame gives the first one. Give many times at once: they are read
        in order, whatever order they are given in.

        Raises:
            ValueError: a time is not a number.
            SourceError: the file cannot be decoded there.
        """
        times = np.asarray(seconds, np.float64)
        if not np.isfinite(times).all():
            raise ValueError(f"times must be numbers, got {list(seconds)}")
        shown = np.searchsorted(self.times, times + _EPSILON_SECONDS, side="right") - 1
        indices = np.maximum(shown, 0).tolist()
        wanted = sorted(set(indices))
        frames = dict(zip(wanted, self._read(wanted), strict=True))
        return [frames[index] for index in indices]

    @abstractmethod
    def _read(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames of increasing indices."""


def import_backend(module: str) -> ModuleType:
    """Import the library of a backend.

    Raises:
        SourceError: it is not installed, or does not work here.
    """
    backend = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise SourceError(
            f"backend {backend!r} is not installed; pip install 'streamdyn[{backend}]'"
        ) from None
    except (ImportError, OSError, RuntimeError) as error:  # torchcodec looks for FFmpeg's libraries
        reason = str(error).strip().partition("\n")[0]
        raise SourceError(f"backend {backend!r} does not work on this machine: {reason}") from None


def open_clip(path: str | Path, backend: Backend = "pyav", *, name: str | None = None) -> Clip:
    """Open a video file for random access.

    Args:
        backend: the library that decodes. PyAV always works. The others must be installed; they
            give the same frames, or refuse the file.
        name: of the stream; by default that of the file.

    Raises:
        SourceError: the file cannot be read, or not by this backend.
    """
    path = require_path(Path(path))
    if backend not in _BACKENDS:
        raise SourceError(f"there is no backend {backend!r}; there is {', '.join(_BACKENDS)}")
    module = import_module(f"streamdyn.sources.access_{backend}")
    clip: Clip = module.open_backend(path, name or path.stem)
    return clip
