"""Run many streams from a configuration file, until stopped."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from streamdyn.errors import StreamdynError

if TYPE_CHECKING:
    from streamdyn.serve.config import Config
    from streamdyn.serve.supervisor import Service
    from streamdyn.status.live import Lines

POLL_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="see docs/serve.md")
    parser.add_argument(
        "--ray",
        metavar="WHERE",
        help="local, auto (a cluster that runs here) or its address (default: as the file says)",
    )
    parser.add_argument(
        "--status", type=Path, metavar="FILE", help="write the figures to it as JSON, each second"
    )
    parser.add_argument("--no-table", action="store_true", help="show lines instead of a table")


def run(options: argparse.Namespace) -> int:
    """Serve until stopped, or all streams have ended; return 1 if one failed."""
    from rich.console import Console

    from streamdyn.serve.config import Config
    from streamdyn.status.live import Lines

    config = Config.read(options.config)
    lines = Lines(Console())
    supervisor = _supervisor(config, options.ray or config.settings.ray, lines)
    return serve(supervisor, config, lines, status=options.status, table=not options.no_table)


def serve(
    supervisor: Service,
    config: Config,
    lines: Lines,
    *,
    status: Path | None = None,
    table: bool = True,
) -> int:
    """Run what the file and the API say, until interrupted or all streams have ended.

    Args:
        status: the file of the figures.
        table: whether to show them as a table, where there is a terminal.

    Returns:
        1 if a stream failed, or could not be started; else 0.
    """
    from streamdyn.serve.control import Control
    from streamdyn.serve.server import Server
    from streamdyn.serve.watch import Watch
    from streamdyn.status import StatusFile
    from streamdyn.status.live import LiveStatus

    path = config.document.path
    control = Control(supervisor, config)
    watch = Watch(path, control.apply, lines.say)  # what is edited from here on is heard of
    with ExitStack() as afterwards, supervisor:
        afterwards.callback(_show, lines, supervisor)
        if status:
            afterwards.enter_context(StatusFile(status, supervisor.status))
        with (
            Server(control, config.settings.http) as server,
            LiveStatus(lines.console, supervisor.status, table=table),
            watch,
        ):
            lines.say(f"{server.url} has the status, the metrics and the API")
            started = control.start()
            lines.say(f"{path}: {started}")
            while not (control.streams and supervisor.wait(POLL_SECONDS)):
                if not control.streams:
                    time.sleep(POLL_SECONDS)  # for the file or the API to name one
    failed = [s.name for s in supervisor.status().streams if s.state == "failed"]
    return 1 if failed or started.failed.keys() - control.streams.keys() else 0


def _supervisor(config: Config, ray: str, lines: Lines) -> Service:
    try:
        from streamdyn.cluster import Supervisor
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("streamdyn"):
            raise
        raise StreamdynError(
            f"serve needs {error.name}, which is not installed; pip install 'streamdyn[serve]'"
        ) from None
    settings = config.settings
    output = Path(settings.output)
    folder = output / f"{datetime.now():%Y%m%d-%H%M%S}"
    lines.say(f"results go to {folder}")
    spool = output / "spool"  # of all starts: what waits at the end of one is sent by the next
    return Supervisor(
        settings.engine_settings(),
        folder,
        ray,
        lines.event,
        streams=len(config.streams),
        spool=spool,
    )


def _show(lines: Lines, supervisor: Service) -> None:
    from streamdyn.status.table import Explanations, StatusTable

    status = supervisor.status()
    lines.console.print(StatusTable(status))
    lines.console.print(Explanations(status), soft_wrap=True)
