"""The command. Each module here is one subcommand: `add_arguments` and `run`.

Nothing heavy is imported before a subcommand runs, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from importlib.metadata import version
from types import FrameType

from streamdyn.cli import bench, check, demo, inspect, policies, run, serve, status, view
from streamdyn.errors import StreamdynError, redact
from streamdyn.logs import redact_logs

COMMANDS = {
    "demo": demo,
    "run": run,
    "serve": serve,
    "status": status,
    "view": view,
    "inspect": inspect,
    "policies": policies,
    "check": check,
    "bench": bench,
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code.

    0 is success, 1 a failure that is explained on stderr, 2 a wrong command line, 130 a stop by
    Ctrl-C or SIGTERM.
    """
    parser = argparse.ArgumentParser(
        "streamdyn",
        description="Run video models and recompute only what matters.",
    )
    parser.add_argument("--version", action="version", version=f"streamdyn {version('streamdyn')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        what = (module.__doc__ or "").strip().splitlines()[0]
        subparser = commands.add_parser(name, help=what, description=what)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    options = parser.parse_args(argv)
    redact_logs()
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code: int = options.run(options)
    except StreamdynError as error:
        print(f"streamdyn: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"streamdyn: {redact(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("streamdyn: interrupted", file=sys.stderr)
        return 130
    return code


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
