"""Capture of whole modules: they give the same, and only what must be is dense."""

import pickle
from collections import Counter

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from streamdyn.engine import reference
from streamdyn.engine.capture.module import capture
from streamdyn.engine.graph import Dense
from tests.capture_kit import Compute, captured, compare, kinds


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
