"""The dry run of a configuration: `streamdyn check CONFIG.yaml`."""

import socket
import threading

from streamdyn.cli import main
from tests.serve_kit import SECRET, write_config

GOOD = "synthetic:street?height=64&width=96&frames=6&seed=3"
FREE_PORT = 1  # nothing listens there


def check(folder, text):
    return main(["check", str(write_config(folder, text))])


def test_what_can_be_served_is_shown(tmp_path, capsys):
    text = (
        f"output: {tmp_path}/out\nstreams:\n  a: {{source: '{GOOD}', save: [jsonl, csv, video]}}\n"
    )
    text += f"  b: {{source: '{GOOD}', live: true, policy: Interval}}\n"
    assert check(tmp_path, text) == 0
    shown = capsys.readouterr().out
    assert "file, 96x64 px" in shown
    assert "live, 96x64 px" in shown
    assert "2 streams, 0 failures" in shown
    assert not (tmp_path / "out").exists()


def test_every_part_that_fails_is_told_with_its_line(tmp_path, capsys):
    text = f"""\
defaults:
  policy: Chnage
streams:
  a:
    source: nowhere.mp4
    policy: Change
  b:
    source: '{GOOD}'
    save: [jsonl, jsno]
  c:
    source: '{GOOD}'
    policy: Change
    model: stret
  d:
    source: rtsp://admin:{SECRET}@127.0.0.1:{FREE_PORT}/x
    policy: Change
    model: stret
output: {tmp_path}
"""
    assert check(tmp_path, text) == 1
    shown = capsys.readouterr()
    at = f"FAIL  {tmp_path}/cameras.yaml, line"
    for told in (
        f"{at} 5: streams.a.source: there is no nowhere.mp4",
        f"{at} 2: defaults.policy: (for b) policy 'Chnage'",
        f"{at} 9: streams.b.save: results cannot be saved as 'jsno'; did you mean jsonl?",
        f"{at} 13: streams.c.model: ",
        f"{at} 15: streams.d.source: ",
        f"{at} 17: streams.d.model: ",
    ):
        assert told in shown.err
    assert "4 streams, 6 failures" in shown.out
    assert SECRET not in shown.out + shown.err
    assert "Traceback" not in shown.err


def test_a_wrong_form_is_told_before_anything_is_tried(tmp_path, capsys):
    assert check(tmp_path, "streams:\n  a: {source: nowhere.mp4, fps: x}") == 1
    assert "line 2: streams.a.fps: " in capsys.readouterr().err


def test_cameras_that_say_nothing_are_asked_side_by_side(tmp_path, capsys):
    """Each is asked while the others are: it takes all connections for any to be let go."""
    with socket.create_server(("127.0.0.1", 0)) as camera:
        port = camera.getsockname()[1]
        waiting = []

        def accept():
            for _ in range(3):
                waiting.append(camera.accept()[0])
            for connection in waiting:
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        streams = "".join(f"  c{n}: {{source: 'tcp://127.0.0.1:{port}'}}\n" for n in range(3))
        assert check(
            tmp_path, f"output: {tmp_path}\ndefaults: {{timeout: 60}}\nstreams:\n{streams}"
        )
        thread.join()
    assert capsys.readouterr().err.count("source: ") == 3


def test_an_output_that_is_a_file_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert check(tmp_path, f"\noutput: {tmp_path}/file") == 1
    assert f"line 2: output: {tmp_path}/file is no folder" in capsys.readouterr().err
