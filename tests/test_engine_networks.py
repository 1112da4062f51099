"""Networks of other people on blocks: the same as torch, and only what must be is dense."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from streamdyn import BlockMask, open_source
from streamdyn.bench.engine.twin import Twin
from streamdyn.engine import reference
from streamdyn.engine.capture.module import capture
from streamdyn.engine.capture.onnx import capture_onnx
from streamdyn.engine.graph import Conv, Graph
from streamdyn.engine.simplify import simplify
from streamdyn.engine.sparse import SparseNetwork
from streamdyn.fit import Fit
from streamdyn.postprocess.detection import fastestdet
from tests.engine_kit import image, random_mask, same
from tests.third_party import NETWORKS, randomized, tensors

SIZE = (64, 96)
BLOCK = 32
DENSE = {  # nothing, in networks that are not named
    "segformer": {"scaled_dot_product_attention": 4},
    "mobilevit": {"matmul, div, softmax": 9},
    "upernet": {"adaptive_avg_pool2d": 2},  # to sizes that do not divide the map
    "rtdetr": {"scaled_dot_product_attention": 1, "mul, linear, layer_norm and 15 more": 1},
}
"""What runs dense, and how often."""


@dataclass
class Net:
    """A network as torch computes it, and its graph."""

    name: str
    module: nn.Module
    graph: Graph

    def dense(self, x: torch.Tensor) -> list[torch.Tensor]:
        with torch.inference_mode():
            return [tensor.float() for tensor in tensors(self.module(x))]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of torch get in each other's way on maps as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=NETWORKS)
def net(request):
    module = randomized(NETWORKS[request.param]())
    return Net(request.param, module, simplify(capture(module, SIZE)))


def check_blocks(graph, size, dense):
    """Hold all blocks to the network computed whole, no block to the last result, some to the
    twin."""
    network = SparseNetwork(graph, BLOCK)
    cache, twin = network.new_cache(), Twin(network.plan.graph)
    for call in range(4):
        x = image(call, size)
        mask = random_mask(network.grid, call) if call in (1, 2) else network.grid.all()
        found = network.tensors(x, mask, cache).values()
        same(found, twin(x, mask))
        if mask.density == 1:
            same(found, dense(x))
        before = [tensor.clone() for tensor in found]
        same(network.tensors(x + 1, network.grid.none(), cache).values(), before, 0)


def test_blocks_equal_torch_and_the_twin(net):
    check_blocks(net.graph, SIZE, net.dense)


def test_bfloat16_is_no_worse_than_that_of_torch(net):
    network = SparseNetwork(net.graph, BLOCK, "bfloat16")
    cache, ours, theirs = network.new_cache(), 0.0, 0.0
    for seed in range(8):
        x = image(seed, SIZE)
        expected = net.dense(x)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = net.dense(x)
        found = network.tensors(x, network.grid.all(), cache).values()
        ours += sum(error(one, other) for one, other in zip(found, expected, strict=True))
        theirs += sum(error(one, other) for one, other in zip(rounded, expected, strict=True))
    # The few numbers of a classifier depend on how the weights happen to be rounded.
    assert ours <= (1.5 if expected[0].numel() < 10 else 1.0) * theirs


def error(found, expected):
    return float((found - expected).abs().mean() / expected.abs().mean())


def test_only_what_needs_the_whole_map_is_dense(net):
    network = SparseNetwork(net.graph, BLOCK)
    dense = [layer for layer in network.report() if layer.dense]
    assert Counter(layer.operation for layer in dense) == DENSE.get(net.name, {})
    assert all("needs the whole map" in layer.dense for layer in dense)
    assert not any(step.dense for step in network.plan.steps if isinstance(step.node.op, Conv))
    assert network.share(network.grid.none()) == 0
    assert network.share(network.grid.all()) == pytest.approx(1)
    corner = network.grid.none()
    corner.active[0, 0] = True
    assert network.share(corner) < 0.75


def test_exact_propagation_equals_torch(net):
    network = SparseNetwork(net.graph, BLOCK, propagation=0)
    cache, x = network.new_cache(), image(0, SIZE)
    network(x, network.grid.all(), cache)
    mask = random_mask(network.grid, 1)
    x = torch.where(torch.from_numpy(mask.pixels(*SIZE)), image(1, SIZE), x)
    same(network.tensors(x, mask, cache).values(), net.dense(x))


@pytest.mark.parametrize("size", [(352, 352), (96, 160)])
def test_a_real_detector(models_dir, size):
    graph = simplify(capture_onnx(models_dir / "fastestdet.onnx", size))
    check_blocks(graph, size, lambda x: reference.run(graph, x))
    assert not any(layer.dense for layer in SparseNetwork(graph, BLOCK).report())


def test_exact_propagation_equals_the_detector_on_every_frame_of_a_clip(models_dir, media):
    size = (352, 352)
    graph = simplify(capture_onnx(models_dir / "fastestdet.onnx", size))
    network = SparseNetwork(graph, BLOCK, propagation=0)
    cache, whole, grid = network.new_cache(), network.new_cache(), network.grid
    before = torch.full((1, 3, *size), torch.nan)
    densities, boxes = [], 0
    fit = Fit.make("stretch", (480, 640), size)
    classes = tuple(map(str, range(80)))
    for frame in open_source(media / "bottle-detection.mp4", max_frames=60):
        pixels = cv2.resize(frame.image, size, interpolation=cv2.INTER_NEAREST)
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float().div_(255).contiguous()
        differs = (x != before).any(1)[0].view(11, BLOCK, 11, BLOCK).any(3).any(1)
        mask, before = BlockMask(grid, differs.numpy()), x
        densities.append(mask.density)
        (found,) = network.tensors(x, mask, cache).values()
        (expected,) = reference.run(graph, x)
        same([found], [expected], 5e-5)  # rounded in another order, in every layer
        assert torch.equal(found, *network.tensors(x, grid.all(), whole).values())
        ours, theirs = (fastestdet([y.numpy()], fit, classes) for y in (found, expected))
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-3)  # pixels
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
        boxes += len(ours.boxes)
    assert boxes >= 60
    assert densities[0] == 1
    assert min(densities[1:]) < 0.9
