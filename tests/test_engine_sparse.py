"""The engine on blocks against the plainest computation of what it promises.

The twin computes every node whole, by torch, and takes over the pixels of the masked blocks.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from streamdyn import BlockGrid, BlockMask
from streamdyn.engine import reference
from streamdyn.engine.capture.module import capture
from streamdyn.engine.graph import Constant, Dense, Node
from streamdyn.engine.lower import lower
from streamdyn.engine.plan import is_map
from streamdyn.engine.regions import Pixels
from streamdyn.engine.simplify import simplify
from streamdyn.engine.sparse import SparseNetwork

SIZE = (96, 128)


class Twin:
    """A graph computed whole at every call; of each map only the masked pixels are taken over."""

    def __init__(self, graph, grid):
        self.graph, self.grid = lower(graph), grid
        self.values = {}

    def __call__(self, x, mask):
        if mask:
            self._take(0, x, mask)
            with torch.inference_mode():
                for node in self.graph.nodes:
                    self._compute(node, mask)
        found = (self.values[value] for value in self.graph.outputs)
        return [view(tensor) for view, tensor in zip(self.graph.views, found, strict=True)]

    def _compute(self, node, mask):
        inputs = [self.values[value] for value in node.inputs]
        shape = self.graph.shapes[node.outputs[0]]
        given = reference.apply(node.op, inputs, shape, self.values[0])
        whole = isinstance(node.op, (Dense, Constant))
        for value, tensor in zip(
            node.outputs, given if isinstance(given, tuple) else (given,), strict=True
        ):
            self._take(value, tensor, self.grid.all() if whole else mask)

    def _take(self, value, tensor, mask):
        shape = self.graph.shapes[value]
        if is_map(shape) and value in self.values:
            chosen = np.zeros(shape[2] * shape[3], bool)
            runs = Pixels(self.grid, *shape[2:]).of(mask)
            chosen[runs.numbers(shape[3])] = True
            pixels = torch.from_numpy(chosen).view(1, 1, *shape[2:])
            tensor = torch.where(pixels, tensor, self.values[value])
        self.values[value] = tensor


class Everything(nn.Module):
    """One small network with each operation that runs on blocks."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU())
        self.depthwise = nn.Conv2d(12, 12, 5, 1, 2, groups=12)
        self.grouped = nn.Conv2d(12, 24, 3, 1, 1, groups=4)
        self.dilated = nn.Conv2d(24, 20, 3, 1, 4, dilation=4)
        self.squeeze = nn.Conv2d(20, 5, 1)
        self.excite = nn.Conv2d(5, 20, 1)
        self.norm = nn.LayerNorm(20)
        self.down = nn.Conv2d(20, 33, 1, 2)
        self.head = nn.Conv2d(53, 7, 1)
        self.label = nn.Linear(7, 4)

    def forward(self, x):
        x = self.stem(x)
        x = nn.functional.silu(self.depthwise(x)) + x
        first, second = self.grouped(x).chunk(2, 1)
        x = torch.cat([second, first.sigmoid()], 1)
        x = x.view(1, 2, 12, *x.shape[2:]).transpose(1, 2).reshape(x.shape)
        x = nn.functional.gelu(self.dilated(x))
        scale = self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        x = x * scale
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        low = self.down(nn.functional.max_pool2d(x, 3, 2, 1)).clamp(-1, 1)
        low = nn.functional.interpolate(low, x.shape[2:], mode="bilinear")
        near = nn.functional.avg_pool2d(nn.functional.interpolate(x, scale_factor=2), 2)
        maps = self.head(torch.cat([low, near], 1)).softmax(1)
        return {"maps": maps, "label": self.label(maps.mean((2, 3)))}


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    return simplify(capture(Everything().eval(), SIZE))


@pytest.fixture(scope="module")
def network(graph):
    return SparseNetwork(graph, 32, "float32")


@pytest.fixture(scope="module")
def every(graph, network, exact):
    """The network with each propagation."""
    tolerant = SparseNetwork(graph, 32, "float32", propagation=1e-3)
    return {"copy": network, 0: exact, 1e-3: tolerant}


def masks(grid):
    """Masks from a seed: nothing, some and all."""

    def draw(seed):
        rng = np.random.default_rng(seed)
        density = rng.choice([0, 0.1, 0.5, 1])
        return BlockMask(grid, rng.random(grid.shape) < density)

    return st.integers(0, 10**6).map(draw)


def image(seed):
    return torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(seed))


def same(found, expected, tolerance=1e-4):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(b.abs().max()))


def flat(output):
    return [output["maps"].clone(), output["label"].clone()]


@settings(max_examples=15)
@given(data=st.data())
def test_blocks_equal_the_twin(data, graph, network):
    twin, cache = Twin(graph, network.grid), network.new_cache()
    for call in range(4):
        mask = data.draw(masks(network.grid)) if call else network.grid.all()
        x = image(call)
        same(flat(network(x, mask, cache)), twin(x, mask))


def test_all_blocks_equal_the_model(network):
    torch.manual_seed(0)
    model = Everything().eval()
    cache = network.new_cache()
    for call in range(3):  # whatever was kept from before
        with torch.inference_mode():
            expected = model(image(call))
        found = network(image(call), network.grid.all(), cache)
        same(flat(found), [expected["maps"], expected["label"]])


def test_no_block_changes_nothing(network):
    cache = network.new_cache()
    before = flat(network(image(0), network.grid.all(), cache))
    after = flat(network(image(1), network.grid.none(), cache))
    same(after, before, 0)


@settings(max_examples=8)
@given(data=st.data(), count=st.integers(1, 5))
def test_streams_together_equal_one_by_one(data, count, network):
    """To the last bit, whatever order they come in."""
    caches = [(network.new_cache(), network.new_cache()) for _ in range(count)]
    for call in range(3):
        requests = []
        for stream, (alone, together) in enumerate(caches):
            mask = data.draw(masks(network.grid)) if call else network.grid.all()
            x = image(10 * call + stream)
            requests.append((x, mask, together))
            network(x, mask, alone)
        order = data.draw(st.permutations(range(count)))
        found = network.run_many([requests[stream] for stream in order])
        for output, stream in zip(found, order, strict=True):
            expected = network(image(0), network.grid.none(), caches[stream][0])
            assert [*map(torch.equal, flat(output), flat(expected))] == [True, True]


@settings(max_examples=8)
@given(data=st.data())
@pytest.mark.parametrize("propagation", ["copy", 0, 1e-3])
def test_streams_in_any_order_do_not_know_of_each_other(data, propagation, every):
    """Streams that take turns get what each gets alone."""
    network = every[propagation]
    turns = data.draw(st.lists(st.integers(0, 2), min_size=3, max_size=9))
    caches, calls = [network.new_cache() for _ in range(3)], [[], [], []]
    found = [None, None, None]
    for turn, stream in enumerate(turns):
        mask = data.draw(masks(network.grid)) if calls[stream] else network.grid.all()
        calls[stream].append((image(turn), mask))
        found[stream] = flat(network(image(turn), mask, caches[stream]))
    for stream, requests in enumerate(calls):
        cache = network.new_cache()
        for x, mask in requests:
            alone = flat(network(x, mask, cache))
        if requests:
            assert [*map(torch.equal, found[stream], alone)] == [True, True]


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (40, 72), (97, 131)])
@pytest.mark.parametrize("block", [16, 32, 64])
def test_any_size_and_block(size, block):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 5, 3, 1, 1)
    ).eval()
    graph = simplify(capture(net, size))
    network = SparseNetwork(graph, block, "float32")
    twin, cache = Twin(graph, network.grid), network.new_cache()
    rng = np.random.default_rng(0)
    for call in range(4):
        x = torch.randn(1, 3, *size)
        active = rng.random(network.grid.shape) < 0.4
        mask = BlockMask(network.grid, active) if call else network.grid.all()
        same([network(x, mask, cache)], twin(x, mask))


def test_what_does_not_belong_is_refused(network, graph):
    cache = network.new_cache()
    everything = network.grid.all()
    with pytest.raises(ValueError, match="compute all blocks first"):
        network(image(0), network.grid.none(), cache)
    with pytest.raises(ValueError, match="another network"):
        network(image(0), everything, SparseNetwork(graph, 32, "float32").new_cache())
    with pytest.raises(ValueError, match="a mask of"):
        network(image(0), BlockGrid(*SIZE, 16).all(), cache)
    with pytest.raises(ValueError, match="takes float32"):
        network(image(0).double(), everything, cache)
    with pytest.raises(ValueError, match="takes float32"):
        network(image(0)[..., :-1], everything, cache)
    with pytest.raises(ValueError, match="takes a tensor"):
        network(image(0).numpy(), everything, cache)
    network(image(0), everything, cache)  # and the cache is none the worse for it
    before = flat(network(image(0), network.grid.none(), cache))
    with pytest.raises(ValueError, match="the same cache"):
        network.run_many([(image(1), everything, cache), (image(2), everything, cache)])
    same(flat(network(image(0), network.grid.none(), cache)), before, 0)


def test_a_call_that_fails_midway_is_computed_anew():
    def fail(x):
        if x.isnan().any():
            raise RuntimeError("out of order")
        return x

    graph = simplify(capture(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU()).eval(), (32, 64)))
    shape = graph.shapes[graph.outputs[0]]
    graph.shapes.append(shape)
    made = len(graph.shapes) - 1
    graph.nodes.append(Node("last", Dense(fail, "fail"), graph.outputs, (made,)))
    network = SparseNetwork(replace(graph, outputs=(made,)), 32)
    cache, everything, x = network.new_cache(), network.grid.all(), torch.randn(1, 3, 32, 64)
    half = BlockMask(network.grid, np.array([[True, False]]))
    network(x, everything, cache)
    with pytest.raises(RuntimeError, match="out of order"):
        network(x * torch.nan, half, cache)
    with pytest.raises(ValueError, match="whose last call failed"):
        network(x, half, cache)
    before = network(x, everything, cache).clone()
    same([network(x, half, cache)], [before])


@pytest.mark.parametrize("propagation", ["copy", 0, 1e-3])
def test_what_is_not_a_number_does_not_stay(every, propagation):
    network = every[propagation]
    cache, clean, everything = network.new_cache(), network.new_cache(), network.grid.all()
    broken = image(0)
    broken[0, :, 40:50, 40:50] = torch.nan
    corner = BlockMask(network.grid, network.grid.none().active.copy())
    corner.active[1, 1] = True
    network(image(0), everything, cache)
    assert flat(network(broken, corner, cache))[0].isnan().any()
    network(broken, everything, cache)
    found = flat(network(image(1), everything, cache))
    same(found, flat(network(image(1), everything, clean)), 1e-6)
    found = flat(network(image(2), corner, cache))
    same(found, flat(network(image(2), corner, clean)), 1e-6)


def test_threads_may_share_a_network(network):
    """Streams in threads of their own get what they get one after another."""

    def run(stream, caches):
        cache = network.new_cache()
        for call in range(6):
            active = np.random.default_rng([stream, call]).random(network.grid.shape) < 0.4
            mask = BlockMask(network.grid, active) if call else network.grid.all()
            caches[stream] = flat(network(image(100 * stream + call), mask, cache))

    alone, together = {}, {}
    for stream in range(4):
        run(stream, alone)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda stream: run(stream, together), range(4)))
    for stream, expected in alone.items():
        same(together[stream], expected, 1e-6)


def test_share_counts_what_is_computed(network):
    grid = network.grid
    assert network.share(grid.none()) == 0
    assert network.share(grid.all()) == pytest.approx(1)
    half = BlockMask(grid, np.arange(grid.all().active.size).reshape(grid.shape) % 2 == 0)
    assert network.share(half) == pytest.approx(
        0.5, abs=0.02
    )  # and its dense steps, but these are few


@pytest.fixture(scope="module")
def exact(graph):
    return SparseNetwork(graph, 32, "float32", propagation=0)


@settings(max_examples=10)
@given(data=st.data())
def test_exact_equals_the_whole_network_where_the_mask_covers_the_change(data, graph, exact):
    cache = exact.new_cache()
    x = image(0)
    exact(x, exact.grid.all(), cache)
    for call in range(1, 4):
        mask = data.draw(masks(exact.grid))
        pixels = torch.from_numpy(mask.pixels(*SIZE))
        x = torch.where(pixels, image(call), x)
        same(flat(exact(x, mask, cache)), reference.run(graph, x))


def test_exact_costs_no_more_than_what_the_change_reaches(exact):
    mask = exact.grid.none()
    mask.active[0, 0] = True
    assert exact.grid.none().density < mask.density < exact.share(mask) <= 1


def test_a_tolerance_holds_its_bound_under_slow_drift():
    """A ramp of +0.01 a frame, below the tolerance: held back, and never lost."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 2, 3, 2, 1)).eval()
    graph = simplify(capture(net, (32, 32)))
    network = SparseNetwork(graph, 16, "float32", propagation=0.1)
    cache, everything = network.new_cache(), network.grid.all()
    base = torch.randn(1, 3, 32, 32)
    network(base, everything, cache)
    almost = BlockMask(network.grid, everything.active.copy())
    almost.active[0, 0] = False  # all but the first block, so that it is no key frame
    # How far an error of the tolerance in each map can reach in the output.
    first, second = (
        float(layer.weight.detach().abs().sum((1, 2, 3)).max()) for layer in (net[0], net[2])
    )
    bound = 0.1 * (first * second + second + 1)
    for frame in range(1, 1001):
        x = base.clone()
        x[..., 16:, 16:] += 0.01 * frame
        found = network(x, almost, cache)
        (dense,) = reference.run(graph, x)
        assert float((found - dense).abs()[..., 9:, 9:].max()) <= bound


def test_a_tolerance_computes_nothing_beyond_what_differs(graph):
    network = SparseNetwork(graph, 32, "float32", propagation=1e-6)
    cache, everything = network.new_cache(), network.grid.all()
    before = flat(network(image(0), everything, cache))
    almost = BlockMask(network.grid, everything.active.copy())
    almost.active[0, 0] = False
    same(flat(network(image(0), almost, cache)), before, 0)
    x = image(0)
    x[..., 40:44, 40:44] += 3
    same(flat(network(x, almost, cache)), reference.run(graph, x), 1e-3)


def test_an_unknown_propagation_is_refused(graph):
    for propagation in ("flood", -1):
        with pytest.raises(ValueError, match="propagation is"):
            SparseNetwork(graph, 32, "float32", propagation)
    with pytest.raises(ValueError, match="dtype is one of bfloat16, float32, not 'float16'"):
        SparseNetwork(graph, 32, "float16")
