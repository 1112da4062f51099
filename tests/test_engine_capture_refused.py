"""Networks that cannot be captured: the error names the layer and the reason."""

import logging

import pytest
import torch
from torch import nn

from streamdyn import ModelError
from streamdyn.engine.capture.module import capture


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
