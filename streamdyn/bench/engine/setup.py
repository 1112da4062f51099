"""How long a fresh process takes until a network is ready: kernels to compile, or on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from streamdyn.bench.engine.subject import BENCH, Setting
from streamdyn.bench.harness import Asked, Measurement
from streamdyn.engine.cpu.crew import VARIABLE

COLD, WARM = "no kernels on disk", "kernels on disk"
ASKED: Mapping[str, Asked] = {COLD: Asked(10.0, at_most=True), WARM: Asked(3.0, at_most=True)}
OURS = ("import streamdyn.engine", "sparsify", "new_cache")  # the others are a user's anyway
AGAIN = "second new_cache"
PROCESS = "the whole process"


def measure_setup(name: str, setting: Setting) -> Iterator[Measurement]:
    """The set-up of a published network and its parts, each time in a process of its own."""
    samples: dict[str, list[dict[str, float]]] = {COLD: [], WARM: []}
    for _ in range(setting.setups):
        with TemporaryDirectory(prefix="streamdyn-") as folder:
            for kernels in (COLD, WARM):
                samples[kernels].append(_in_fresh_process(name, setting, Path(folder)))
    height, width = setting.size
    about: dict[str, str | float] = {
        "network": name, "dtype": setting.dtype, "block": setting.block,
        "height": height, "width": width,
    }  # fmt: skip
    for kernels, runs in samples.items() if setting.setups else ():
        case = f"{name} {height}x{width} {setting.dtype}, set-up, {kernels}"
        ours = [sum(run[part] for part in OURS) for run in runs]
        yield Measurement.of(
            BENCH, case, " + ".join(OURS), "s", ours, asked=ASKED[kernels], about=about
        )
        for part in runs[0]:
            scale, unit = (1000, "ms") if part == AGAIN else (1, "s")
            seconds = [scale * run[part] for run in runs]
            yield Measurement.of(BENCH, case, part, unit, seconds, about=about)


def _in_fresh_process(name: str, setting: Setting, kernels: Path) -> dict[str, float]:
    """The seconds of each part, with compiled kernels in a folder."""
    words = (name, setting.dtype, setting.block, *setting.size)
    command = [sys.executable, "-m", "streamdyn.bench.fresh", *map(str, words)]
    variables = os.environ | {"NUMBA_CACHE_DIR": str(kernels), VARIABLE: str(setting.threads)}
    start = perf_counter()
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)
    seconds: dict[str, float] = json.loads(done.stdout)
    return seconds | {PROCESS: perf_counter() - start}
