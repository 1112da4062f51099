"""Capture of what moves, scales, cuts and joins channels and rows: little of it costs anything."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from streamdyn.engine.graph import Channels, Conv, Pad, Pool
from tests.capture_kit import Compute, behind, captured, compare

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
