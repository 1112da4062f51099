"""What stands for the pixels of a frame that is counted, but not decoded."""

from __future__ import annotations

from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from streamdyn.errors import SourceError


class Undecoded:
    """The pixels of a frame that was counted, but not decoded."""

    __slots__ = ()

    def luma(self) -> NDArray[np.uint8]:
        self._refuse()

    def image(self) -> NDArray[np.uint8]:
        self._refuse()

    def patches(self, corners: NDArray[np.intp], size: tuple[int, int]) -> NDArray[np.uint8]:
        self._refuse()

    def motion(self) -> None:
        return None

    def _refuse(self) -> NoReturn:
        raise SourceError(
            "a frame has no pixels: it is no key frame, and its source was opened with "
            "key_frames=True; read only frames whose key_frame is true, or open it without"
        )


UNDECODED: Final = Undecoded()
