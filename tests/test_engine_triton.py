"""The kernels in Triton against their plain twins: on the CPU by Triton's interpreter (see
conftest.py), on a GPU where there is one; and whether they compile for GPUs that are not here."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from streamdyn import BlockMask
from streamdyn.bench.engine.twin import Twin
from streamdyn.engine.capture.module import capture
from streamdyn.engine.device.kernels import choose_kernels
from streamdyn.engine.device.plain import Plain
from streamdyn.engine.device.triton import Triton, interpreted
from streamdyn.engine.graph import Activation, Affine, Binary
from streamdyn.engine.simplify import simplify
from streamdyn.engine.sparse import SparseNetwork
from tests.engine_kit import same
from tests.engine_rows import ACTIVATIONS

DEVICE = "cpu" if interpreted() else "cuda"
FAST, TWIN = Triton(), Plain()
# The interpreter does not multiply matrices of bfloat16.
PRODUCTS = (torch.float32, torch.float16) if interpreted() else (torch.float32, torch.bfloat16)
ROWS = 60

counts = st.sampled_from([0, 1, 31, 45, 64])
channels = st.sampled_from([1, 3, 16, 37, 130])
dtypes = st.sampled_from([torch.float32, torch.bfloat16])
activations = st.sampled_from(
    [None, *(Activation(kind, -0.5, 1.0, 0.2) for kind in ACTIVATIONS)]  # type: ignore[arg-type]
)


def noise(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator).to(DEVICE, dtype)


def taps(n, several, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, ROWS, (n, several), generator=generator).int().to(DEVICE)


def agree(found, expected):
    assert found.dtype == expected.dtype
    precision = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 2e-2}[found.dtype]
    torch.testing.assert_close(
        found.float(), expected.float(), rtol=precision, atol=precision, equal_nan=True
    )


@settings(max_examples=8)
@given(
    n=counts, inputs=channels, outputs=channels, activation=activations, adds=st.booleans(),
    several=st.sampled_from([None, 1, 9]), dtype=st.sampled_from(PRODUCTS),
)  # fmt: skip
def test_product(n, inputs, outputs, activation, adds, several, dtype):
    x = noise(n if several is None else ROWS, inputs, dtype=dtype)
    index = None if several is None else taps(n, several)
    weight = noise(1, (several or 1) * inputs, outputs, dtype=dtype) / inputs
    bias = noise(outputs, dtype=dtype)
    residual = noise(n, outputs, dtype=dtype, seed=1) if adds else None
    given = x, index, weight, bias, residual, activation
    agree(FAST.product(*given), TWIN.product(*given))


def test_product_in_groups():
    given = noise(ROWS, 12), taps(20, 9), noise(4, 27, 5), noise(20), None, None
    assert FAST.product(*given).equal(TWIN.product(*given))


@settings(max_examples=8)
@given(
    n=counts, wide=channels, activation=activations, adds=st.booleans(),
    several=st.sampled_from([1, 9]), dtype=dtypes,
)  # fmt: skip
def test_depthwise(n, wide, activation, adds, several, dtype):
    x, weight, bias = (noise(rows, wide, dtype=dtype) for rows in (ROWS, several, 1))
    residual = noise(n, wide, dtype=dtype, seed=1) if adds else None
    given = x, taps(n, several), weight, bias[0], residual, activation
    agree(FAST.depthwise(*given), TWIN.depthwise(*given))


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations(kind):
    x = torch.linspace(-12, 12, 4 * 37, device=DEVICE).view(4, 37)
    x[0, 0] = torch.nan
    op = Activation(kind, -0.5, 1.0, 0.2)
    agree(FAST.pointwise(op, x, None, None), TWIN.pointwise(op, x, None, None))


@settings(max_examples=8)
@given(n=counts, wide=channels, activation=activations, dtype=dtypes)
def test_affine(n, wide, activation, dtype):
    op = Affine(*(noise(2, wide, dtype=dtype)))
    x = noise(n, wide, dtype=dtype, seed=1)
    agree(FAST.pointwise(op, x, None, activation), TWIN.pointwise(op, x, None, activation))


@settings(max_examples=8)
@given(
    n=counts, wide=channels, activation=activations, dtype=dtypes, single=st.booleans(),
    kind=st.sampled_from(["add", "subtract", "multiply", "divide", "maximum", "minimum"]),
)  # fmt: skip
def test_binary(n, wide, activation, dtype, single, kind):
    x, other = noise(n, wide, dtype=dtype), noise(n, 1 if single else wide, dtype=dtype, seed=1)
    other = torch.where(other.abs() < 0.1, 0.1, other).to(dtype)  # a divisor
    given = Binary(kind), x, other, activation
    agree(FAST.pointwise(*given), TWIN.pointwise(*given))


@settings(max_examples=8)
@given(n=counts.filter(lambda n: n <= ROWS), wide=channels, dtype=dtypes)
def test_put(n, wide, dtype):
    rows, index = noise(n, wide, dtype=dtype), torch.randperm(ROWS)[:n].to(DEVICE)
    found, expected = noise(2, ROWS, wide, dtype=dtype, seed=1)[0], noise(
        2, ROWS, wide, dtype=dtype, seed=1
    )[0]  # fmt: skip
    FAST.put(rows, index, found)
    TWIN.put(rows, index, expected)
    assert found.equal(expected)


@pytest.mark.parametrize("propagation", ["copy", 0])
def test_a_network(propagation):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Hardswish(),
        nn.Conv2d(8, 16, 1), nn.MaxPool2d(2), nn.BatchNorm2d(16), nn.Conv2d(16, 5, 3, 1, 2, 2),
    ).eval()  # fmt: skip
    graph = simplify(capture(net, (32, 48)))
    plain, fast = (
        SparseNetwork(graph, 16, propagation=propagation, device=DEVICE, kernels=kernels)
        for kernels in ("torch", "triton")
    )
    caches = [(plain.new_cache(), fast.new_cache()) for _ in range(2)]
    twins = [Twin(plain.plan.graph) for _ in caches]
    for call in range(2):
        active = np.arange(6).reshape(2, 3) % 3 == 1 if call else np.ones((2, 3), bool)
        mask = BlockMask(plain.grid, active)
        images = torch.randn(2, 1, 3, 32, 48)
        found = fast.run_many(
            [(x.to(DEVICE), mask, cache) for x, (_, cache) in zip(images, caches, strict=True)]
        )
        for x, got, twin, (cache, _) in zip(images, found, twins, caches, strict=True):
            same([got.cpu()], [plain(x.to(DEVICE), mask, cache).cpu()])
            if propagation == "copy":
                same([got.cpu()], twin(x, mask))


def test_what_has_no_triton_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)  # as if it were not installed
    with pytest.raises(ValueError, match="kernels in Triton need it: pip install"):
        choose_kernels("triton", torch.device("cuda"))
    assert type(choose_kernels("auto", torch.device("cuda"))) is Plain


def test_triton_is_for_cuda():
    assert type(choose_kernels("auto", torch.device("cuda"))) is Triton
    assert type(choose_kernels("auto", torch.device("mps"))) is Plain


COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from streamdyn.engine.device import triton_programs as programs

def check(program, types, **constants):
    signature = types | dict.fromkeys(("low", "high", "slope"), "fp32")
    signature = {name: signature.get(name, "i32") for name in program.arg_names}
    signature |= dict.fromkeys(constants, "constexpr")
    fixed = {(program.arg_names.index(name),): each for name, each in constants.items()}
    made = compile(ASTSource(program, signature, fixed), target=GPUTarget("cuda", 80, 32))
    assert made.asm["cubin"]
    print(program.__name__)

for number in ("*bf16", "*fp32"):
    rows = dict.fromkeys(("x", "weight", "bias", "residual", "out", "other", "shift"), number)
    rows |= {"rows": number, "target": number, "index": "*i32"}
    tile = {"pixels": 32, "wide": 64}
    check(programs.product, rows, gathers=True, adds=True, kind="gelu", deep=32, **tile)
    check(programs.depthwise, rows, adds=False, kind="mish", **tile)
    check(programs.pointwise, rows, combine="maximum", shifts=True, kind="clip", **tile)
    check(programs.put, rows | {"index": "*i64"}, **tile)
"""


def test_programs_compile_for_gpus(tmp_path):
    """To machine code of compute capability 8.0, which needs no GPU."""
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True, env=environment,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["product", "depthwise", "pointwise", "put"] * 2
