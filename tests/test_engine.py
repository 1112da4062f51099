"""Dense networks: whole or not at all, one cache per stream, what they cost."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamdyn import BlockGrid, BlockMask, ModelError
from streamdyn.engine.onnx import DenseOnnx
from streamdyn.engine.torch import DenseTorch

SIZE = (8, 12)
GRID = BlockGrid(*SIZE, 4)
RNG = np.random.default_rng(0)


def picture(seed: int = 0, size: tuple[int, int] = SIZE) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((1, 3, *size), np.float32)


def one_block() -> BlockMask:
    active = np.zeros(GRID.shape, bool)
    active[0, 0] = True
    return BlockMask(GRID, active)


class Heads(torch.nn.Module):
    """Two convolutions, given back in a nest of containers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.second = torch.nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> dict[str, object]:
        features = self.first(x)
        return {"logits": self.second(features), "hidden": (features, [x]), "loss": None}


def onnx_file(path: Path) -> Path:
    """A convolution, a transposed one, a MatMul and a Gemm, each output given."""
    weights = {
        "conv": RNG.normal(size=(4, 3, 3, 3)),
        "up": RNG.normal(size=(4, 5, 2, 2)),
        "matrix": RNG.normal(size=(12, 7)),
        "head": RNG.normal(size=(6, 4)),
    }
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("ConvTranspose", ["features", "up"], ["large"], strides=[2, 2]),
        helper.make_node("MatMul", ["features", "matrix"], ["product"]),
        helper.make_node("GlobalAveragePool", ["features"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "parts",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in ("large", "product", "logits")
        ],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


@pytest.fixture(params=["torch", "onnx"])
def network(request, tmp_path):
    if request.param == "torch":
        torch.manual_seed(0)
        return DenseTorch(Heads(), SIZE)
    return DenseOnnx(onnx_file(tmp_path / "parts.onnx"), SIZE)


def test_any_mask_computes_the_whole_input(network):
    cache, fresh = network.new_cache(), network.new_cache()
    network(picture(0), GRID.all(), cache)
    from_one_block = network(picture(1), one_block(), cache)
    for got, want in zip(from_one_block, network(picture(1), GRID.all(), fresh), strict=True):
        np.testing.assert_array_equal(got, want)


def test_an_empty_mask_gives_the_last_outputs_of_its_own_stream(network):
    one, two = network.new_cache(), network.new_cache()
    first, second = network(picture(0), GRID.all(), one), network(picture(1), GRID.all(), two)
    assert network(picture(2), GRID.none(), one) is first
    assert network(picture(2), GRID.none(), two) is second
    assert not np.array_equal(first[0], second[0])


def test_share_is_all_or_nothing(network):
    assert network.share(GRID.none()) == 0.0
    assert network.share(one_block()) == 1.0


def test_outputs_are_named_with_their_shapes(network):
    outputs = network(picture(), GRID.all(), network.new_cache())
    assert list(network.outputs.values()) == [output.shape for output in outputs]
    assert all(output.dtype == np.float32 for output in outputs)


def test_what_does_not_belong_to_the_network_is_refused_and_leaves_the_cache(network):
    cache = network.new_cache()
    with pytest.raises(ValueError, match="nothing to reuse"):
        network(picture(), GRID.none(), cache)
    before = network(picture(), GRID.all(), cache)
    with pytest.raises(
        ValueError, match=r"takes float32 \(1, 3, 8, 12\), got float32 \(1, 3, 8, 8\)"
    ):
        network(picture(size=(8, 8)), GRID.all(), cache)
    with pytest.raises(ValueError, match="got float64"):
        network(picture().astype(np.float64), GRID.all(), cache)
    with pytest.raises(ValueError, match="a mask of"):
        network(picture(), BlockGrid(16, 16, 4).all(), cache)
    assert network(picture(), GRID.none(), cache) is before


def test_torch_outputs_are_flattened_by_name_and_equal_the_module():
    module = Heads()
    network = DenseTorch(module, SIZE)
    assert list(network.outputs) == ["logits", "hidden.0", "hidden.1.0"]
    got = network(picture(), GRID.all(), network.new_cache())
    with torch.inference_mode():
        want = module(torch.from_numpy(picture()))["logits"].numpy()
    np.testing.assert_allclose(got[0], want, rtol=1e-5, atol=1e-6)


def test_torch_outputs_do_not_change_with_the_input_array():
    network = DenseTorch(torch.nn.Identity(), SIZE)
    assert list(network.outputs) == ["output"]
    x = picture()
    (output,) = network(x, GRID.all(), network.new_cache())
    x[:] = 0
    np.testing.assert_array_equal(output, picture())


def test_torch_module_is_run_in_evaluation_mode():
    network = DenseTorch(torch.nn.Dropout(0.5), SIZE)
    (output,) = network(picture(), GRID.all(), network.new_cache())
    np.testing.assert_array_equal(output, picture())


def test_outputs_can_be_chosen_and_ordered(tmp_path):
    path = onnx_file(tmp_path / "parts.onnx")
    assert list(DenseOnnx(path, SIZE, outputs=("logits", "large")).outputs) == ["logits", "large"]
    assert list(DenseTorch(Heads(), SIZE, outputs=("hidden.0",)).outputs) == ["hidden.0"]
    with pytest.raises(ModelError, match="no output 'logit'; it has large, product, logits"):
        DenseOnnx(path, SIZE, outputs=("logit",))
    with pytest.raises(ModelError, match=r"no output 'logit'; it has logits, hidden.0, hidden.1.0"):
        _ = DenseTorch(Heads(), SIZE, outputs=("logit",)).outputs


def test_onnx_equals_torch(tmp_path):
    path = onnx_file(tmp_path / "parts.onnx")
    network = DenseOnnx(path, SIZE, threads=1)
    large, product, logits = network(picture(), GRID.all(), network.new_cache())
    conv, up, matrix, head = (
        torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(path).graph.initializer
    )
    features = torch.nn.functional.conv2d(torch.from_numpy(picture()), conv, padding=1)
    wanted_large = torch.nn.functional.conv_transpose2d(features, up, stride=2)
    np.testing.assert_allclose(large, wanted_large, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(product, features @ matrix, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, features.mean((2, 3)) @ head.T, rtol=1e-4, atol=1e-4)


def test_onnx_counts_macs_and_parameters_at_its_own_size(tmp_path):
    path = onnx_file(tmp_path / "parts.onnx")
    for height, width in [SIZE, (16, 12)]:
        network = DenseOnnx(path, (height, width))
        conv = 4 * height * width * 3 * 3 * 3
        up = 4 * height * width * 5 * 2 * 2
        product = 4 * height * 7 * 12
        assert network.macs == conv + up + product + 6 * 4
        assert network.parameters == 4 * 3 * 9 + 4 * 5 * 4 + 12 * 7 + 6 * 4


def test_stale_shapes_in_a_file_do_not_count(tmp_path):
    path = onnx_file(tmp_path / "parts.onnx")
    macs = DenseOnnx(path, SIZE).macs
    model = onnx.load(path)
    stale = helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 4, 99, 12])
    model.graph.value_info.append(stale)
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("large", TensorProto.FLOAT, [1, 5, 99, 24])
    )
    onnx.save(model, path)
    assert DenseOnnx(path, SIZE).macs == macs


def test_torch_counts_macs_and_parameters():
    network = DenseTorch(Heads(), SIZE)
    assert network.macs == 8 * 12 * (4 * 3 * 9 + 2 * 4)
    assert network.parameters == 4 * 3 * 9 + 4 + 2 * 4 + 2


def test_real_detector_costs_what_its_authors_say(models_dir):
    network = DenseOnnx(models_dir / "fastestdet.onnx", (352, 352))
    assert round(network.macs / 1e6, 1) == 121.5
    assert round(network.parameters / 1e6, 2) == 0.24


def test_a_failing_network_is_a_model_error_and_leaves_the_cache():
    class Fragile(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.view(-1, 7) if bool(x.mean() > 2) else x

    network = DenseTorch(Fragile(), SIZE)
    cache = network.new_cache()
    before = network(picture(), GRID.all(), cache)
    with pytest.raises(ModelError, match=r"fails on an input of 8x12 px: shape '\[-1, 7\]'"):
        network(picture() + 5, GRID.all(), cache)
    assert network(picture(), GRID.none(), cache) is before


def test_onnx_runtime_errors_are_model_errors(tmp_path):
    path = tmp_path / "broken.onnx"
    graph = helper.make_graph(
        [helper.make_node("Concat", ["x", "c"], ["y"], axis=1)],
        "broken",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros((1, 3, 4, 4), np.float32), "c")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    network = DenseOnnx(path, SIZE)
    with pytest.raises(ModelError, match="fails on an input of 8x12 px"):
        network(picture(), GRID.all(), network.new_cache())
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="ONNX Runtime cannot run"):
        DenseOnnx(path, SIZE)


def test_engine_imports_no_library_before_it_is_used():
    code = (
        "import sys, streamdyn.engine, streamdyn.engine.dense\n"
        "print([name for name in ('torch', 'onnx', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
