"""The engine on devices of torch, by its plain operations, against the plainest computation.

It runs on the CPU here, or on the device that STREAMDYN_DEVICE names.
"""

import gc
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from streamdyn import BlockMask, sparsify
from streamdyn.bench.engine.twin import Twin
from streamdyn.engine import reference
from streamdyn.engine.capture.module import capture
from streamdyn.engine.device.kernels import open_device
from streamdyn.engine.simplify import simplify
from streamdyn.engine.sparse import SparseNetwork
from streamdyn.engine.sparsify import capture_network
from tests.engine_kit import SIZE, Everything, everything, flat, image, masks, same

DEVICE = os.environ.get("STREAMDYN_DEVICE", "cpu")


def on_device(graph, block=32, dtype="float32", propagation="copy"):
    return SparseNetwork(graph, block, dtype, propagation, device=DEVICE, kernels="torch")


def run(network, x, mask, cache):
    return [tensor.cpu() for tensor in network.tensors(x.to(DEVICE), mask, cache).values()]


@pytest.fixture(scope="module")
def graph():
    return everything()


@pytest.fixture(scope="module")
def network(graph):
    return on_device(graph)


@settings(max_examples=3)
@given(data=st.data())
def test_blocks_equal_the_twin(data, graph, network):
    twin, cache = Twin(network.plan.graph), network.new_cache()
    for call in range(3):
        mask = data.draw(masks(network.grid)) if call else network.grid.all()
        same(run(network, image(call), mask, cache), twin(image(call), mask))


def test_all_blocks_equal_the_model(network):
    torch.manual_seed(0)
    model = Everything().eval()
    cache = network.new_cache()
    for call in range(2):
        with torch.inference_mode():
            expected = model(image(call))
        found = network(image(call).to(DEVICE), network.grid.all(), cache)
        same([found["maps"].cpu(), found["label"].cpu()], [expected["maps"], expected["label"]])


def test_no_block_changes_nothing(network):
    cache = network.new_cache()
    before = [each.clone() for each in run(network, image(0), network.grid.all(), cache)]
    same(run(network, image(1), network.grid.none(), cache), before, 0)


@settings(max_examples=3)
@given(data=st.data(), count=st.integers(1, 4))
def test_streams_together_equal_one_by_one(data, count, network):
    caches = [(network.new_cache(), network.new_cache()) for _ in range(count)]
    for call in range(2):
        requests = []
        for stream, (alone, together) in enumerate(caches):
            mask = data.draw(masks(network.grid)) if call else network.grid.all()
            x = image(10 * call + stream).to(DEVICE)
            requests.append((x, mask, together))
            network(x, mask, alone)
        order = data.draw(st.permutations(range(count)))
        found = network.run_many([requests[stream] for stream in order])
        for output, stream in zip(found, order, strict=True):
            same([output["maps"].cpu(), output["label"].cpu()],
                 [each.cpu() for each in caches[stream][0].outputs()], 1e-5)  # fmt: skip


@pytest.mark.parametrize("size", [(32, 32), (40, 72), (97, 131)])
@pytest.mark.parametrize("block", [16, 32, 64])
def test_any_size_and_block(size, block):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 5, 3, 1, 1)
    ).eval()
    graph = simplify(capture(net, size))
    network = on_device(graph, block)
    twin, cache = Twin(network.plan.graph), network.new_cache()
    rng = np.random.default_rng(0)
    for call in range(3):
        x, active = torch.randn(1, 3, *size), rng.random(network.grid.shape) < 0.4
        mask = BlockMask(network.grid, active) if call else network.grid.all()
        same(run(network, x, mask, cache), twin(x, mask))


@pytest.mark.parametrize("pool", [nn.AvgPool2d(999, ceil_mode=True), nn.MaxPool2d(3, 2, 1)])
def test_a_pool_may_be_larger_than_its_map(pool):
    net, x = nn.Sequential(nn.Conv2d(3, 256, 1), pool).eval(), torch.randn(1, 3, 16, 16)
    network = on_device(simplify(capture(net, (16, 16))), 16)
    with torch.inference_mode():
        same(run(network, x, network.grid.all(), network.new_cache()), [net(x)])


class Hourglass(nn.Module):
    """What runs dense between what runs on blocks, and sums and vectors of one pixel."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.down = nn.Conv2d(8, 16, 3, 2, 1)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.mix, self.again = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1)
        self.position = nn.Parameter(torch.randn(1, 16, 16, 24))
        self.pool = nn.AdaptiveAvgPool2d((2, 3))
        self.head = nn.Linear(16 * 6, 5)

    def forward(self, x):
        fine = self.stem(x).relu()
        coarse = nn.functional.mish(self.down(fine)) + self.position
        mean = coarse.mean((2, 3), keepdim=True)
        coarse = coarse * (self.again(self.mix(mean).relu()) + mean).sigmoid()
        up = nn.functional.pad(self.up(coarse), (0, 0, 0, 0)) + fine
        return nn.functional.avg_pool2d(up, 3, 1, 1), self.head(self.pool(coarse).flatten(1))


@pytest.fixture(scope="module")
def hourglass():
    torch.manual_seed(0)
    return simplify(capture(Hourglass().eval(), (64, 96)))


@pytest.mark.parametrize("propagation", [0, 1e-6])
def test_steps_that_run_dense(hourglass, propagation):
    network = on_device(hourglass, 16, propagation=propagation)
    assert any(layer.dense for layer in network.report())
    caches = [network.new_cache() for _ in range(2)]
    rng, images = np.random.default_rng(0), list(torch.randn(2, 1, 3, 64, 96))
    for call in range(3):
        requests = []
        for stream, cache in enumerate(caches):
            active = rng.random(network.grid.shape) < (0.2 if call else 2)
            mask = BlockMask(network.grid, active)
            pixels = torch.from_numpy(mask.pixels(64, 96))
            images[stream] = torch.where(pixels, torch.randn(1, 3, 64, 96), images[stream])
            requests.append((images[stream].to(DEVICE), mask, cache))
        for found, x in zip(network.run_many(requests), images, strict=True):
            same([each.cpu() for each in found], reference.run(hourglass, x))


def test_steps_that_run_dense_with_copy_propagation(hourglass):
    network = on_device(hourglass, 16)
    twin, cache = Twin(network.plan.graph), network.new_cache()
    for call in range(3):
        x, active = torch.randn(1, 3, 64, 96), np.arange(24).reshape(4, 6) % 5 == call
        mask = BlockMask(network.grid, active) if call else network.grid.all()
        same(run(network, x, mask, cache), twin(x, mask))


@settings(max_examples=3)
@given(data=st.data())
def test_exact_equals_the_whole_network_where_the_mask_covers_the_change(data, graph, exact):
    cache, x = exact.new_cache(), image(0)
    run(exact, x, exact.grid.all(), cache)
    for call in range(1, 3):
        mask = data.draw(masks(exact.grid))
        x = torch.where(torch.from_numpy(mask.pixels(*SIZE)), image(call), x)
        same(run(exact, x, mask, cache), reference.run(graph, x))


@pytest.fixture(scope="module")
def exact(graph):
    return on_device(graph, propagation=0)


def test_a_tolerance_holds_its_bound_under_slow_drift():
    """A ramp of +0.01 a frame, below the tolerance: held back, and never lost."""
    torch.manual_seed(0)
    net = nn.Conv2d(3, 2, 1).eval()
    network = on_device(simplify(capture(net, (32, 32))), 16, propagation=0.1)
    cache, base = network.new_cache(), torch.randn(1, 3, 32, 32)
    run(network, base, network.grid.all(), cache)
    almost = network.grid.all()
    almost.active[0, 0] = False  # so that it is no key frame
    reach = float(net.weight.detach().abs().sum((1, 2, 3)).max())
    errors = []
    for frame in range(1, 60):
        x = base.clone()
        x[..., 16:, 16:] += 0.01 * frame
        with torch.inference_mode():
            errors.append(float((run(network, x, almost, cache)[0] - net(x)).abs().max()))
    assert max(errors) <= 0.1 * (reach + 1) + 1e-5
    assert max(errors) > 0.01  # something was held back


@pytest.mark.parametrize("propagation", ["copy", 0])
def test_the_cpu_gives_the_same(graph, propagation):
    plain, native = on_device(graph, propagation=propagation), SparseNetwork(
        graph, 32, propagation=propagation
    )  # fmt: skip
    caches = plain.new_cache(), native.new_cache()
    mask = BlockMask(plain.grid, np.arange(12).reshape(3, 4) % 3 == 0)
    for call, asked in enumerate((plain.grid.all(), mask)):
        expected = flat(native(image(call), asked, caches[1]))
        same(run(plain, image(call), asked, caches[0]), expected)
    assert plain.share(mask) == pytest.approx(native.share(mask))


def test_bfloat16_is_no_worse_than_the_dense_model_in_bfloat16():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 8, 3, 1, 1)).eval()
    x = torch.randn(1, 3, 64, 96)
    network = on_device(simplify(capture(net, (64, 96))), 16, "bfloat16")
    found = run(network, x, network.grid.all(), network.new_cache())[0]
    with torch.inference_mode():
        exact, dense = net(x), net.bfloat16()(x.bfloat16()).float()
    assert (found - exact).abs().mean() <= (dense - exact).abs().mean() * 1.05


def test_what_is_not_a_number_does_not_stay(network):
    cache, clean = network.new_cache(), network.new_cache()
    broken = image(0)
    broken[0, :, 40:50, 40:50] = torch.nan
    assert run(network, broken, network.grid.all(), cache)[0].isnan().any()
    found = run(network, image(1), network.grid.all(), cache)
    same(found, run(network, image(1), network.grid.all(), clean), 1e-6)


def test_a_forgotten_cache_leaves_its_place_to_another(graph):
    network = on_device(graph)
    everything = network.grid.all()
    first, second = network.new_cache(), network.new_cache()
    kept = [each.clone() for each in run(network, image(0), everything, second)]
    place = first.slot
    del first
    gc.collect()
    third, fourth = network.new_cache(), network.new_cache()
    assert third.slot == place
    assert len({second.slot, third.slot, fourth.slot}) == 3
    for cache in third, fourth:
        with pytest.raises(ValueError, match="compute all blocks first"):
            run(network, image(1), network.grid.none(), cache)
        run(network, image(1), everything, cache)
    same(run(network, image(1), network.grid.none(), second), kept, 0)


def test_a_cache_is_as_large_as_it_says(graph):
    network = on_device(graph)
    caches = [network.new_cache() for _ in range(3)]
    held = sum(each.numel() * each.element_size() for each in caches[0].arena.maps.values())
    assert held == 3 * network.cache_bytes


class Waits(TorchDispatchMode):
    """Notes operations whose results the CPU has to wait for."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ in {"_local_scalar_dense", "nonzero", "masked_select"}:
            self.found.append(function)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("propagation", ["copy", 0])
def test_a_call_waits_for_nothing(graph, propagation):
    network = on_device(graph, propagation=propagation)
    cache = network.new_cache()
    run(network, image(0), network.grid.all(), cache)
    mask = BlockMask(network.grid, np.arange(12).reshape(3, 4) % 3 == 0)
    with Waits() as waits:
        network(image(1).to(DEVICE), mask, cache)
    assert not waits.found
    with Waits() as waits:
        image(0)[0, 0, 0, 0].item()
    assert waits.found


def test_an_onnx_file(models_dir):
    graph = capture_network(models_dir / "fastestdet.onnx", (352, 352))
    network = on_device(graph)
    twin, cache = Twin(network.plan.graph), network.new_cache()
    for seed in range(2):
        x = torch.rand(1, 3, 352, 352, generator=torch.Generator().manual_seed(seed))
        active = np.random.default_rng(seed).random(network.grid.shape) < (0.1 if seed else 2)
        mask = BlockMask(network.grid, active)
        same(run(network, x, mask, cache), twin(x, mask))


def test_it_is_asked_for_as_a_user_would():
    torch.manual_seed(0)
    net, x = nn.Conv2d(3, 4, 3, 1, 1).eval(), torch.randn(1, 3, 32, 32)
    network = sparsify(net, (32, 32), block=16, device=DEVICE, kernels="torch")
    assert network.device.type == torch.device(DEVICE).type
    found = network(x.to(DEVICE), network.grid.all(), network.new_cache())
    torch.testing.assert_close(found.cpu(), net(x).detach(), rtol=1e-4, atol=1e-4)


def test_what_is_not_there_is_refused(graph):
    for device in ("cuda:99", "toaster"):
        with pytest.raises(ValueError, match=f"no device '{device}' here"):
            SparseNetwork(graph, 32, device=device)
    with pytest.raises(ValueError, match='kernels are "auto"'):
        SparseNetwork(graph, 32, kernels="fortran")
    with pytest.raises(ValueError, match=r"cannot compute in torch\.uint16"):
        open_device("cpu", torch.uint16)


def test_what_is_elsewhere_is_refused(graph, network):
    cache, everything = network.new_cache(), network.grid.all()
    with pytest.raises(ValueError, match=f"takes float32 .* on {network.device}, got .* on meta"):
        network(image(0).to("meta"), everything, cache)
    with pytest.raises(ValueError, match="another network"):
        network(image(0).to(DEVICE), everything, SparseNetwork(graph, 32).new_cache())
    with pytest.raises(ValueError, match="another network"):
        network(image(0).to(DEVICE), everything, on_device(graph).new_cache())
    with pytest.raises(ValueError, match="another network"):
        SparseNetwork(graph, 32)(image(0), everything, cache)
    run(network, image(0), everything, cache)  # and the cache is none the worse for it
