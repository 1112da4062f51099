"""Programs in the language of Triton, each for a tile of pixels by channels.

They gather by index, multiply and add in float32, and finish with the residual and the activation
before anything is written. Arguments that end in `s` and `n` are sizes; the others point to rows.
"""

import triton
import triton.language as tl


@triton.jit
def _activated(x, kind: tl.constexpr, low, high, slope):
    if kind == "clip":
        x = _clipped(x, low, high)
    elif kind == "silu":
        x = x / (1 + tl.exp(-x))
    elif kind == "hardswish":
        x = x * _clipped(x + 3, 0, 6) / 6
    elif kind == "hardsigmoid":
        x = _clipped(x + 3, 0, 6) / 6
    elif kind == "sigmoid":
        x = 1 / (1 + tl.exp(-x))
    elif kind == "tanh":
        x = _tanh(x)
    elif kind == "gelu":
        x = 0.5 * x * (1 + tl.erf(x * 0.7071067811865476))
    elif kind == "gelu_tanh":
        x = 0.5 * x * (1 + _tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    elif kind == "leaky_relu":
        x = tl.where(x < 0, x * slope, x)
    elif kind == "elu":
        x = tl.where(x < 0, slope * (tl.exp(tl.minimum(x, 0)) - 1), x)
    elif kind == "mish":
        x = x * _tanh(_softplus(x))
    elif kind == "softplus":
        x = _softplus(x)
    return x


@triton.jit
def _clipped(x, low, high):
    # `tl.clamp` would drop what is not a number.
    return tl.where(x < low, low, tl.where(x > high, high, x))


@triton.jit
def _tanh(x):
    small = tl.exp(-2 * tl.abs(x))  # never too large
    size = (1 - small) / (1 + small)
    return tl.where(x < 0, -size, size)


@triton.jit
def _softplus(x):
    return tl.maximum(x, 0) + tl.log(1 + tl.exp(-tl.abs(x)))


@triton.jit
def _combined(x, y, kind: tl.constexpr):
    if kind == "add":
        x = x + y
    elif kind == "subtract":
        x = x - y
    elif kind == "multiply":
        x = x * y
    elif kind == "divide":
        x = x / y
    elif kind == "maximum":
        x = tl.where((x > y) | (x != x), x, y)
    elif kind == "minimum":
        x = tl.where((x < y) | (x != x), x, y)
    return x


@triton.jit
def _finish(
    x, residual, out, pixel, channel, n, channels,
    adds: tl.constexpr, kind: tl.constexpr, low, high, slope,
):  # fmt: skip
    """Add the residual, activate, and write a tile."""
    place = pixel[:, None].to(tl.int64) * channels + channel[None, :]
    inside = (pixel < n)[:, None] & (channel < channels)[None, :]
    if adds:
        x += tl.load(residual + place, mask=inside, other=0).to(tl.float32)
    x = _activated(x, kind, low, high, slope)
    tl.store(out + place, x.to(out.dtype.element_ty), mask=inside)


@triton.jit
def product(
    x, index, weight, bias, residual, out, n, inputs, taps, outputs,
    gathers: tl.constexpr, adds: tl.constexpr, kind: tl.constexpr, low, high, slope,
    pixels: tl.constexpr, deep: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * pixels + tl.arange(0, pixels)
    output = tl.program_id(1) * wide + tl.arange(0, wide)
    total = tl.zeros((pixels, wide), tl.float32)
    for tap in range(taps):
        row = pixel
        if gathers:
            row = tl.load(index + pixel * taps + tap, mask=pixel < n, other=0)
        row = row.to(tl.int64) * inputs
        for first in range(0, inputs, deep):
            depth = first + tl.arange(0, deep)
            known, there = depth < inputs, pixel < n
            a = tl.load(
                x + row[:, None] + depth[None, :], mask=there[:, None] & known[None, :], other=0
            )
            b = tl.load(
                weight + (tap * inputs + depth)[:, None] * outputs + output[None, :],
                mask=known[:, None] & (output < outputs)[None, :], other=0,
            )  # fmt: skip
            total = tl.dot(a, b, total, input_precision="ieee")
    total += tl.load(bias + output, mask=output < outputs, other=0).to(tl.float32)[None, :]
    _finish(total, residual, out, pixel, output, n, outputs, adds, kind, low, high, slope)


@triton.jit
def depthwise(
    x, index, weight, bias, residual, out, n, channels, taps,
    adds: tl.constexpr, kind: tl.constexpr, low, high, slope,
    pixels: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * pixels + tl.arange(0, pixels)
    channel = tl.program_id(1) * wide + tl.arange(0, wide)
    known, there = channel < channels, pixel < n
    total = tl.zeros((pixels, wide), tl.float32)
    total += tl.load(bias + channel, mask=known, other=0).to(tl.float32)[None, :]
    for tap in range(taps):
        row = tl.load(index + pixel * taps + tap, mask=there, other=0).to(tl.int64) * channels
        a = tl.load(
            x + row[:, None] + channel[None, :], mask=there[:, None] & known[None, :], other=0
        )
        b = tl.load(weight + tap * channels + channel, mask=known, other=0)
        total += a.to(tl.float32) * b.to(tl.float32)[None, :]
    _finish(total, residual, out, pixel, channel, n, channels, adds, kind, low, high, slope)


@triton.jit
def pointwise(
    x, other, per_pixel, per_channel, shift, out, n, channels,
    combine: tl.constexpr, shifts: tl.constexpr, kind: tl.constexpr, low, high, slope,
    pixels: tl.constexpr, wide: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * pixels + tl.arange(0, pixels)
    channel = tl.program_id(1) * wide + tl.arange(0, wide)
    known = (channel < channels)[None, :]
    inside = (pixel < n)[:, None] & known
    place = pixel[:, None].to(tl.int64) * channels + channel[None, :]
    found = tl.load(x + place, mask=inside, other=0).to(tl.float32)
    if combine != "":
        place = pixel[:, None].to(tl.int64) * per_pixel + channel[None, :] * per_channel
        second = tl.load(other + place, mask=inside, other=0).to(tl.float32)
        found = _combined(found, tl.where(inside, second, 1), combine)  # by 1, not by 0
    if shifts:
        found += tl.load(shift + channel[None, :], mask=known, other=0).to(tl.float32)
    _finish(found, x, out, pixel, channel, n, channels, False, kind, low, high, slope)


@triton.jit
def put(rows, index, target, n, channels, pixels: tl.constexpr, wide: tl.constexpr):
    pixel = tl.program_id(0) * pixels + tl.arange(0, pixels)
    channel = tl.program_id(1) * wide + tl.arange(0, wide)
    inside = (pixel < n)[:, None] & (channel < channels)[None, :]
    numbers = tl.load(
        rows + pixel[:, None].to(tl.int64) * channels + channel[None, :], mask=inside, other=0
    )
    row = tl.load(index + pixel, mask=pixel < n, other=0)
    tl.store(target + row[:, None] * channels + channel[None, :], numbers, mask=inside)
