"""What a spec may be: folders, globs, lists, images, cameras, synthetic scenes; and mistakes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamdyn.errors import SourceError
from streamdyn.sources import open_source
from streamdyn.sources.base import Options
from streamdyn.sources.synthetic import SyntheticSource
from streamdyn.sources.webcam import Webcam
from tests.media_factory import numbered_image, read_number, write_video

SHORT = range(0, 200, 40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """b/cam.mp4, a/cam.mp4, a/cam.mkv, a/cam10.mp4, a/cam9.mp4, and files that are no videos."""
    for name in ("b/cam.mp4", "a/cam.mp4", "a/cam.mkv", "a/cam10.mp4", "a/cam9.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write_video(path, times=SHORT)
    (tmp_path / "a" / "notes.md").write_text("not a video")
    (tmp_path / "a" / ".hidden.mp4").write_bytes(b"")
    return tmp_path


def write_images(folder: Path, numbers: range, name: str = "img_{:04d}.png") -> None:
    for number in numbers:
        image = numbered_image(number, 48, 64)
        assert cv2.imwrite(str(folder / name.format(number)), image[..., ::-1])


def test_a_folder_has_a_stream_for_each_video(folder: Path) -> None:
    source = open_source(folder / "a")
    names = [stream.name for stream in source.streams]
    assert names == ["a-cam", "a-cam-2", "cam9", "cam10"]
    frames = list(source)
    assert [frame.stream for frame in frames] == [name for name in names for _ in SHORT]
    assert source.report.decoded == 20
    assert [stream.report.decoded for stream in source.streams] == [5] * 4
    assert not source.live
    assert source.info().name == "a"


def test_a_glob_goes_down_and_keeps_names_apart(folder: Path) -> None:
    source = open_source(str(folder / "**" / "cam.*"))
    assert [stream.name for stream in source.streams] == ["a-cam", "a-cam-2", "b-cam"]
    assert [Path(stream.url).suffix for stream in source.streams] == [".mkv", ".mp4", ".mp4"]


def test_long_names_stay_apart(tmp_path: Path) -> None:
    for ending in ("north", "south"):
        write_video(tmp_path / f"{'x' * 100}-{ending}.mp4", times=SHORT)
    names = [stream.name for stream in open_source(tmp_path).streams]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= 100


def test_a_list_is_relative_to_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = folder / "cameras.txt"
    lines = ["\ufeff# two doors", "a/cam.mp4  ", "", "synthetic:square?frames=3", "b"]
    listing.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir("/")
    source = open_source(listing)
    assert [stream.name for stream in source.streams] == ["a-cam", "square", "b-cam"]
    assert sum(1 for _ in source) == 5 + 3 + 5


def test_selection_goes_to_each_stream(folder: Path) -> None:
    source = open_source(folder / "a", stride=2, max_frames=2)
    assert [frame.index for frame in source] == [0, 2] * 4


def test_a_name_suits_one_stream_only(folder: Path) -> None:
    assert open_source(folder / "b", name="door").streams[0].name == "door"
    assert open_source(folder / "b" / "cam.mp4", name="the door").name == "the_door"
    with pytest.raises(SourceError, match="name is for a single stream"):
        open_source(folder / "a", name="door")


@pytest.mark.parametrize("spec", ["", "*.png", "img_%04d.png", "img_%d.png"])
def test_images_are_one_stream(tmp_path: Path, spec: str) -> None:
    write_images(tmp_path, range(8, 14))
    source = open_source(tmp_path / spec, fps=10)
    (stream,) = source.streams
    frames = list(stream)
    assert [read_number(frame.luma) for frame in frames] == list(range(8, 14))
    assert [frame.pts_seconds for frame in frames] == pytest.approx(np.arange(6) / 10)
    np.testing.assert_array_equal(frames[0].image, numbered_image(8, 48, 64))
    assert frames[0].motion is None
    info = source.info()
    assert (info.claimed_fps, info.size, info.kind) == (10, (48, 64), "images")


def test_images_are_sorted_by_number(tmp_path: Path) -> None:
    write_images(tmp_path, range(8, 12), "img{}.png")
    assert [read_number(frame.luma) for frame in open_source(tmp_path)] == [8, 9, 10, 11]


def test_a_pattern_takes_numbers_that_outgrow_it(tmp_path: Path) -> None:
    write_images(tmp_path, range(98, 102), "img{:02d}.png")
    frames = open_source(tmp_path / "img%02d.png")
    assert [read_number(frame.luma) for frame in frames] == [98, 99, 100, 101]


def test_an_image_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    write_images(tmp_path, range(4))
    (tmp_path / "img_0001.png").write_bytes(b"")
    (tmp_path / "img_0002.png").write_bytes(b"\x89PNG nothing")
    source = open_source(tmp_path, fps=1)
    assert [frame.pts_seconds for frame in source] == [0, 3]
    assert [(d.start_seconds, d.end_seconds) for d in source.report.damage] == [(1, 2), (2, 3)]
    assert "img_0001.png" in source.report.damage[0].what


def test_start_skips_images(tmp_path: Path) -> None:
    write_images(tmp_path, range(10))
    frames = list(open_source(tmp_path, fps=10, start=0.3))
    assert [(frame.index, frame.pts_seconds) for frame in frames][:2] == [(0, 0.3), (1, 0.4)]
    assert read_number(frames[0].luma) == 3


def test_grey_images_and_single_ones(tmp_path: Path) -> None:
    grey = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    assert cv2.imwrite(str(tmp_path / "one.tiff"), grey * 16)
    (frame,) = open_source(tmp_path / "one.tiff")
    assert frame.image.shape == (48, 64, 3)
    np.testing.assert_array_equal(frame.image[..., 0], frame.luma)


def test_a_synthetic_scene_with_its_truth() -> None:
    source = open_source("synthetic:square?frames=6&height=40&width=60&step=3", start=0.04)
    assert isinstance(source, SyntheticSource)
    frames = list(source)
    assert len(frames) == 5
    for frame in frames:
        left, top, right, bottom = source.truth(frame.index).box
        assert (frame.image[top:bottom, left:right] == 230).all()
        np.testing.assert_array_equal(frame.image, source.truth(frame.index).image)
    assert source.truth(0).box[0] == 3


def test_streets_are_there_too() -> None:
    source = open_source("synthetic:street?seed=3&height=64&width=96&frames=2&pan=0")
    assert isinstance(source, SyntheticSource)
    assert [frame.size for frame in source] == [(64, 96)] * 2
    assert source.truth(1).labels.shape == (64, 96)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("synthetic:circle", "there is no synthetic:circle; there is square, street"),
        ("synthetic:square?sped=3", "there is no option 'sped'; it takes seed=0"),
        ("synthetic:square?step=fast", "step must be of type int, got 'fast'"),
        ("synthetic:square?frames=0", "must be more than 0"),
        ("ftp://host/a.mp4", "the scheme ftp:// is not known"),
        ("file:///etc/passwd", "give a file by its path"),
        ("webcam:77", "there is no camera webcam:77"),
        ("77", "there is no camera webcam:77"),
        ("/dev/video77", "there is no camera /dev/video77"),
        ("no/such/clip.mp4", "no folder no/such"),
        ("a" * 300, "File name too long"),
        (
            "nothing-*.mp4",
            f"no file matches nothing-*.mp4; look what there is in {Path().absolute()}",
        ),
        ("no/such/**/*.mp4", "no file matches no/such/**/*.mp4: there is no folder no/such;"),
    ],
)
def test_mistakes_are_named(spec: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        list(open_source(spec))
    assert message in str(caught.value)


def test_mistakes_in_folders_and_lists(folder: Path) -> None:
    empty = folder / "empty"
    empty.mkdir()
    listing = folder / "list.txt"
    with pytest.raises(SourceError, match=r"the folder .*empty has no video and no image"):
        open_source(empty)
    (empty / "note.doc").write_text("")
    with pytest.raises(SourceError, match=r"is no video and no image .*, such as .*note\.doc$"):
        open_source(empty / "*.doc")
    with pytest.raises(SourceError, match=r"did you mean .*cam10\.mp4\?"):
        open_source(folder / "a" / "kam10.mp4")
    listing.write_text("a/cam.mp4\nc/cam.mp4\n")
    with pytest.raises(SourceError, match=r"list\.txt, line 2: there is no .*c/cam\.mp4"):
        open_source(listing)
    listing.write_text("# nothing\n")
    with pytest.raises(SourceError, match="lists no source"):
        open_source(listing)
    listing.write_text("list.txt\n")
    with pytest.raises(SourceError, match="a list cannot name another"):
        open_source(listing)
    listing.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SourceError, match="not a text file"):
        open_source(listing)
    with pytest.raises(SourceError, match="there is no folder"):
        open_source(folder / "none" / "img_%d.png")
    with pytest.raises(SourceError, match=r"no file in .* is of the form img_%d\.png"):
        open_source(folder / "a" / "img_%d.png")


@pytest.mark.parametrize(
    "arguments",
    [
        {"start": -1},
        {"start": float("nan")},
        {"duration": 0},
        {"stride": 0},
        {"max_fps": 0},
        {"max_frames": 0},
        {"fps": -5},
        {"threads": 0},
        {"timeout_seconds": 0},
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, float]) -> None:
    (name,) = arguments
    with pytest.raises(SourceError, match=name):
        open_source("synthetic:square", **arguments)


def test_a_start_behind_the_end(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    for spec in (path, "synthetic:square?frames=30"):
        with pytest.raises(SourceError, match="no frame 9 s after its beginning"):
            list(open_source(spec, start=9))


def test_file_names_are_taken_literally(tmp_path: Path) -> None:
    for name in ("50%d.mp4", "a[1].mp4", "concat:x.mp4", "what?.mp4", " .mp4"):
        path = write_video(tmp_path / "plain.mp4", times=SHORT).rename(tmp_path / name)
        assert sum(1 for _ in open_source(path)) == 5, name


def test_a_webcam_has_times_of_its_own(tmp_path: Path) -> None:
    """OpenCV reads a file as it would a camera."""
    path = write_video(tmp_path / "camera.avi", codec="mpeg4", size=(64, 96))
    camera = Webcam(str(path), Options(live=False))
    frames = []
    with pytest.raises(SourceError, match="was lost"):
        frames.extend(camera)
    assert [read_number(frame.luma) for frame in frames] == list(range(30))
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert frames[0].pts_seconds == 0
    assert (np.diff([frame.pts_seconds for frame in frames]) > 0).all()
    assert camera.info().size == (64, 96)
    assert Webcam(0, Options()).live
