"""Products of gathered rows against NumPy, and convolutions by them against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.engine import cpu
from streamdyn.engine.graph import Activation
from tests.engine_rows import (
    Rows,
    activated,
    activations,
    channel_counts,
    check,
    counts,
    dtypes,
    empty_rows,
    noise,
    quick,
    random_rows,
    rounded,
)


@quick
@given(
    counts,
    st.integers(1, 70),
    channel_counts,
    st.integers(1, 4),
    st.integers(1, 3),
    dtypes,
    activations,
    st.booleans(),
)
def test_product(n, run, channels, taps, groups, dtype, activation, residual) -> None:  # type: ignore[no-untyped-def]  # eight of them
    # What lies behind an odd run of bfloat16 is multiplied by 0, so it must be a number.
    x = Rows(noise(1, n + taps, groups * run), dtype, fill=3.0)
    by_place, pitch = x.values[np.argsort(x.order)], x.memory.strides[0]
    y = random_rows(n, groups * channels, dtype, 2)
    weight = rounded(noise(3, groups, taps, run, channels), dtype)
    bias = noise(4, groups * channels)
    windows = np.stack([by_place[t : t + n] for t in range(taps)]).reshape(taps, n, groups, run)
    sums = np.einsum("tngr,gtrc->ngc", windows, weight, dtype=np.float64)
    want = sums.reshape(n, groups * channels) + bias
    want = activated(want + y.values if residual else want, activation)
    call = cpu.product(
        x.memory.ctypes.data + pitch + np.arange(n) * pitch,
        np.arange(taps) * pitch,
        cpu.pack(weight, bias, dtype),
        y.addresses,
        residual=y.addresses if residual else None,
        activation=activation,
    )
    cpu.run(call)
    check(y, want, 1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_convolution(kernel: int, stride: int) -> None:
    """A tap for each row of the kernel, on a map with a border; only the chosen pixels change."""
    height, width, channels, pad = 12, 17, 6, kernel // 2
    image = noise(1, 1, channels, height, width)
    weight, bias = noise(2, 40, channels, kernel, kernel), noise(3, 40)
    convolution = torch.nn.functional.conv2d
    tensors = [torch.from_numpy(a) for a in (image, weight, bias)]
    want = convolution(*tensors, stride, pad)[0].permute(1, 2, 0).numpy()
    bordered = np.pad(image[0].transpose(1, 2, 0), ((pad, pad), (pad, pad), (0, 0))).copy()
    y, x = np.nonzero(np.random.default_rng(1).random(want.shape[:2]) < 0.4)
    rows = empty_rows(len(y), 40, "float32")
    call = cpu.product(
        bordered.ctypes.data + y * stride * bordered.strides[0] + x * stride * bordered.strides[1],
        np.arange(kernel) * bordered.strides[0],
        cpu.pack(
            weight.transpose(2, 3, 1, 0).reshape(1, kernel, kernel * channels, 40), bias, "float32"
        ),
        rows.addresses,
    )
    cpu.run(call)
    check(rows, want[y, x], 1e-5)


def test_groups_may_share_their_source() -> None:
    x, y = random_rows(9, 8, "float32", 1), empty_rows(9, 6, "float32")
    weight, bias = noise(1, 2, 1, 8, 3), noise(2, 6)
    packed = cpu.pack(weight, bias, "float32", shift=0)
    cpu.run(cpu.product(x.addresses, np.zeros(1, np.int64), packed, y.addresses))
    check(y, np.concatenate([x.values @ weight[0, 0], x.values @ weight[1, 0]], 1) + bias, 1e-5)


def test_relu_keeps_what_is_not_a_number() -> None:
    x, y = Rows(np.full((1, 4), np.nan, np.float32), "float32"), empty_rows(1, 20, "float32")
    packed = cpu.pack(noise(1, 1, 1, 4, 20), noise(2, 20), "float32")
    relu, tap = Activation("clip", 0.0), np.zeros(1, np.int64)
    cpu.run(cpu.product(x.addresses, tap, packed, y.addresses, activation=relu))
    assert np.isnan(y.read()).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    packed = cpu.pack(noise(1, 1, 2, 4, 20), noise(2, 20), "float32")
    rows = np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="1 taps for weights of 2"):
        cpu.product(rows, np.zeros(1, np.int64), packed, rows)
    with pytest.raises(ValueError, match=r"different numbers: \[2, 3\]"):
        cpu.product(rows, np.zeros(2, np.int64), packed, rows[:2])
    with pytest.raises(ValueError, match="C order"):
        cpu.product(np.zeros(6, np.int64)[::2], np.zeros(2, np.int64), packed, rows)
    with pytest.raises(ValueError, match="int32 in place of int64"):
        cpu.product(rows.astype(np.int32), np.zeros(2, np.int64), packed, rows)  # type: ignore[arg-type]  # so
    with pytest.raises(ValueError, match=r"bias of \(7,\)"):
        cpu.pack(noise(1, 1, 2, 4, 20), noise(2, 7), "float32")


@given(st.lists(st.floats(width=32), min_size=1))
def test_bfloat16_is_what_torch_says(numbers: list[float]) -> None:
    x = np.array(numbers, np.float32)
    want = torch.from_numpy(x).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(cpu.from_bfloat16(cpu.to_bfloat16(x)), want)
