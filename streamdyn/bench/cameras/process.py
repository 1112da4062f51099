"""A server that runs as a process of its own, and ends with the process that started it."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from streamdyn.bench.cameras.ports import answers, free_port

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0


class ServerProcess(ABC):
    """A server on one port, which it keeps when it is started again.

    Start it from a thread that lives as long as the server: the kernel ends it with that thread.

    Attributes:
        port: where it answers.
        folder: its own, for files that go with it.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name)
        self._log = self.folder / "log"

    @abstractmethod
    def command(self) -> list[str]:
        """What runs the server. Its first word is found in PATH or is a path."""

    def request(self) -> bytes:
        """What the server reads from its standard input, once."""
        return b""

    def start(self) -> None:
        """Start, and wait until the port answers.

        Raises:
            RuntimeError: it ended instead, or does not answer.
        """
        request = self.folder / "request"
        request.write_bytes(self.request())
        with request.open("rb") as told, self._log.open("ab") as log:
            command = ["setpriv", "--pdeathsig", "KILL", *self.command()]
            self._process = subprocess.Popen(command, stdin=told, stdout=log, stderr=log)
        try:
            self._wait_for_answer(self._process)
        except RuntimeError:
            self.close()
            raise

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is not None:
            self.thaw()
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop, if it runs, and start on the same port."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it hang: connections stay open, nothing comes."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """End what `freeze` began."""
        self._running().send_signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        """The process that runs now."""
        return self._running().pid

    def log(self) -> str:
        """What all its runs have printed."""
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{type(self).__name__} does not run; start() it first")
        return self._process

    def _wait_for_answer(self, process: subprocess.Popen[bytes]) -> None:
        name, deadline = Path(self.command()[0]).name, monotonic() + _START_SECONDS
        while not answers(self.port):
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with code {process.returncode}:\n{self.log()}")
            if monotonic() > deadline:
                raise RuntimeError(f"{name} does not answer on port {self.port}:\n{self.log()}")
            sleep(0.02)
