"""Rows scattered over memory that must not change, and what the tests of kernels share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamdyn.engine import cpu
from streamdyn.engine.graph import Activation

DTYPES: tuple[cpu.RowType, ...] = ("bfloat16", "float32")
ACTIVATIONS = {
    "clip": lambda x: x.clamp(-0.5, 1),
    "silu": torch.nn.functional.silu,
    "hardswish": torch.nn.functional.hardswish,
    "hardsigmoid": torch.nn.functional.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, 0.2),
    "elu": lambda x: torch.nn.functional.elu(x, 0.2),
    "mish": torch.nn.functional.mish,
    "softplus": torch.nn.functional.softplus,
}
Floats = NDArray[np.float32]

dtypes = st.sampled_from(DTYPES)
counts = st.sampled_from((0, 1, 2, 7, 33, 500))
channel_counts = st.integers(1, 130)
seeds = st.integers(0, 1000)
activations = st.sampled_from(
    [None, *(Activation(kind, -0.5, 1.0, 0.2) for kind in ACTIVATIONS)]  # type: ignore[arg-type]
)
quick = settings(max_examples=30)


@dataclass(eq=False)
class Rows:
    """Rows of (n, channels) numbers in a random order, with 16 other numbers between any two."""

    values: Floats
    dtype: cpu.RowType
    seed: int = 0
    fill: float = np.nan
    memory: NDArray[np.generic] = field(init=False)
    addresses: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        n, self.channels = self.values.shape
        self.order = np.random.default_rng(self.seed).permutation(n) + 1
        full = np.full((n + 2, self.channels + 16), self.fill, np.float32)
        full[self.order, : self.channels] = self.values
        self.memory = cpu.to_bfloat16(full) if self.dtype == "bfloat16" else full
        self.addresses = self.memory.ctypes.data + self.order * self.memory.strides[0]
        self.values = self.read()

    def read(self) -> Floats:
        numbers = self.memory[self.order, : self.channels]
        return cpu.from_bfloat16(numbers) if self.dtype == "bfloat16" else numbers.copy()

    def untouched(self) -> bool:
        """Whether all memory but the rows is as it was."""
        around = self.memory.copy()
        filled = cpu.to_bfloat16(np.float32([self.fill])) if self.dtype == "bfloat16" else self.fill
        around[self.order, : self.channels] = filled
        return bool(np.array_equal(around, np.full_like(around, filled), equal_nan=True))


def random_rows(n: int, channels: int, dtype: cpu.RowType, seed: int) -> Rows:
    return Rows(noise(seed, n, channels), dtype, seed)


def empty_rows(n: int, channels: int, dtype: cpu.RowType) -> Rows:
    return Rows(np.full((n, channels), 77, np.float32), dtype, 5)


def noise(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rounded(x: Floats, dtype: cpu.RowType) -> Floats:
    return cpu.from_bfloat16(cpu.to_bfloat16(x)) if dtype == "bfloat16" else x


def activated(x: Floats, activation: Activation | None) -> Floats:
    if activation is None:
        return x
    y: Floats = ACTIVATIONS[activation.kind](torch.from_numpy(x.astype(np.float64))).numpy()
    return y


def check(rows: Rows, want: NDArray[np.generic], precision: float = 2e-6) -> None:
    """Rounded once, and nothing else written; errors are relative to the largest number."""
    got, largest = rows.read(), float(np.abs(want).max(initial=1.0))
    rounding = np.abs(want) * 2.0**-8 if rows.dtype == "bfloat16" else 0
    assert (np.abs(got - want) <= rounding + precision * largest).all()
    assert rows.untouched()
