"""The pixels of video files: upright, in the right colours, and not copied where none asks."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from streamdyn.sources import open_source
from tests.media_factory import numbered_image, read_number, write_video


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), lambda image: np.rot90(image)),
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
    ],
)
def test_pictures_stand_upright(tmp_path: Path, matrix, upright) -> None:
    path = write_video(tmp_path / "flat.mp4", b_frames=2)
    flat = list(open_source(path, motion=True))
    a, b, c, d = (value << 16 for value in matrix)
    data = path.read_bytes()
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    place = data.index(identity, data.index(b"tkhd"))
    turned = data[:place] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[place + 36 :]
    path.write_bytes(turned)
    frames = list(open_source(path, motion=True))
    assert len(frames) == len(flat)
    for frame, before in zip(frames, flat, strict=True):
        np.testing.assert_array_equal(frame.image, upright(before.image))
        np.testing.assert_array_equal(frame.luma, upright(before.luma))
        assert frame.size == frame.luma.shape == frame.image.shape[:2]
    info = open_source(path).info()
    assert info.size == frames[0].size


@pytest.mark.parametrize("size", [(1, 1), (17, 31), (2, 64), (48, 64)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "gray", "gray16le", "bgr0"])
def test_odd_sizes_and_formats(tmp_path: Path, size: tuple[int, int], pixel_format: str) -> None:
    path = write_video(
        tmp_path / "odd.mkv", size=size, codec="ffv1", pixel_format=pixel_format, times=range(5)
    )
    frames = list(open_source(path))
    assert len(frames) == 5
    for number, frame in enumerate(frames):
        assert frame.size == size
        assert frame.luma.shape == size
        assert frame.luma.dtype == frame.image.dtype == np.uint8
        assert frame.image.shape == (*size, 3)
        if size[1] >= 16:
            assert read_number(frame.luma) == number


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
def test_image_is_the_picture_that_was_encoded(tmp_path: Path, pixel_format: str) -> None:
    path = write_video(
        tmp_path / "exact.mkv", codec="ffv1", pixel_format=pixel_format, times=range(3)
    )
    for number, frame in enumerate(open_source(path)):
        expected = numbered_image(number, *frame.size).astype(int)
        if pixel_format == "gray":
            expected = np.repeat(expected.mean(axis=2, keepdims=True), 3, axis=2)
        error = np.abs(frame.image - expected)
        assert error.mean() < 6  # the bars' edges and the colours of the pattern are subsampled
        assert np.median(error) <= 2


def test_colour_matrix_and_range_are_those_of_the_frame(tmp_path: Path) -> None:
    """The same colour in two matrices, limited and full range, comes out the same."""
    import av

    expected = np.array([200, 60, 90])
    for space, full in [(1, False), (1, True), (5, False), (5, True)]:  # BT.709, BT.601
        path = tmp_path / f"{space}-{full}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=25)
            stream.width = stream.height = 16
            stream.pix_fmt = "yuv444p"
            stream.codec_context.colorspace = space
            stream.codec_context.color_range = 2 if full else 1
            image = np.full((16, 16, 3), expected, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
                format="yuv444p", dst_colorspace=space, dst_color_range=2 if full else 1
            )
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        (frame,) = open_source(path)
        assert np.abs(frame.image.reshape(-1, 3).mean(axis=0) - expected).max() <= 3, path.name


def test_luma_is_a_view_of_the_decoders_plane(tmp_path: Path) -> None:
    frames = list(open_source(write_video(tmp_path / "a.mp4", size=(34, 50), times=range(3))))
    for frame in frames:
        assert not frame.luma.flags.owndata
        assert not frame.luma.flags.c_contiguous  # lines are longer in the decoder
        assert frame.luma is frame.luma


def test_pixels_cannot_be_written(tmp_path: Path) -> None:
    """The decoder predicts later pictures from the plane that `luma` shows."""
    path = write_video(tmp_path / "a.mp4", times=range(0, 200, 40))
    expected = [frame.luma.copy() for frame in open_source(path)]
    for frame, luma in zip(open_source(path), expected, strict=True):
        np.testing.assert_array_equal(frame.luma, luma)
        for pixels in (frame.luma, frame.image):
            with pytest.raises(ValueError, match="read-only"):
                pixels[:] = 0


def test_a_real_rotated_clip_looks_as_in_ffmpeg(media: Path) -> None:
    clip = media / "rotated-90.mov"
    ffmpeg = shutil.which("ffmpeg")
    assert ffmpeg, "this test needs ffmpeg: apt-get install ffmpeg"
    command = [ffmpeg, "-v", "error", "-i", str(clip), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    shown = subprocess.run(command, capture_output=True, check=True).stdout
    images = np.stack([frame.image for frame in open_source(clip)])
    assert images.shape == (3, 568, 320, 3)
    expected = np.frombuffer(shown, np.uint8).reshape(images.shape)
    assert np.abs(images.astype(int) - expected).max() <= 2


def test_only_the_picture_that_is_read_is_converted(tmp_path: Path) -> None:
    frame = next(iter(open_source(write_video(tmp_path / "a.mp4"))))
    assert "image" not in vars(frame)
    assert frame.luma.shape == (48, 64)
    assert "image" not in vars(frame)
