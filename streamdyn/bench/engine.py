"""Block-sparse computation against the fastest dense peer installed, by density of the mask."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import cycle
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from streamdyn.bench.harness import Measurement, interleave
from streamdyn.bench.networks import NETWORKS
from streamdyn.blocks import BlockGrid, BlockMask
from streamdyn.engine.cpu.rows import RowType, supports
from streamdyn.engine.sparsify import sparsify

BENCH = "engine"
DENSITIES = (1.0, 0.25, 0.1, 0.05, 0.02)
SIZE = (448, 768)  # height, width
MASKS = 8  # random ones of each density, taken in turn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=NETWORKS,
        default=["resnet50", "resnet18", "mobilenetv2"],
        help="with random weights (default: %(default)s)",
    )
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--block", type=int, default=32, help="side in pixels (default: 32)")
    parser.add_argument("--rounds", type=int, default=9, help="of each figure (default: 9)")


def run(options: argparse.Namespace) -> list[Measurement]:
    """Measure each network."""
    if not supports(options.dtype):
        print(f"this processor has no instructions for {options.dtype}: expect it to be slow")
    found: list[Measurement] = []
    for name in options.networks:
        found += _measure(name, options.dtype, options.block, options.rounds)
    return found


def _measure(name: str, dtype: RowType, block: int, rounds: int) -> Iterator[Measurement]:
    torch.manual_seed(0)
    module = NETWORKS[name]().eval()
    x = torch.randn(1, 3, *SIZE)
    network = sparsify(module, SIZE, block=block, dtype=dtype)
    contenders: dict[str, Callable[[], object]] = dict(_peers(module, x, dtype))
    peers = list(contenders)
    cache = network.new_cache()
    network.tensors(x, network.grid.all(), cache)
    masks = {density: _masks(network.grid, density) for density in DENSITIES}

    def on_blocks(density: float) -> Callable[[], object]:
        turns = cycle(masks[density])
        return lambda: network.tensors(x, next(turns), cache)

    contenders |= {f"blocks, {density:.0%}": on_blocks(density) for density in DENSITIES}
    seconds = interleave(contenders, rounds, warmup=2)
    for contender, samples in seconds.items():
        milliseconds = [1000 * s for s in samples]
        yield Measurement.of(BENCH, f"{name}, {dtype}, {contender}", "time", "ms", milliseconds)
    fastest = min(peers, key=lambda peer: median(seconds[peer]))
    for density in DENSITIES:
        samples = seconds[f"blocks, {density:.0%}"]
        ratios = [p / s for p, s in zip(seconds[fastest], samples, strict=True)]
        case = f"{name}, {dtype}, {density:.0%} of blocks"
        yield Measurement.of(BENCH, case, f"speed-up over {fastest}", "x", ratios)
        share = median(network.share(mask) for mask in masks[density])
        gained = [ratio * share for ratio in ratios]
        yield Measurement.of(BENCH, case, "speed-up / (1 / share)", "ratio", gained)
    yield Measurement.of(
        BENCH, f"{name}, {dtype}", "cache of a stream", "MiB", [network.cache_bytes / (1 << 20)]
    )


def _masks(grid: BlockGrid, density: float) -> list[BlockMask]:
    """Random masks of exactly this density, as near as whole blocks allow."""
    draw = np.random.default_rng(0)
    blocks = grid.all().active.size
    masks = []
    for _ in range(MASKS):
        active = np.zeros(blocks, bool)
        active[draw.permutation(blocks)[: round(density * blocks)]] = True
        masks.append(BlockMask(grid, active.reshape(grid.shape)))
    return masks


def _peers(
    module: nn.Module, x: torch.Tensor, dtype: RowType
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Dense engines that are installed, on the same input."""
    kind = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    with torch.no_grad():
        eager = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
        image = x.to(memory_format=torch.channels_last)

    def run_eager() -> Any:
        with torch.inference_mode(), torch.autocast("cpu", kind, enabled=dtype == "bfloat16"):
            return eager(image)

    yield "torch eager", run_eager
    try:
        import openvino
    except ImportError:
        return
    converted = openvino.convert_model(module, example_input=x)
    hints = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32",
    }
    compiled = openvino.compile_model(converted, "CPU", hints)
    request = compiled.create_infer_request()
    numbers = x.numpy()
    yield "OpenVINO", lambda: request.infer({0: numbers})
