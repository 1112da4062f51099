"""Networks for benchmarks: published ones by transformers, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from streamdyn.engine import reference
from streamdyn.engine.graph import Graph


class _Tensor(nn.Module):
    """A network of transformers that returns its logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x):  # type: ignore[no-untyped-def]  # torch calls it
        return self.network(x).logits


def _resnet50() -> nn.Module:
    from transformers import ResNetConfig, ResNetForImageClassification

    return _Tensor(ResNetForImageClassification(ResNetConfig()))


def _resnet18() -> nn.Module:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic")
    return _Tensor(ResNetForImageClassification(config))


def _mobilenetv2() -> nn.Module:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    return _Tensor(MobileNetV2ForImageClassification(MobileNetV2Config()))


def _street() -> nn.Module:
    from streamdyn.models.builtin.street import StreetNet

    return StreetNet()


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "resnet50": _resnet50,
    "resnet18": _resnet18,
    "mobilenetv2": _mobilenetv2,
    "street": _street,
}


def make_network(name: str) -> nn.Module:
    """One of `NETWORKS`, in evaluation mode, with the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return NETWORKS[name]().eval()


class Rebuilt(nn.Module):
    """Computes a captured graph by torch, and returns its first tensor.

    It is for engines that cannot run an ONNX file at another size than it was exported for.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: Tensor) -> Tensor:
        """Compute an image (1, 3, H, W)."""
        return reference.run(self.graph, x)[0]
