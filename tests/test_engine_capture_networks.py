"""Networks of other people, captured: they give the same, and only what must be dense is."""

from collections import Counter

import pytest
import torch

from streamdyn.engine import reference
from streamdyn.engine.capture.module import capture
from streamdyn.engine.graph import Affine, Conv, Dense, GlobalPool, LayerNorm, Pad
from streamdyn.engine.simplify import simplify
from streamdyn.models.builtin.street import StreetNet
from tests.third_party import (
    NETWORKS,
    mobilevit,
    randomized,
    resnet,
    rtdetr,
    segformer,
    tensors,
    upernet,
)

SIZE = (64, 96)


def compare(module, size=SIZE):
    """Hold what was captured to the module itself, and return the simplified graph."""
    graph = capture(module, size)
    simple = simplify(graph)
    x = torch.randn(1, 3, *size)
    with torch.inference_mode():
        expected = module(x)
    for captured in (graph, simple):
        found = captured.rebuild(reference.run(captured, x))
        assert type(found) is type(expected)
        for one, other in zip(tensors(found), tensors(expected), strict=True):
            assert one.shape == other.shape
            assert one.dtype == other.dtype
            scale = float(other.abs().max())
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * scale)
    return simple


def dense(graph):
    """How often each kind of computation runs dense."""
    return Counter(node.op.what for node in graph.nodes if isinstance(node.op, Dense))


WHOLLY = NETWORKS.keys() - {"segformer", "mobilevit", "upernet", "rtdetr"}


@pytest.mark.parametrize(
    "make", [*map(NETWORKS.get, sorted(WHOLLY)), StreetNet], ids=[*sorted(WHOLLY), "street"]
)
def test_convolutional_networks_run_wholly_on_blocks(make):
    graph = compare(randomized(make()))
    assert dense(graph) == {}
    left_over = [node.name for node in graph.nodes if isinstance(node.op, (Affine, Pad))]
    assert left_over == []  # folded into the convolutions


def test_names_are_those_of_the_model():
    graph = simplify(capture(resnet("basic").eval(), SIZE))
    modules = dict(resnet("basic").named_modules())
    assert all(node.name in modules for node in graph.nodes)
    convolutions = [node.name for node in graph.nodes if isinstance(node.op, Conv)]
    assert convolutions[0] == "resnet.embedder.embedder.convolution"
    assert convolutions[-1] == "classifier.1"
    assert graph.output_names == ("logits",)


def test_only_the_attention_of_segformer_is_dense():
    graph = compare(randomized(segformer()))
    assert dense(graph) == {"scaled_dot_product_attention": 4}
    for node in graph.nodes:
        if isinstance(node.op, Dense):
            query = graph.shapes[node.inputs[0]]
            assert node.name.endswith("attention")
            assert [graph.shapes[value] for value in node.outputs] == [query]  # a map again
            keys = graph.shapes[node.inputs[1]]
            assert node.op.macs == 2 * query[1] * query[2] * query[3] * keys[2] * keys[3]


def test_only_the_attention_of_mobilevit_is_dense():
    graph = compare(randomized(mobilevit()))
    assert dense(graph) == {"matmul, div, softmax": 9}
    # Tokens of patches are pixels in another order: norms and linear layers stay on blocks.
    assert sum(isinstance(node.op, LayerNorm) for node in graph.nodes) == 21


def test_only_uneven_pooling_of_upernet_is_dense():
    graph = compare(randomized(upernet()), (64, 128))  # 2x4 pixels at the deepest stage
    assert dense(graph) == {"adaptive_avg_pool2d": 1}  # to 3x3; to 2x2 is even
    assert sum(isinstance(node.op, GlobalPool) for node in graph.nodes) == 1


def test_the_transformer_of_rtdetr_is_dense():
    graph = compare(randomized(rtdetr()))
    attention, decoder = (node for node in graph.nodes if isinstance(node.op, Dense))
    assert attention.name == "model.encoder.aifi.0.layers.0.self_attn"
    assert attention.op.what == "scaled_dot_product_attention"
    assert all(name in decoder.op.what for name in ("linear", "more"))
    assert [graph.shapes[value][1] for value in decoder.inputs] == [32, 32, 32]
    on_blocks = {node.name for node in graph.nodes if isinstance(node.op, Conv)}
    assert {"model.encoder.aifi.0.layers.0.mlp.fc1"} < on_blocks
