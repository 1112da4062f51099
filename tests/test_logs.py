"""What a process logs: no password, wherever it comes from."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import logging
from streamdyn.logs import redact_logs

redact_logs()
log = logging.getLogger("anything")
log.warning("cannot open %s: %d times", "rtsp://me:hush@camera/", 3)
try:
    raise RuntimeError("rtsp://me:hush@camera/?token=hush")
except RuntimeError:
    log.exception("broke at http://me:hush@camera/")
log.error("without %s", "a trace", exc_info=True)
"""


def test_no_message_and_no_traceback_shows_a_password():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert "hush" not in done.stdout + done.stderr
    assert "cannot open rtsp://***@camera/: 3 times" in done.stderr
    assert "RuntimeError: rtsp://***@camera/?token=***" in done.stderr
    assert "broke at http://***@camera/" in done.stderr
