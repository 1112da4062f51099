"""Each kernel against the plainest NumPy or torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from streamdyn.engine import cpu
from streamdyn.engine.graph import Activation, ActivationKind
from streamdyn.engine.regions import Runs
from tests.engine_rows import (
    ACTIVATIONS,
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
    seeds,
)

STEPS = cpu.Steps(origin=-70, down=1000, right=6)


@quick
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 4), seeds)
def test_addresses_along_runs(lengths: list[int], streams: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    y, x = draw.integers(0, 100, (2, len(lengths)), dtype=np.int32)
    first = np.cumsum([0, *lengths], dtype=np.int32)
    ends = np.sort(draw.choice(first, streams)).astype(np.int64)
    ends[-1] = n = sum(lengths)
    bases = draw.integers(0, 2**60, streams)
    got = np.zeros(n, np.int64)
    places = cpu.Places(y, x, first, ends, np.array([len(lengths)]))
    cpu.run(cpu.addresses(places, STEPS, bases, got))
    base = bases[np.searchsorted(ends, np.arange(n), side="right")]
    run = np.repeat(np.arange(len(lengths)), lengths)
    across = x[run] + np.arange(n) - first[run]
    assert (got == base - 70 + 1000 * y[run].astype(np.int64) + 6 * across).all()


@quick
@given(counts, st.integers(1, 3), st.integers(1, 40), st.integers(1, 4), seeds)
def test_addresses_on_tiles(tiles: int, high: int, wide: int, streams: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    y, x = draw.integers(0, 100, (2, tiles), dtype=np.int32)
    ends = np.sort(draw.integers(0, tiles, streams, endpoint=True))
    ends[-1] = tiles
    bases = draw.integers(0, 2**60, streams)
    got = np.zeros((tiles, high, wide), np.int64)
    places = cpu.Places(y, x, (high, wide), ends, np.array([tiles]))
    cpu.run(cpu.addresses(places, STEPS, bases, got.ravel()))
    base = bases[np.searchsorted(ends, np.arange(tiles), side="right")][:, None, None]
    down = y[:, None, None] * high + np.arange(high)[:, None]
    across = x[:, None, None] * wide + np.arange(wide)
    assert (got == base - 70 + 1000 * down + 6 * across).all()


@quick
@given(counts, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), seeds)
def test_looked_up_addresses(n: int, several: int, streams: int, unit: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    indices = draw.integers(0, 2**31, (n, several), dtype=np.int32)
    ends = np.sort(draw.integers(0, n, streams, endpoint=True))
    ends[-1] = n
    bases = draw.integers(0, 2**60, streams)
    got = np.zeros((n, several), np.int64)
    cpu.run(cpu.looked_up(indices, STEPS, bases, ends, got, unit=unit))
    base = bases[np.searchsorted(ends * unit, np.arange(n), side="right")]
    assert (got == base[:, None] - 70 + 6 * indices.astype(np.int64)).all()


def test_addresses_that_do_not_fit_together_are_refused() -> None:
    three, ends, count = np.zeros(3, np.int32), np.full(2, 3, np.int64), np.array([3])
    with pytest.raises(ValueError, match="different numbers"):
        cpu.Places(three, three, three, ends, count)  # pixels before each and behind the last
    with pytest.raises(ValueError, match="int64 in place of int32"):
        cpu.Places(three.astype(np.int64), three, (1, 1), ends, count)
    places = cpu.Places(three, three, (1, 1), ends, count)
    with pytest.raises(ValueError, match="different numbers"):
        cpu.addresses(places, STEPS, ends[:1], np.zeros(3, np.int64))
    indices, targets = np.zeros((3, 2), np.int32), np.zeros((3, 1), np.int64)
    with pytest.raises(ValueError, match=r"\(3, 2\) indices do not fit \(3, 1\)"):
        cpu.looked_up(indices, STEPS, ends, ends, targets)


@quick
@given(counts, channel_counts, dtypes)
def test_copy(n: int, channels: int, dtype: cpu.RowType) -> None:
    x, y = random_rows(n, channels, dtype, 1), empty_rows(n, channels, dtype)
    cpu.run(cpu.copy(x.addresses, y.addresses, channels, dtype))
    check(y, x.values, 0)


@quick
@given(counts, channel_counts, dtypes, seeds)
def test_pick(n: int, channels: int, dtype: cpu.RowType, seed: int) -> None:
    indices = np.random.default_rng(seed).integers(0, channels, 2 * channels, dtype=np.int32)
    x, y = random_rows(n, channels, dtype, seed), empty_rows(n, 2 * channels, dtype)
    cpu.run(cpu.pick(x.addresses, indices, y.addresses, dtype))
    check(y, x.values[:, indices], 0)


@quick
@given(st.integers(1, 30), st.integers(1, 4), channel_counts, dtypes, seeds)
def test_bilinear(wide: int, high: int, channels: int, dtype: cpu.RowType, seed: int) -> None:
    """Tiles of two streams, each mixed from the map of its own."""
    draw, (height, width) = np.random.default_rng(seed), (5, 7)
    values = rounded(noise(seed, 2, height, width, channels), dtype)
    maps = cpu.row_zeros(values.size, dtype)
    maps[:] = (cpu.to_bfloat16(values) if dtype == "bfloat16" else values).ravel()
    y, x = draw.integers(0, 3, (2, 6), dtype=np.int32)
    places = cpu.Places(y, x, (high, wide), np.array([2, 6]), np.array([6]))
    axes = [
        cpu.Samples(
            draw.integers(0, inside, (outside, 2), dtype=np.int32),
            draw.random((outside, 2), np.float32),
        )
        for inside, outside in ((height, 3 * high), (width, 3 * wide))
    ]
    row_bytes = channels * cpu.ROW_BYTES[dtype]
    steps = cpu.Steps(0, width * row_bytes, row_bytes)
    bases = maps.ctypes.data + np.arange(2) * height * width * row_bytes
    found = empty_rows(6 * high * wide, channels, dtype)
    cpu.run(cpu.bilinear(places, *axes, steps, bases, found.addresses, channels, dtype))
    new_y = y[:, None, None] * high + np.arange(high)[:, None]
    new_x = x[:, None, None] * wide + np.arange(wide)
    stream = (np.arange(6) >= 2)[:, None, None].astype(int)
    expected = sum(
        values[stream, axes[0].near[new_y, i], axes[1].near[new_x, j]]
        * (axes[0].parts[new_y, i] * axes[1].parts[new_x, j])[..., None]
        for i in (0, 1)
        for j in (0, 1)
    )
    check(found, expected.reshape(-1, channels))


@quick
@given(counts, channel_counts, dtypes, activations)
def test_affine(n: int, channels: int, dtype: cpu.RowType, activation: Activation | None) -> None:
    x, scale, shift = random_rows(n, channels, dtype, 1), noise(2, channels), noise(3, channels)
    want = activated(x.values * scale + shift, activation)
    for y in (empty_rows(n, channels, dtype), x):  # x: in place
        call = cpu.affine(x.addresses, scale, shift, y.addresses, dtype, activation=activation)
        cpu.run(call)
        check(y, want)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activate(kind: ActivationKind) -> None:
    values = np.concatenate([np.linspace(-100, 100, 4003), np.linspace(-2, 2, 4003), [1e4, -1e4]])
    x = Rows(values.reshape(-1, 8).astype(np.float32), "float32")
    y, activation = empty_rows(*x.values.shape, "float32"), Activation(kind, -0.5, 1.0, 0.2)
    cpu.run(cpu.activate(x.addresses, activation, y.addresses, 8, "float32"))
    want = activated(x.values, activation)
    np.testing.assert_allclose(y.read(), want, rtol=1e-6, atol=3e-7)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activation_keeps_what_is_not_a_number(kind: ActivationKind) -> None:
    x = Rows(np.full((1, 3), np.nan, np.float32), "float32")
    cpu.run(cpu.activate(x.addresses, Activation(kind), x.addresses, 3, "float32"))
    assert np.isnan(x.read()).all()


@quick
@given(
    counts,
    channel_counts,
    dtypes,
    st.sampled_from(("add", "subtract", "multiply", "divide", "maximum", "minimum")),
    st.sampled_from(("each", "one", "number")),
    activations,
)
def test_binary(n, channels, dtype, kind, second, activation) -> None:  # type: ignore[no-untyped-def]  # six of them
    a = random_rows(n, channels, dtype, 1)
    b = random_rows(1 if second == "one" else n, 1 if second == "number" else channels, dtype, 2)
    y = empty_rows(n, channels, dtype)
    call = cpu.binary(
        a.addresses,
        b.addresses,
        kind,
        y.addresses,
        channels,
        dtype,
        one_channel=second == "number",
        activation=activation,
    )
    cpu.run(call)
    with np.errstate(divide="ignore", invalid="ignore"):
        want = activated(getattr(np, kind)(a.values, b.values), activation)
    check(y, want, 1e-5)


@quick
@given(counts, channel_counts, dtypes, st.integers(1, 9), activations, st.booleans())
def test_depthwise(n, channels, dtype, taps, activation, residual) -> None:  # type: ignore[no-untyped-def]  # six of them
    x, y = random_rows(n + taps, channels, dtype, 1), random_rows(n, channels, dtype, 2)
    start = x.memory.ctypes.data + x.memory.strides[0]
    by_place = x.values[np.argsort(x.order)]
    sources = start + np.arange(n) * x.memory.strides[0]
    weights, bias = rounded(noise(3, taps, channels), dtype), noise(4, channels)
    want = bias + sum(by_place[t : t + n] * weights[t] for t in range(taps))
    call = cpu.depthwise(
        sources,
        np.arange(taps) * x.memory.strides[0],
        cpu.pack_depthwise(weights, bias, dtype),
        y.addresses,
        residual=y.addresses if residual else None,
        activation=activation,
    )
    want = activated(want + y.values if residual else want, activation)
    cpu.run(call)
    check(y, want)


@quick
@given(counts, channel_counts, dtypes, st.sampled_from(("max", "average")), st.booleans())
def test_pool(n, channels, dtype, kind, windowed) -> None:  # type: ignore[no-untyped-def]  # five of them
    x, y = random_rows(n + 6, channels, dtype, 1), empty_rows(n, channels, dtype)
    by_place, pitch = x.values[np.argsort(x.order)], x.memory.strides[0]
    sources = x.memory.ctypes.data + pitch + np.arange(n) * pitch
    taps = np.array([[0, 1, 2], [4, 5, 6]])
    rng = np.random.default_rng(n)
    windows = np.stack(
        [rng.integers(0, 2, n), np.full(n, 2), rng.integers(0, 2, n), rng.integers(2, 4, n)], 1
    ).astype(np.int32)
    if not windowed:
        windows[:] = 0, 2, 0, 3
    chosen = [taps[a:b, c:d].ravel() + i for i, (a, b, c, d) in enumerate(windows)]
    reduce = np.max if kind == "max" else np.mean
    want = np.array([reduce(by_place[rows], axis=0) for rows in chosen]).reshape(n, channels)
    call = cpu.pool(
        sources,
        taps * pitch,
        kind,
        y.addresses,
        channels,
        dtype,
        windows=windows if windowed else None,
    )
    cpu.run(call)
    check(y, want)


def test_average_over_a_given_number() -> None:
    x, y = random_rows(4, 5, "float32", 1), empty_rows(4, 5, "float32")
    divisors = np.array([1, 2, 4, 8], np.float32)
    taps = np.zeros((1, 2), np.int64)
    cpu.run(cpu.pool(x.addresses, taps, "average", y.addresses, 5, "float32", divisors=divisors))
    check(y, x.values * 2 / divisors[:, None])


@quick
@given(counts, channel_counts, dtypes)
def test_layer_norm(n: int, channels: int, dtype: cpu.RowType) -> None:
    x, y = Rows(noise(1, n, channels) + 3, dtype), empty_rows(n, channels, dtype)
    weight, bias = noise(2, channels), noise(3, channels)
    cpu.run(cpu.layer_norm(x.addresses, weight, bias, 1e-3, y.addresses, dtype))
    norm = torch.nn.functional.layer_norm
    tensors = [torch.from_numpy(a.astype(np.float64)) for a in (x.values, weight, bias)]
    check(y, norm(tensors[0], (channels,), *tensors[1:], 1e-3).numpy(), 1e-5)


@quick
@given(counts, channel_counts, dtypes)
def test_softmax(n: int, channels: int, dtype: cpu.RowType) -> None:
    x, y = Rows(noise(1, n, channels) * 30, dtype), empty_rows(n, channels, dtype)
    cpu.run(cpu.softmax(x.addresses, y.addresses, channels, dtype))
    check(y, torch.from_numpy(x.values.astype(np.float64)).softmax(1).numpy())


@quick
@given(counts, channel_counts, dtypes)
def test_difference(n: int, channels: int, dtype: cpu.RowType) -> None:
    x, y = random_rows(n, channels, dtype, 1), random_rows(n, channels, dtype, 2)
    got = np.zeros(n, np.float32)
    cpu.run(cpu.difference(x.addresses, y.addresses, got, channels, dtype))
    np.testing.assert_allclose(got, np.abs(x.values - y.values).max(1, initial=0), rtol=1e-6)


def test_difference_of_what_is_not_a_number_is_not_small() -> None:
    x, y = random_rows(3, 20, "float32", 1), Rows(np.full((3, 20), np.nan), "float32")
    got = np.zeros(3, np.float32)
    cpu.run(cpu.difference(x.addresses, y.addresses, got, 20, "float32"))
    assert np.isnan(got).all()


@quick
@given(counts, st.integers(1, 300), dtypes)
def test_add_up_forgets_what_is_taken_away(n: int, channels: int, dtype: cpu.RowType) -> None:
    x, other = random_rows(n, channels, dtype, 1), random_rows(n, channels, dtype, 2)
    streams = np.sort(np.random.default_rng(n).integers(0, 3, n))
    totals = np.zeros((3, channels))
    where = totals.ctypes.data + streams * totals.strides[0]
    for rows, factor in ((other, 1.0), (x, 1.0), (other, -1.0)):
        cpu.run(cpu.add_up(rows.addresses, factor, where, channels, dtype))
    want = np.stack([x.values[streams == s].astype(np.float64).sum(0) for s in range(3)])
    np.testing.assert_allclose(totals, want, rtol=1e-12, atol=1e-12)
    y = empty_rows(n, channels, dtype)
    cpu.run(cpu.read_totals(where, 0.25, y.addresses, channels, dtype))
    check(y, totals[streams] / 4)


@quick
@given(st.integers(1, 70), st.booleans(), dtypes, seeds)
def test_load_image(width: int, in_order: bool, dtype: cpu.RowType, seed: int) -> None:
    """Runs of two images, to rows of maps that are wider, or to rows one after another."""
    draw, height, size = np.random.default_rng(seed), 5, cpu.ROW_BYTES[dtype]
    images = draw.standard_normal((2, 3, height, width), np.float32)
    chosen = draw.random((2, height, width)) < 0.7
    runs = [Runs.of(each) for each in chosen]
    y, x = (np.concatenate([getattr(each, name) for each in runs]) for name in "yx")
    first = np.cumsum([0, *runs[0].lengths, *runs[1].lengths], dtype=np.int32)
    ends = np.cumsum([len(each) for each in runs])
    places = cpu.Places(y, x, first, ends, np.array([len(y)]))
    rows = cpu.row_zeros(2 * height * (width + 3) * 3, dtype)
    map_bytes = height * (width + 3) * 3 * size
    maps = rows.ctypes.data + np.arange(2) * map_bytes
    steps = None if in_order else cpu.Steps(6 * size, (width + 3) * 3 * size, 3 * size)
    planes, plane_bytes = cpu.Steps(0, 4 * width, 4), 4 * width * height
    bases = images.ctypes.data + np.arange(2) * 3 * plane_bytes
    cpu.run(cpu.load_image(places, planes, plane_bytes, bases, steps, maps, dtype))
    expected = np.zeros((2, height, width + 3, 3), np.float32)
    colours = rounded(images.transpose(0, 2, 3, 1)[chosen], dtype)
    if in_order:
        expected.reshape(-1, 3)[: len(colours)] = colours
    else:
        expected[:, :, 2 : width + 2][chosen] = colours
    found = cpu.from_bfloat16(rows) if dtype == "bfloat16" else rows
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)


@quick
@given(counts, channel_counts, dtypes)
def test_store_planes(n: int, channels: int, dtype: cpu.RowType) -> None:
    x, planes = random_rows(n, channels, dtype, 1), np.full((channels, 700), 77, np.float32)
    chosen = np.random.default_rng(n).permutation(700)[:n]
    want = planes.copy()
    want[:, chosen] = x.values.T
    targets = planes.ctypes.data + chosen * 4
    cpu.run(cpu.store_planes(x.addresses, targets, planes.strides[0], channels, dtype))
    assert (planes == want).all()


@pytest.mark.parametrize(("dtype", "kind"), [("bfloat16", np.uint16), ("float32", np.float32)])
def test_zeros_begin_at_a_cache_line(dtype: cpu.RowType, kind: type[np.generic]) -> None:
    zeros = cpu.row_zeros(70, dtype)
    assert zeros.ctypes.data % 64 == 0
    assert zeros.dtype == kind
    assert zeros.shape == (70,)
    assert not zeros.any()
