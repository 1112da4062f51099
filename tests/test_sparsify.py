"""`sparsify` as a user calls it."""

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from streamdyn import BlockGrid, BlockMask, ModelError, sparsify


class Branches(nn.Module):
    """Returns a dict, as detectors do."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU())
        self.heads = nn.ModuleList([nn.Conv2d(32, 8, 3, 1, 1), nn.Conv2d(32, 5, 1)])

    def forward(self, x):
        x = self.body(x)
        first, second = (head(x) for head in self.heads)
        return {"first": first, "rest": (second, x.mean((2, 3)))}


def make():
    torch.manual_seed(0)
    return Branches().eval()


def test_it_returns_what_the_model_returns():
    net, x = sparsify(make(), size=(64, 96)), torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected = make()(x)
    found = net(x, BlockGrid(64, 96, 32).all(), net.new_cache())
    torch.testing.assert_close(found["first"], expected["first"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["rest"][0], expected["rest"][0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["rest"][1], expected["rest"][1], rtol=1e-4, atol=1e-4)


def test_bfloat16_is_no_worse_than_the_dense_model_in_bfloat16():
    net, x = sparsify(make(), size=(64, 96), dtype="bfloat16"), torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        exact = make()(x)["first"]
        dense = make().bfloat16()(x.bfloat16())["first"].float()
    found = net(x, net.grid.all(), net.new_cache())["first"]
    assert (found - exact).abs().mean() <= (dense - exact).abs().mean() * 1.05


def test_an_onnx_file(models_dir):
    net = sparsify(f"{models_dir}/fastestdet.onnx", size=(352, 352))
    x = torch.rand(1, 3, 352, 352)
    found = net(x, net.grid.all(), net.new_cache())
    assert {name: tensor.shape for name, tensor in found.items()} == {"758": (1, 85, 22, 22)}


def test_the_report_says_what_runs_where():
    net = sparsify(make(), size=(64, 96))
    report = {layer.layer: layer for layer in net.report()}
    assert report["body.0"].operation == "Conv + clip"
    assert report["body.0"].macs == 32 * 48 * 32 * 3 * 9
    assert not report["body.0"].dense
    assert net.macs == sum(layer.macs for layer in net.report())
    mask = BlockMask(net.grid, net.grid.none().active.copy())
    mask.active[0, :] = True
    assert net.share(mask) == pytest.approx(0.5)


def test_a_cache_is_as_large_as_it_says():
    net = sparsify(make(), size=(64, 96))
    cache = net.new_cache()
    held = cache.memory.nbytes + sum(tensor.nbytes for tensor in cache.maps.values())
    assert held <= net.cache_bytes <= held + 1024


def test_what_cannot_be_captured_is_refused_with_its_reason():
    class Chooses(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match="cannot be captured"):
        sparsify(Chooses(), size=(64, 96))


@pytest.mark.parametrize("size", [(0, 96), (64.0, 96), (64, 96, 3)])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match="size is"):
        sparsify(make(), size=size)


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="not 42"):
        sparsify(42, size=(64, 96))


@pytest.mark.parametrize("content", [b"", b"no onnx file"])
def test_a_broken_onnx_file_is_refused(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="ONNX file"):
        sparsify(tmp_path / "net.onnx", size=(64, 96))


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "none.bin", "link.bin"])
def test_external_data_outside_of_its_folder_is_refused(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    np.ones(12, np.float32).tofile(tmp_path / "secret.bin")
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 3, 1, 1])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    image, output = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 64, 96]), ("y", None))
    )
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "net", [image], [output], [weight])
    (folder / "net.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(ModelError, match="tensor name: w"):
        sparsify(folder / "net.onnx", size=(64, 96))
