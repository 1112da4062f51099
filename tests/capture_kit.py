"""How tests see what capture makes of functions of the channels of a convolution."""

import torch
from torch import nn

from streamdyn.engine import reference
from streamdyn.engine.capture.module import capture
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
