"""Capture of torch modules: every operation means what it meant, and lies where it should."""

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
from streamdyn.engine.graph import Channels, Dense, Pad, Pool
from streamdyn.engine.simplify import simplify


class Compute(nn.Module):
    """A module that is one function, after a convolution that makes channels of the image."""

    def __init__(self, function, channels=8, **layers):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.function(self, self.stem(x))


def compare(module, size=(12, 16), simple=True):
    """Hold what was captured to the module itself, and return the graph."""
    torch.manual_seed(0)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 2.0)
    module.eval()
    graph = capture(module, size)
    graph = simplify(graph) if simple else graph
    x = torch.randn(1, 3, *size)
    with torch.inference_mode():
        expected = module(x)
    found = graph.rebuild(reference.run(graph, x))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    return graph


def kinds(graph):
    """The operations of a graph after its stem, in order."""
    return [type(node.op).__name__ for node in graph.nodes[1:]]


def function(compute, size=(12, 16), channels=8, **layers):
    """The operations that capture makes of a function of the stem's result."""
    made = Compute(lambda module, x: compute(x, **{n: getattr(module, n) for n in layers}),
                   channels, **layers)  # fmt: skip
    return kinds(compare(made, size))


ACTIVATIONS = {
    "relu": F.relu, "relu6": F.relu6, "hardtanh": F.hardtanh, "silu": F.silu, "mish": F.mish,
    "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "sigmoid": torch.sigmoid,
    "tanh": torch.tanh, "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "elu": F.elu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3), "softplus": F.softplus,
    "clamp": lambda x: x.clamp(-0.1, 0.2), "clamp_min": lambda x: x.clamp(min=0.1),
}  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations(activation):
    assert function(activation) == ["Activation"]
    assert function(lambda x: activation(x.permute(0, 2, 3, 1))) == ["Activation"]


COMPOSED = {
    "selu": (F.selu, ["Activation", "Affine"]),
    "celu": (lambda x: F.celu(x, 2.0), ["Activation", "Affine"]),
    "log_sigmoid": (F.logsigmoid, ["Activation", "Affine"]),
    "abs": (torch.abs, ["Affine", "Binary"]),
    "square": (lambda x: x**2 + torch.square(x), ["Binary", "Binary", "Binary"]),
    "glu": (lambda x: F.glu(x, 1), ["Channels", "Channels", "Activation", "Binary"]),
    "affine": (lambda x: (3 - (x * 2 + 1) / 4 - 1) * 0.5, []),  # folded into the stem
    "constants per channel": (lambda x: x * torch.arange(8.0).view(8, 1, 1) - torch.ones(8, 1, 1), []),
    "constant map": (lambda x: x - torch.arange(16.0), ["Constant", "Binary"]),
    "constant minus": (lambda x: torch.arange(16.0) - x.relu(), ["Activation", "Affine", "Constant", "Binary"]),
    "alpha": (lambda x: torch.sub(x.relu(), x.tanh(), alpha=2), ["Activation", "Activation", "Affine", "Binary"]),
    "two maps": (lambda x: torch.maximum(x, x.tanh()) / torch.minimum(x, x.sigmoid() - 2), None),
}  # fmt: skip


@pytest.mark.parametrize(("compute", "expected"), COMPOSED.values(), ids=COMPOSED)
def test_arithmetic(compute, expected):
    found = function(compute)
    assert "Dense" not in found
    if expected is not None:
        assert sorted(found) == sorted(expected)


def test_prelu_has_a_slope_per_channel():
    prelu = nn.PReLU(8)
    nn.init.uniform_(prelu.weight)
    assert "Dense" not in function(lambda x, act: act(x), act=prelu)
    assert "Dense" not in function(lambda x, act: act(x), act=nn.PReLU())


LAYERS = {
    "dilated": (nn.Conv2d(8, 6, 3, padding=2, dilation=2), "Conv"),
    "strided": (nn.Conv2d(8, 6, (3, 5), stride=(2, 3), padding=(1, 2)), "Conv"),
    "grouped": (nn.Conv2d(8, 12, 3, groups=4, bias=False), "Conv"),
    "depthwise": (nn.Conv2d(8, 8, 7, padding=3, groups=8), "Conv"),
    "same, even kernel": (nn.Conv2d(8, 6, (4, 3), padding="same"), "Conv"),
    "transposed": (nn.ConvTranspose2d(8, 6, 4, 2, 1), "ConvTranspose"),
    "transposed, uneven": (nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1, groups=2), "ConvTranspose"),
    "max pool": (nn.MaxPool2d(3, 2, 1), "Pool"),
    "max pool, dilated": (nn.MaxPool2d(2, 2, 1, dilation=2), "Pool"),
    "max pool, ceil": (nn.MaxPool2d(3, 2, ceil_mode=True), "Pool"),
    "average pool": (nn.AvgPool2d(3, 2, 1), "Pool"),
    "average pool, no padding counted": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), "Pool"),
    "average pool, ceil": (nn.AvgPool2d(5, 3, ceil_mode=True), "Pool"),
    "even adaptive pool": (nn.AdaptiveAvgPool2d((4, 2)), "Pool"),
    "adaptive max pool": (nn.AdaptiveMaxPool2d((4, 2)), "Pool"),
    "global pool": (nn.AdaptiveAvgPool2d(1), "GlobalPool"),
    "nearest": (nn.Upsample(scale_factor=2), "Resize"),
    "nearest, exact": (nn.Upsample(scale_factor=2, mode="nearest-exact"), "Resize"),
    "nearest, to a size": (nn.Upsample((9, 31)), "Resize"),
    "bilinear": (nn.Upsample((9, 31), mode="bilinear"), "Resize"),
    "bilinear, corners": (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), "Resize"),
    "pad": (nn.ConstantPad2d((1, 0, 3, 2), 0.5), "Pad"),
    "crop": (nn.ZeroPad2d((-1, 2, 0, -3)), "Pad"),
    "pixel shuffle": (nn.PixelShuffle(2), "ConvTranspose"),
    "pixel unshuffle": (nn.PixelUnshuffle(2), "Conv"),
    "channel shuffle": (nn.ChannelShuffle(4), "Channels"),
    "softmax": (nn.Softmax(1), "Softmax"),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "expected"), LAYERS.values(), ids=LAYERS)
def test_layers(layer, expected):
    assert function(lambda x, layer: layer(x), layer=layer) == [expected]


DENSE = {
    "uneven adaptive pool": (lambda x: F.adaptive_avg_pool2d(x, (5, 7)), "adaptive_avg_pool2d"),
    "scale that does not fit": (lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear"), "upsample_bilinear2d"),
    "bicubic": (lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), "upsample_bicubic2d"),
    "reflection": (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), "pad"),
    "channels padded": (lambda x: F.pad(x, (0, 0, 0, 0, 0, 2)), "pad"),
    "roll": (lambda x: x.roll((1, 2), (2, 3)), "roll"),
    "softmax over space": (lambda x: x.softmax(2), "softmax"),
    "layer norm over space": (lambda x: F.layer_norm(x, x.shape[1:]), "layer_norm"),
    "cumulative": (lambda x: x.cumsum(1).exp(), "cumsum, exp"),
    "comparison": (lambda x: torch.where(x > 0, x, x * 2), "gt, where"),
    "maps side by side": (lambda x: torch.cat([x, x], 2), "rearrange"),
    "argmax": (lambda x: x.argmax(1), "argmax"),
    "double": (lambda x: x.double().relu(), "relu"),
    "reciprocal": (lambda x: 1 / x, "reciprocal, mul"),
}  # fmt: skip


@pytest.mark.parametrize(("compute", "what"), DENSE.values(), ids=DENSE)
def test_everything_else_runs_dense(compute, what):
    graph = compare(Compute(lambda _, x: compute(x)))
    found = [node.op.what for node in graph.nodes if isinstance(node.op, Dense)]
    assert found == [what]


def test_batch_norm_folds_into_the_convolution_before_and_after_it():
    norm, last = nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)
    nn.init.normal_(norm.running_mean)
    assert function(lambda x, norm: norm(x), norm=norm) == []
    assert function(lambda x, norm: norm(x.relu()), norm=norm) == ["Activation", "Affine"]
    found = function(lambda x, norm, last: last(norm(x.relu())), norm=norm, last=last)
    assert found == ["Activation", "Conv"]


@pytest.mark.parametrize("norm", [nn.GroupNorm(4, 8), nn.InstanceNorm2d(8, affine=True)])
def test_only_the_statistics_of_group_norm_are_dense(norm):
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    assert function(lambda x, norm: norm(x), norm=norm) == ["Dense", "Binary", "Binary"]


def test_layer_norm_and_linear_over_channels_last():
    def compute(x, norm, linear):
        return linear(norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)

    layers = {"norm": nn.LayerNorm(8), "linear": nn.Linear(8, 5)}
    assert function(compute, **layers) == ["LayerNorm", "Conv"]

    def tokens(x, norm, linear):
        y = linear(norm(x.flatten(2).transpose(1, 2)))
        return y.transpose(1, 2).reshape(1, 5, *x.shape[2:])

    assert function(tokens, **layers) == ["LayerNorm", "Conv"]


def test_products_with_constant_matrices_are_linear_layers():
    matrix = torch.arange(24.0).view(8, 3) / 24
    assert function(lambda x: x.permute(0, 2, 3, 1) @ matrix) == ["Conv"]
    pooled = function(lambda x: torch.addmm(torch.ones(3), x.mean((2, 3)), matrix))
    assert pooled == ["GlobalPool", "Conv"]


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: x.mean((2, 3)),
        lambda x: x.mean((-1, -2), keepdim=True),
        lambda x: x.permute(0, 2, 3, 1).mean((1, 2)),
        lambda x: x.flatten(2).mean(2),
        lambda x: x.flatten(2).transpose(1, 2).mean(1, keepdim=True),
    ],
)
def test_the_mean_over_all_pixels_is_a_global_pool(pool):
    assert function(pool) == ["GlobalPool"]


@pytest.mark.parametrize("axes", [(2,), (1,), (1, 2, 3)])
def test_other_means_are_dense(axes):
    assert function(lambda x: x.mean(axes)) == ["Dense"]


SHUFFLES = {
    "shuffle": (lambda x: x.view(1, 2, 4, 12, 16).transpose(1, 2).reshape(x.shape), [0, 4, 1, 5, 2, 6, 3, 7]),
    "shuffle of flat pixels": (lambda x: x.reshape(4, 2, 192).permute(1, 0, 2).reshape(2, -1, 4, 12, 16)[1].view(1, 4, 12, 16), [1, 3, 5, 7]),
    "chunk": (lambda x: x.chunk(4, 1)[2], [4, 5]),
    "uneven split": (lambda x: x.split([1, 4, 3], 1)[1], [1, 2, 3, 4]),
    "every second": (lambda x: x[:, 1::2], [1, 3, 5, 7]),
    "indices": (lambda x: x[:, [3, 3, -1]], [3, 3, 7]),
    "index_select": (lambda x: x.index_select(1, torch.tensor([6, 0])), [6, 0]),
    "flip": (lambda x: x.flip(1), [7, 6, 5, 4, 3, 2, 1, 0]),
    "repeat": (lambda x: x[:, :3].repeat(1, 2, 1, 1), [0, 1, 2, 0, 1, 2]),
    "one": (lambda x: x[:, 5], [5]),
    "unbind": (lambda x: x.unbind(1)[-1], [7]),
    "of channels last": (lambda x: x.permute(0, 2, 3, 1)[..., 2:4].permute(0, 3, 1, 2), [2, 3]),
    "twice": (lambda x: x.flip(1)[:, :2], [7, 6]),
}  # fmt: skip


@pytest.mark.parametrize(("compute", "indices"), SHUFFLES.values(), ids=SHUFFLES)
def test_whatever_only_moves_channels_is_a_choice_of_channels(compute, indices):
    def and_read(x):
        y = compute(x).reshape(1, -1, 12, 16)
        return F.conv2d(y, torch.eye(y.shape[1])[:, :, None, None])

    graph = compare(Compute(lambda _, x: and_read(x)))
    chosen = [node.op.indices.tolist() for node in graph.nodes if isinstance(node.op, Channels)]
    assert chosen == [indices]
    assert not any(isinstance(node.op, Dense) for node in graph.nodes)


def test_rows_and_columns_can_be_cut_off_and_left_out():
    graph = compare(Compute(lambda _, x: x[:, :, 1:-2, 3::2]))
    assert [node.op.padding for node in graph.nodes if isinstance(node.op, Pad)] == [
        (-1, 0, -2, 0),
        (0, -3, 0, 0),
    ]
    assert [node.op.stride for node in graph.nodes if isinstance(node.op, Pool)] == [(1, 2)]


def test_squeeze_and_excitation():
    class Excite(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Linear(8, 4), nn.Linear(4, 8)

        def forward(self, x):
            scale = self.up(self.down(x.mean((2, 3))).relu()).sigmoid()
            return x * scale[:, :, None, None]

    found = function(lambda x, excite: excite(x), excite=Excite())
    assert found == ["GlobalPool", "Conv", "Activation", "Conv", "Activation", "Binary"]


def test_a_map_of_one_channel_multiplies_all():
    found = function(lambda x, gate: gate(x).sigmoid() * x, gate=nn.Conv2d(8, 1, 3, padding=1))
    assert found == ["Conv", "Activation", "Binary"]
    found = function(lambda x: x * x.amax(1, keepdim=True))
    assert found == ["Dense", "Binary"]


def test_concatenation_of_channels_in_any_place():
    assert function(lambda x: torch.cat([x, x.relu()], 1)) == ["Activation", "Concat"]
    last = function(lambda x: torch.cat([x.permute(0, 2, 3, 1), x.relu().permute(0, 2, 3, 1)], -1))
    assert last == ["Activation", "Concat"]


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
    assert Counter(kinds(graph)) == {
        "Conv": 5, "ConvTranspose": 2, "Activation": 5, "Pool": 2, "Concat": 2,
    }  # fmt: skip
    assert graph.output_names == ("logits", "features.0")


def test_deep_lab():
    graph = compare(DeepLab(), (16, 24))
    assert "Dense" not in kinds(graph)
    assert graph.output_names == ("output",)


def test_windows_of_attention_keep_everything_but_attention_on_blocks():
    class Windowed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)

        def forward(self, x):  # (1, 8, H, W), in windows of 4x4
            _, c, h, w = x.shape
            x = x.permute(0, 2, 3, 1)
            y = self.norm(x).view(1, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5)
            q, k, v = self.qkv(y.reshape(-1, 16, c)).view(-1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, 16, c)
            y = self.out(y).view(1, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5)
            return (x + y.reshape(x.shape)).permute(0, 3, 1, 2)

    found = function(lambda x, windowed: windowed(x), windowed=Windowed())
    assert Counter(found) == {"LayerNorm": 1, "Conv": 2, "Channels": 3, "Dense": 1, "Binary": 1}


def test_multi_head_attention_of_torch():
    class Attend(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            tokens = x.flatten(2).transpose(1, 2)
            y = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
            return y.transpose(1, 2).view(x.shape)

    found = function(lambda x, attend: attend(x), attend=Attend())
    assert found.count("Dense") == 1


def test_flat_pixels_and_what_follows_run_in_one_dense_node():
    head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 12 * 16, 6), nn.ReLU(), nn.Linear(6, 2))
    graph = compare(Compute(lambda module, x: module.head(x.relu()), head=head))
    (dense,) = (node for node in graph.nodes if isinstance(node.op, Dense))
    assert dense.op.macs == 8 * 12 * 16 * 6 + 6 * 2
    assert dense.name == "head"
    assert dense.op.what == "linear, relu"


def test_dense_results_that_several_layers_need_are_computed_once():
    def compute(x, first, second):
        y = x.cumsum(3).exp()
        return first(y) + second(y), y.sum()

    graph = compare(
        Compute(
            lambda m, x: compute(x / 100, m.first, m.second),
            first=nn.Conv2d(8, 4, 1),
            second=nn.Conv2d(8, 4, 1),
        )  # fmt: skip
    )
    whats = [node.op.what for node in graph.nodes if isinstance(node.op, Dense)]
    assert whats == ["cumsum, exp", "sum"]


def test_a_module_stays_as_it_is():
    module = Compute(lambda _, x: x.relu()).train().half()
    capture(module, (8, 8))
    assert module.training
    assert module.stem.weight.dtype == torch.float16
    assert module.stem.weight.requires_grad


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


class Holds(nn.Module):
    def __init__(self):
        super().__init__()
        self.lock = (number for number in range(3))


FAULTS = {
    "decision": (Decides(), r"layer stages\.1 decides by the values of its input"),
    "shape": (Fails(), r"layer stages\.1 fails on an input of 8x12 px: .*7"),
    "size": (Selects(), r"layer stages\.1 gives \(.*\) a tensor whose size depends on the image"),
    "copy": (Holds(), r"cannot be copied: .*generator"),
}


@pytest.mark.parametrize(("layer", "message"), FAULTS.values(), ids=FAULTS)
def test_refusals_name_the_layer_and_the_reason(layer, message, capfd):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.stages = nn.ModuleList([nn.Conv2d(3, 4, 3), layer])

        def forward(self, x):
            return self.stages[1](self.stages[0](x))

    with pytest.raises(ModelError, match=message):
        capture(Network(), (8, 12))
    assert capfd.readouterr() == ("", "")


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
