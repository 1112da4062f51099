"""Capture of torch modules: every operation means what it meant, and runs where it should."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from tests.capture_kit import captured, operations

ACTIVATIONS = {
    "relu": F.relu, "relu6": F.relu6, "hardtanh": F.hardtanh, "silu": F.silu, "mish": F.mish,
    "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "sigmoid": torch.sigmoid,
    "tanh": torch.tanh, "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "elu": F.elu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3), "softplus": F.softplus,
    "clamp": lambda x: x.clamp(-0.1, 0.2), "clamp_min": lambda x: x.clamp(min=0.1),
    "clamp_max": lambda x: x.clamp(max=0.1), "channels last": lambda x: x.movedim(1, 3).relu(),
}  # fmt: skip


def test_activations():
    assert set(map(tuple, captured(ACTIVATIONS).values())) == {("Activation",)}


ARITHMETIC = {
    "selu": (F.selu, ["Activation", "Affine"]),
    "celu": (lambda x: F.celu(x, 2.0), ["Affine", "Activation", "Affine"]),
    "log_sigmoid": (F.logsigmoid, ["Affine", "Activation", "Affine"]),
    "abs": (torch.abs, ["Affine", "Binary"]),
    "square": (lambda x: x**2 + torch.square(x), ["Binary", "Binary", "Binary"]),
    "glu": (lambda x: F.glu(x, 1), ["Channels", "Channels", "Activation", "Binary"]),
    "prelu": (nn.PReLU(8), ["Activation", "Activation", "Affine", "Binary"]),
    "prelu of one": (nn.PReLU(), ["Activation", "Activation", "Affine", "Binary"]),
    "affine": (lambda x: (3 - (x * 2 + 1) / 4 - 1) * 0.5, ["Affine"]),
    "per channel": (lambda x: x * torch.arange(8.0).view(8, 1, 1) - 1, ["Affine"]),
    "all the same": (lambda x: x + torch.full((1, 8, 12, 16), 0.5), ["Affine"]),
    "map": (lambda x: x - torch.arange(16.0), ["Constant", "Binary"]),
    "of a map": (lambda x: torch.arange(16.0) - x, ["Affine", "Constant", "Binary"]),
    "alpha": (lambda x: torch.sub(x, x.tanh(), alpha=2), ["Activation", "Affine", "Binary"]),
    "maximum": (lambda x: torch.maximum(x, x.tanh()), ["Activation", "Binary"]),
    "minimum": (lambda x: torch.minimum(x.relu(), x), ["Activation", "Binary"]),
    "quotient": (lambda x: x / (x.sigmoid() + 1), ["Activation", "Affine", "Binary"]),
}


def test_arithmetic():
    found = captured({name: function for name, (function, _) in ARITHMETIC.items()})
    assert found == {name: expected for name, (_, expected) in ARITHMETIC.items()}


LAYERS = {
    "dilated": (nn.Conv2d(8, 6, 3, padding=2, dilation=2), "Conv"),
    "strided": (nn.Conv2d(8, 6, (3, 5), stride=(2, 3), padding=(1, 2)), "Conv"),
    "grouped": (nn.Conv2d(8, 12, 3, groups=4, bias=False), "Conv"),
    "depthwise": (nn.Conv2d(8, 8, 7, padding=3, groups=8), "Conv"),
    "same, even kernel": (nn.Conv2d(8, 6, (4, 3), padding="same"), "Conv"),
    "transposed": (nn.ConvTranspose2d(8, 6, 4, 2, 1), "ConvTranspose"),
    "uneven": (nn.ConvTranspose2d(8, 6, 3, 2, 1, 1, groups=2), "ConvTranspose"),
    "max": (nn.MaxPool2d(3, 2, 1), "Pool"),
    "max, dilated": (nn.MaxPool2d(2, 2, 1, dilation=2), "Pool"),
    "max, ceil": (nn.MaxPool2d(3, 2, ceil_mode=True), "Pool"),
    "average": (nn.AvgPool2d(3, 2, 1), "Pool"),
    "average, padding not counted": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), "Pool"),
    "average, ceil": (nn.AvgPool2d(5, 3, ceil_mode=True), "Pool"),
    "even adaptive average": (nn.AdaptiveAvgPool2d((4, 2)), "Pool"),
    "even adaptive maximum": (nn.AdaptiveMaxPool2d((4, 2)), "Pool"),
    "mean": (nn.AdaptiveAvgPool2d(1), "GlobalPool"),
    "nearest": (nn.Upsample(scale_factor=2), "Resize"),
    "nearest, exact": (nn.Upsample(scale_factor=2, mode="nearest-exact"), "Resize"),
    "nearest, to a size": (nn.Upsample((9, 31)), "Resize"),
    "bilinear": (nn.Upsample((9, 31), mode="bilinear"), "Resize"),
    "corners": (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), "Resize"),
    "pad": (nn.ConstantPad2d((1, 0, 3, 2), 0.5), "Pad"),
    "crop": (nn.ZeroPad2d((-1, 2, 0, -3)), "Pad"),
    "pixel shuffle": (nn.PixelShuffle(2), "ConvTranspose"),
    "pixel unshuffle": (nn.PixelUnshuffle(2), "Conv"),
    "channel shuffle": (nn.ChannelShuffle(4), "Channels"),
    "softmax": (nn.Softmax(1), "Softmax"),
}


def test_layers():
    found = captured({name: layer for name, (layer, _) in LAYERS.items()})
    assert found == {name: [expected] for name, (_, expected) in LAYERS.items()}


DENSE = {
    "uneven adaptive": lambda x: F.adaptive_avg_pool2d(x, (5, 7)),
    "average, ceil and padding": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "average, divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    "uneven scale": lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear"),
    "uneven exact": lambda x: F.interpolate(x, (17, 17), mode="nearest-exact"),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "reflection": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "channels padded": lambda x: F.pad(x, (0, 0, 0, 0, 0, 2)),
    "roll": lambda x: x.roll((1, 2), (2, 3)),
    "softmax over space": lambda x: x.softmax(2),
    "layer norm over space": lambda x: F.layer_norm(x, x.shape[1:]),
    "cumulative": lambda x: x.cumsum(1),
    "exponential": torch.exp,
    "comparison": lambda x: torch.where(x > 0, x, x * 2),
    "side by side": lambda x: torch.cat([x, x], 2),
    "argmax": lambda x: x.argmax(1),
    "double": lambda x: x.double().relu(),
    "inverse": lambda x: 1 / x,
    "cube": lambda x: x**3,
    "softplus of another sharpness": lambda x: F.softplus(x, beta=2),
    "limits per column": lambda x: x.clamp(torch.arange(16.0) / 16 - 0.5, None),
    "mean of rows": lambda x: x.mean(2),
    "mean of channels": lambda x: x.mean(1),
    "mean of all": lambda x: x.mean((1, 2, 3)),
    "batches": lambda x: F.conv2d(x.view(2, 4, 12, 16), torch.ones(2, 4, 3, 3)),
    "product of maps": lambda x: x @ x.transpose(2, 3),
    "weights from the image": lambda x: F.conv2d(x, x[:, :, :3, :3].transpose(0, 1), groups=8),
    "limits from the image": lambda x: x.clamp(max=x.amax((2, 3), keepdim=True) / 2),
    "norm by the image": lambda x: F.layer_norm(x, (16,), x.mean((0, 1, 2)), x.amax((0, 1, 2))),
    "slopes from the image": lambda x: F.prelu(x, x.amax((0, 2, 3))),
    "groups by the image": lambda x: F.group_norm(x, 2, x.amax((0, 2, 3)), x.amin((0, 2, 3))),
    "pairs": lambda x: x.amax(1, keepdim=True) * x.amin(1, keepdim=True),
}


def test_everything_else_runs_dense():
    assert [name for name, found in captured(DENSE).items() if found[-1] != "Dense"] == []


def test_batch_norm_folds_into_the_convolution_before_and_after_it():
    norm = nn.BatchNorm2d(8)
    assert operations(nn.Sequential(norm)) == []
    assert operations(nn.Sequential(nn.ReLU(), norm)) == ["Activation", "Affine"]
    after = nn.Sequential(nn.ReLU(), norm, nn.Conv2d(8, 4, 1))
    assert operations(after) == ["Activation", "Conv"]
    padded = nn.Sequential(nn.ReLU(), norm, nn.Conv2d(8, 4, 3, padding=1))
    assert operations(padded) == ["Activation", "Affine", "Conv"]  # the border is not shifted


def test_only_the_statistics_of_group_norm_are_dense():
    norms = {"group": nn.GroupNorm(4, 8), "instance": nn.InstanceNorm2d(8, affine=True),
             "plain": nn.InstanceNorm2d(8)}  # fmt: skip
    assert set(map(tuple, captured(norms).values())) == {("Dense", "Binary", "Binary")}


class Tokens(nn.Module):
    """Layers over the last axis, as transformers have them."""

    def __init__(self, to_tokens, to_map):
        super().__init__()
        self.to_tokens, self.to_map = to_tokens, to_map
        self.norm, self.linear = nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x):
        return self.to_map(self.linear(self.norm(self.to_tokens(x))))


def test_layer_norm_and_linear_over_channels_last():
    found = captured(
        {
            "channels last": Tokens(
                lambda x: x.permute(0, 2, 3, 1), lambda x: x.permute(0, 3, 1, 2)
            ),
            "tokens": Tokens(
                lambda x: x.flatten(2).transpose(1, 2),
                lambda x: x.transpose(1, 2).reshape(1, 5, 12, 16),
            ),
            "windows": Tokens(
                lambda x: x.view(1, 8, 3, 4, 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(12, 16, 8),
                lambda x: x.flatten(1),
            ),
        }
    )
    assert set(map(tuple, found.values())) == {("LayerNorm", "Conv")}


def test_products_with_constant_matrices_are_linear_layers():
    matrix = torch.arange(24.0).view(8, 3) / 24
    found = captured(
        {
            "matmul": lambda x: x.permute(0, 2, 3, 1) @ matrix,
            "addmm": lambda x: torch.addmm(torch.ones(3), x.mean((2, 3)), matrix),
        }
    )
    assert found == {"matmul": ["Conv"], "addmm": ["GlobalPool", "Conv"]}


def test_the_mean_over_all_pixels_is_a_global_pool():
    means = {
        "flat": lambda x: x.mean((2, 3)),
        "map": lambda x: x.mean((-1, -2), keepdim=True),
        "channels last": lambda x: x.permute(0, 2, 3, 1).mean((1, 2)),
        "pixels": lambda x: x.flatten(2).mean(2),
        "tokens": lambda x: x.flatten(2).transpose(1, 2).mean(1, keepdim=True),
    }
    assert set(map(tuple, captured(means).values())) == {("GlobalPool",)}
