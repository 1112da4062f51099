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
from streamdyn.bench.engine.twin import Twin
from streamdyn.engine import reference
from streamdyn.engine.capture.module import capture
from streamdyn.engine.graph import Dense, Node
from streamdyn.engine.simplify import simplify
from streamdyn.engine.sparse import SparseNetwork
from tests.engine_kit import SIZE, Everything, everything, flat, image, masks, same


@pytest.fixture(scope="module")
def graph():
    return everything()


@pytest.fixture(scope="module")
def network(graph):
    return SparseNetwork(graph, 32, "float32")


@pytest.fixture(scope="module")
def every(graph, network, exact):
    """The network with each propagation."""
    tolerant = SparseNetwork(graph, 32, "float32", propagation=1e-3)
    return {"copy": network, 0: exact, 1e-3: tolerant}


@settings(max_examples=15)
@given(data=st.data())
def test_blocks_equal_the_twin(data, graph, network):
    twin, cache = Twin(network.plan.graph), network.new_cache()
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
    twin, cache = Twin(network.plan.graph), network.new_cache()
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
