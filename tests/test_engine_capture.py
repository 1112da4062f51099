"""Capture of torch modules: every operation means what it meant, and lies where it should."""

import logging
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from streamdyn import ModelError
from streamdyn.engine import reference
from streamdyn.engine.capture.layout import Layout
from streamdyn.engine.capture.module import capture
from streamdyn.engine.graph import Channels, Conv, Dense, Pad, Pool
from streamdyn.engine.simplify import simplify


class Compute(nn.Module):
    """Functions of the channels that a convolution makes of the image: one output for each."""

    def __init__(self, functions):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.functions = functions
        self.layers = nn.ModuleDict(
            {str(n): f for n, f in enumerate(functions.values()) if isinstance(f, nn.Module)}
        )

    def forward(self, x):
        stem = self.stem(x)
        return {name: function(stem) for name, function in self.functions.items()}


def compare(module, size=(12, 16)):
    """Hold what was captured to the module itself, and return the simplified graph."""
    torch.manual_seed(0)
    for name, parameter in [*module.named_parameters(), *module.named_buffers()]:
        if parameter.is_floating_point():
            nn.init.uniform_(parameter, 0.5 if name.endswith("running_var") else -0.5, 1.0)
    module.eval()
    graph = simplify(capture(module, size))
    x = torch.randn(1, 3, *size)
    with torch.inference_mode():
        expected = module(x)
    found = graph.rebuild(reference.run(graph, x))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    return graph


def behind(graph, name):
    """The operations from the stem to an output, in order."""
    makers = {value: node for node in graph.nodes for value in node.outputs}
    nodes, values = set(), [graph.outputs[graph.output_names.index(name)]]
    while values:
        node = makers[values.pop()]
        if node is not graph.nodes[0] and node not in nodes:
            nodes.add(node)
            values += node.inputs
    return [node.op for node in graph.nodes if node in nodes]


def kinds(operations):
    return [type(operation).__name__ for operation in operations]


def captured(functions):
    """The kinds of operations that capture makes of each function of the stem's result."""
    graph = compare(Compute(functions))
    return {name: kinds(behind(graph, name)) for name in functions}


def operations(function):
    """The kinds of operations that capture makes of a function of the stem's result."""
    return captured({"y": function})["y"]


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


SHUFFLES = {
    "shuffle": (
        lambda x: x.view(1, 2, 4, 12, 16).transpose(1, 2).reshape(x.shape),
        [0, 4, 1, 5, 2, 6, 3, 7],
    ),
    "half of a shuffle": (
        lambda x: x.reshape(4, 2, 192).permute(1, 0, 2).reshape(2, -1, 4, 12, 16)[1],
        [1, 3, 5, 7],
    ),
    "chunk": (lambda x: x.chunk(4, 1)[2], [4, 5]),
    "uneven split": (lambda x: x.split([1, 4, 3], 1)[1], [1, 2, 3, 4]),
    "every second": (lambda x: x[:, 1::2], [1, 3, 5, 7]),
    "indices": (lambda x: x[:, [3, 3, -1]], [3, 3, 7]),
    "index_select": (lambda x: x.index_select(1, torch.tensor([6, 0])), [6, 0]),
    "flip": (lambda x: x.flip(1), [7, 6, 5, 4, 3, 2, 1, 0]),
    "repeat": (lambda x: x[:, :3].repeat(1, 2, 1, 1), [0, 1, 2, 0, 1, 2]),
    "one": (lambda x: x[:, 5], [5]),
    "unbind": (lambda x: x.unbind(1)[-1], [7]),
    "last": (lambda x: x.permute(0, 2, 3, 1)[..., 2:4].permute(0, 3, 1, 2), [2, 3]),
    "twice": (lambda x: x.flip(1)[:, :2], [7, 6]),
}


def test_whatever_only_moves_channels_is_a_choice_of_channels():
    def read(choose):
        def function(x):
            y = choose(x).reshape(1, -1, 12, 16)
            return F.conv2d(y, torch.eye(y.shape[1])[:, :, None, None])

        return function

    graph = compare(Compute({name: read(choose) for name, (choose, _) in SHUFFLES.items()}))
    for name, (_, indices) in SHUFFLES.items():
        choice, convolution = behind(graph, name)
        assert isinstance(choice, Channels), name
        assert choice.indices.tolist() == indices, name
        assert isinstance(convolution, Conv), name


def test_rows_and_columns_can_be_cut_off_and_left_out():
    graph = compare(Compute({"y": lambda x: x[:, :, 1:-2, 3::2]}))
    assert behind(graph, "y") == [
        Pad((-1, 0, -2, 0)),
        Pad((0, -3, 0, 0)),
        Pool("max", (1, 1), (1, 2)),
    ]


class Excite(nn.Module):
    """Squeeze and excitation, by linear layers."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Linear(8, 4), nn.Linear(4, 8)

    def forward(self, x):
        scale = self.up(self.down(x.mean((2, 3))).relu()).sigmoid()
        return x * scale[:, :, None, None]


class Gate(nn.Module):
    """One number for all channels of a pixel."""

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def forward(self, x):
        return self.gate(x).sigmoid() * x


def test_one_number_for_a_channel_or_a_pixel():
    found = captured(
        {
            "channel": Excite(),
            "pixel": Gate(nn.Conv2d(8, 1, 3, padding=1)),
            "dense pixel": lambda x: x - x.amax(1, keepdim=True),
            "dense channel": lambda x: x.amax((2, 3), keepdim=True) - x,
        }
    )
    assert found == {
        "channel": ["GlobalPool", "Conv", "Activation", "Conv", "Activation", "Binary"],
        "pixel": ["Conv", "Activation", "Binary"],
        "dense pixel": ["Dense", "Binary"],
        "dense channel": ["Dense", "Binary", "Affine"],
    }


def test_concatenation_of_channels_in_any_place():
    found = captured(
        {
            "maps": lambda x: torch.cat([x, x.relu()], 1),
            "channels last": lambda x: torch.cat([x.movedim(1, 3), x.relu().movedim(1, 3)], -1),
            "dense": lambda x: torch.cat([x.exp(), x], 1),
        }
    )
    assert found == {
        "maps": ["Activation", "Concat"],
        "channels last": ["Activation", "Concat"],
        "dense": ["Dense", "Concat"],
    }


def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([block(3, 8), block(8, 12), block(12, 16)])
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(16, 12, 2, 2), nn.ConvTranspose2d(12, 8, 3, 2, 1, output_padding=1)]
        )
        self.merge = nn.ModuleList([block(24, 12), block(16, 8)])
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        kept = []
        for layer in self.down:
            x = layer(x)
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = kept.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([kept.pop(), up(x)], 1))
        return {"logits": self.head(x), "features": [x, None, 3]}


class DeepLab(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = block(3, 16)
        self.pyramid = nn.ModuleList(
            nn.Conv2d(16, 8, 3, padding=rate, dilation=rate) for rate in (1, 2, 4, 6)
        )
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 8, 1), nn.ReLU())
        self.head = nn.Conv2d(40, 4, 1)

    def forward(self, x):
        y = F.avg_pool2d(self.stem(x), 2)
        pooled = F.interpolate(self.pool(y), y.shape[2:], mode="bilinear")
        y = self.head(torch.cat([*(layer(y) for layer in self.pyramid), pooled], 1))
        return F.interpolate(y, x.shape[2:], mode="bilinear", align_corners=False)


def test_u_net():
    graph = compare(UNet(), (16, 24))
    assert Counter(kinds(node.op for node in graph.nodes)) == {
        "Conv": 6, "ConvTranspose": 2, "Activation": 5, "Pool": 2, "Concat": 2,
    }  # fmt: skip
    assert graph.output_names == ("logits", "features.0")


def test_deep_lab():
    graph = compare(DeepLab(), (16, 24))
    assert "Dense" not in kinds(node.op for node in graph.nodes)
    assert graph.output_names == ("output",)


class Windowed(nn.Module):
    """Attention within windows of 4x4 pixels."""

    def __init__(self):
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        y = self.norm(x).view(1, 3, 4, 4, 4, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, 8)
        q, k, v = self.qkv(y).view(-1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, 16, 8)
        y = self.out(y).view(1, 3, 4, 4, 4, 8).permute(0, 1, 3, 2, 4, 5)
        return (x + y.reshape(x.shape)).permute(0, 3, 1, 2)


class Attend(nn.Module):
    """Attention over all pixels."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        y = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return y.transpose(1, 2).view(x.shape)


def test_only_attention_itself_is_dense():
    found = {name: Counter(o) for name, o in captured({"w": Windowed(), "all": Attend()}).items()}
    layers = {"Conv": 2, "Channels": 3, "Dense": 1, "Binary": 1}
    assert found["w"] == layers | {"LayerNorm": 1}
    assert found["all"] == layers


def test_flat_pixels_and_what_follows_run_in_one_dense_node():
    head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 12 * 16, 6), nn.ReLU(), nn.Linear(6, 2))
    graph = compare(Compute({"y": nn.Sequential(nn.ReLU(), head)}))
    (dense,) = (node for node in graph.nodes if isinstance(node.op, Dense))
    assert dense.op.macs == 8 * 12 * 16 * 6 + 6 * 2
    assert dense.name == "layers.0.1"
    assert dense.op.what == "linear, relu"


class Share(nn.Module):
    """Two layers that read one dense result, which is also summed."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        y = (x / 100).cumsum(3).exp()
        return self.first(y) + self.second(y), y.sum()


def test_dense_results_that_several_layers_need_are_computed_once():
    graph = compare(Compute({"y": Share()}))
    whats = [node.op.what for node in graph.nodes if isinstance(node.op, Dense)]
    assert whats == ["cumsum, exp", "sum"]


def test_a_module_stays_as_it_is():
    module = Compute({"y": F.relu}).train().half()
    capture(module, (8, 8))
    assert module.training
    assert module.stem.weight.dtype == torch.float16
    assert module.stem.weight.requires_grad


def test_sizes_that_depend_on_the_image_may_stay_inside_a_dense_node():
    found = captured({"sum": lambda x: x[x > 0].sum()})
    assert found == {"sum": ["Dense"]}


def test_a_graph_can_be_sent_to_another_process():
    graph = compare(Compute({"attention": Attend(), "norm": nn.GroupNorm(2, 8)}))
    twin = pickle.loads(pickle.dumps(graph))
    x = torch.randn(1, 3, 12, 16)
    one, other = (g.rebuild(reference.run(g, x)) for g in (graph, twin))
    assert all(torch.equal(one[name], other[name]) for name in ("attention", "norm"))


def test_a_module_may_return_its_input_and_constants():
    class Same(nn.Module):
        def forward(self, x):
            return x, torch.ones(2), x

    graph = capture(Same(), (8, 8))
    x = torch.randn(1, 3, 8, 8)
    first, ones, last = graph.rebuild(reference.run(graph, x))
    assert torch.equal(first, x)
    assert torch.equal(last, x)
    assert torch.equal(ones, torch.ones(2))
    assert graph.output_names == ("0", "2")


class Decides(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Fails(nn.Module):
    def forward(self, x):
        return x.view(7, -1)


class Selects(nn.Module):
    def forward(self, x):
        return x[x > 0]


class Chooses(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,))


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("last", torch.zeros(1))

    def forward(self, x):
        self.last.copy_(x.mean().view(1))
        return x - self.last


class Holds(nn.Module):
    def __init__(self):
        super().__init__()
        self.lock = (number for number in range(3))


class Joins(nn.Module):
    """Torch logs an error of this kind before it raises it."""

    def forward(self, x):
        return torch.cat([x, x[:, :, 1:]], dim=1)


FAULTS = {
    "decision": (Decides(), r"layer stages\.1 decides by the values of its input"),
    "shape": (Fails(), r"layer stages\.1 fails on an input of 8x12 px: .*7"),
    "sides": (Joins(), r"layer stages\.1 fails on an input of 8x12 px: Sizes of tensors"),
    "size": (Selects(), r"layer stages\.1 gives \(.*\) a tensor whose size depends on the image"),
    "branches": (Chooses(), r"it chooses between computations while it runs \(true_graph_0\)"),
    "memory": (Remembers(), r"keeps something .* in its buffer 'stages\.1\.last'"),
    "copy": (Holds(), r"cannot be copied: .*generator"),
}


@pytest.mark.parametrize(("layer", "message"), FAULTS.values(), ids=FAULTS)
def test_refusals_name_the_layer_and_the_reason(layer, message, capfd, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("torch"), "propagate", True)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.stages = nn.ModuleList([nn.Conv2d(3, 4, 3), layer])

        def forward(self, x):
            return self.stages[1](self.stages[0](x))

    with pytest.raises(ModelError, match=message):
        capture(Network(), (8, 12))
    assert capfd.readouterr() == ("", "")
    assert [each for each in caplog.records if each.levelno > logging.DEBUG] == []


def test_a_network_that_ignores_the_image_is_refused():
    class Blind(nn.Module):
        def forward(self, x):
            return torch.ones(3)

    with pytest.raises(ModelError, match="returns nothing made of the image"):
        capture(Blind(), (8, 8))


def factors(size):
    return st.sampled_from([n for n in range(1, size + 1) if size % n == 0])


@settings(max_examples=200)
@given(st.data())
def test_a_layout_follows_any_chain_of_views_and_permutations(data):
    base = (1, 6, 4, 8)
    value = torch.arange(192).view(base)
    tensor, layout = value, Layout.plain(base)
    for _ in range(data.draw(st.integers(1, 5))):
        if data.draw(st.booleans()):
            order = data.draw(st.permutations(range(tensor.ndim)))
            tensor, layout = tensor.permute(order), layout.permute(order)
        else:
            shape, left = [], tensor.numel()
            for _ in range(data.draw(st.integers(0, 4))):
                shape.append(data.draw(factors(left)))
                left //= shape[-1]
            shape.append(left)
            viewed = layout.view(shape)
            if viewed is None:
                continue  # parts cut unevenly
            tensor, layout = tensor.reshape(shape), viewed
    assert layout.shape == tensor.shape
    assert torch.equal(layout.read(value), tensor)
    assert torch.equal(layout.write(tensor), value)


def test_layouts_that_are_equal_compare_equal():
    plain = Layout.plain((1, 6, 4, 8))
    there = plain.view((2, 3, 32)).permute((1, 2, 0))
    assert there.permute((2, 0, 1)).view((1, 6, 4, 8)) == plain
    assert there != plain
    assert np.array_equal(there.shape, (3, 32, 2))
