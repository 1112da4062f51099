"""Networks as their authors wrote them, in the smallest configurations that have all their parts.

Their weights are random; nothing is downloaded.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported

import torch
import transformers as hf
from torch import nn
from torch.utils import _pytree as pytree

WIDTHS = {"depths": [1, 1, 1, 1], "hidden_sizes": [16, 24, 32, 40]}
STAGES = ["stage1", "stage2", "stage3", "stage4"]


def resnet(kind):
    config = hf.ResNetConfig(**WIDTHS, embedding_size=16, layer_type=kind, num_labels=5)
    return hf.ResNetForImageClassification(config)


def regnet():
    config = hf.RegNetConfig(**WIDTHS, embedding_size=16, groups_width=8, layer_type="y")
    return hf.RegNetForImageClassification(config)


def mobilenet(version, task):
    config = getattr(hf, f"MobileNet{version}Config")(depth_multiplier=0.25, num_labels=5)
    return getattr(hf, f"MobileNet{version}For{task}")(config)


def convnext():
    return hf.ConvNextForImageClassification(hf.ConvNextConfig(**WIDTHS, num_labels=5))


def efficientnet():
    config = hf.EfficientNetConfig(
        width_coefficient=0.25, depth_coefficient=0.3, hidden_dim=320, num_labels=5
    )
    return hf.EfficientNetForImageClassification(config)


def segformer():
    config = hf.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 24, 32], decoder_hidden_size=16, num_labels=5
    )
    return hf.SegformerForSemanticSegmentation(config)


def mobilevit():
    config = hf.MobileViTConfig(
        neck_hidden_sizes=[8, 16, 16, 24, 24, 24, 32], hidden_sizes=[16, 24, 32], num_labels=5
    )
    return hf.MobileViTForImageClassification(config)


def upernet():
    backbone = hf.ResNetConfig(**WIDTHS, embedding_size=16, layer_type="basic", out_features=STAGES)
    config = hf.UperNetConfig(
        backbone_config=backbone, hidden_size=16, pool_scales=[1, 2, 3], num_labels=5,
        auxiliary_in_channels=32,
    )  # fmt: skip
    return hf.UperNetForSemanticSegmentation(config)


def rtdetr():
    backbone = hf.RTDetrResNetConfig(
        **WIDTHS, embedding_size=16, layer_type="basic", out_features=STAGES[1:]
    )
    config = hf.RTDetrConfig(
        backbone_config=backbone, encoder_in_channels=[24, 32, 40], d_model=32,
        encoder_hidden_dim=32, encoder_ffn_dim=32, encoder_attention_heads=4,
        decoder_in_channels=[32, 32, 32], decoder_layers=1, decoder_ffn_dim=32,
        decoder_attention_heads=4, num_queries=12, num_labels=5,
    )  # fmt: skip
    return hf.RTDetrForObjectDetection(config)


def randomized(module):
    """With weights that use their range, and statistics that batch norm cannot ignore."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.uniform_(parameter, 0.5, 1.5)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            nn.init.normal_(buffer)
        elif name.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 2.0)
    return module.eval()


def tensors(structure):
    return [leaf for leaf in pytree.tree_leaves(structure) if isinstance(leaf, torch.Tensor)]


class UNet(nn.Module):
    """Three ways to go up again: on a pixel, between pixels, and with a pixel left over."""

    def __init__(self):
        super().__init__()
        self.stem = self._twice(3, 8)
        self.down = nn.ModuleList([self._twice(8, 12), self._twice(12, 16), self._twice(16, 20)])
        self.up = nn.ModuleList(
            [
                nn.ConvTranspose2d(20, 16, 2, 2),
                nn.Sequential(nn.ConvTranspose2d(16, 12, 4, 2, 1), nn.BatchNorm2d(12), nn.ReLU()),
                nn.ConvTranspose2d(12, 8, 3, 2, 1, output_padding=1),
            ]
        )
        self.merge = nn.ModuleList([self._twice(32, 16), self._twice(24, 12), self._twice(16, 8)])
        self.head = nn.Conv2d(8, 4, 1)

    def _twice(self, inputs, outputs):
        layers = [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(outputs, outputs, 3, 1, 1), nn.ReLU())

    def forward(self, x):
        maps = [self.stem(x)]
        for down in self.down:
            maps.append(down(nn.functional.max_pool2d(maps[-1], 2)))
        x = maps.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([maps.pop(), up(x)], 1))
        return self.head(x)


NETWORKS = {
    "resnet-18": lambda: resnet("basic"),
    "resnet-50": lambda: resnet("bottleneck"),
    "regnet": regnet,
    "mobilenet-v1": lambda: mobilenet("V1", "ImageClassification"),
    "mobilenet-v2": lambda: mobilenet("V2", "ImageClassification"),
    "deeplab": lambda: mobilenet("V2", "SemanticSegmentation"),
    "convnext": convnext,
    "efficientnet": efficientnet,
    "segformer": segformer,
    "mobilevit": mobilevit,
    "upernet": upernet,
    "rtdetr": rtdetr,
    "unet": UNet,
}
