"""How a model computes is for its user to say: numbers, and what is computed around the blocks."""

from itertools import pairwise

import numpy as np
import pytest

from streamdyn import BlockMask, ModelError, load_model, load_results, open_source
from streamdyn.cli import main
from streamdyn.metrics import agreement

STREET = "synthetic:street?seed=5&height=128&width=256&frames=6&noise=0&drift=0"


@pytest.fixture(scope="module")
def street():
    return list(open_source(STREET))


def run(model, frames, masks):
    cache = model.new_cache(frames[0].size)
    return [model(frame, mask, cache) for frame, mask in zip(frames, masks, strict=True)]


def test_bfloat16_says_nearly_the_same(street):
    plain, quick = load_model("street"), load_model("street", dtype="bfloat16")
    everything = [plain.grid(street[0].size).all()] * len(street)
    pairs = zip(run(plain, street, everything), run(quick, street, everything), strict=True)
    for one, other in pairs:
        assert agreement(one, other) > 0.95
        assert not np.array_equal(one.logits, other.logits)  # it does compute otherwise


def test_exact_propagation_gives_the_dense_result_where_all_changes_are_masked(street):
    exact, plain = load_model("street", propagation=0), load_model("street")
    grid = exact.grid(street[0].size)
    masks = [grid.all()]
    for before, frame in pairwise(street):
        differs = np.abs(frame.image.astype(int) - before.image).max(2)
        masks.append(BlockMask(grid, grid.peak(differs, cells=32) > 0))
    assert any(mask.density < 1 for mask in masks)
    dense = run(plain, street, [grid.all()] * len(street))
    for found, wanted in zip(run(exact, street, masks), dense, strict=True):
        np.testing.assert_allclose(found.logits, wanted.logits, rtol=1e-4, atol=1e-4)


def test_a_tolerance_costs_no_more_than_exact(street):
    grid = load_model("street").grid(street[0].size)
    some = BlockMask(grid, np.arange(grid.all().active.size).reshape(grid.shape) == 9)
    shares = [
        load_model("street", propagation=propagation).share(some)
        for propagation in ("copy", 0.1, 0)
    ]
    assert shares[0] < shares[1] <= shares[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, 'dtype is "float32" or "bfloat16", not \'float16\''),
        ({"propagation": -1}, 'propagation is "copy" or a number from 0 on, not -1'),
        ({"propagation": "exact"}, "not 'exact'"),
        ({"propagation": float("nan")}, "not nan"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ModelError, match=message):
        load_model("street", **options)


def test_a_device_of_torch_says_what_the_cpu_says(street):
    """The CPU by its number is computed on as a GPU is: by the kernels of torch."""
    plain, there = load_model("street"), load_model("street", device="cpu:0")
    grid = plain.grid(street[0].size)
    some = BlockMask(grid, np.arange(grid.all().active.size).reshape(grid.shape) % 3 == 1)
    masks = [grid.all(), *[some] * (len(street) - 1)]
    for one, other in zip(run(plain, street, masks), run(there, street, masks), strict=True):
        np.testing.assert_allclose(one.logits, other.logits, rtol=1e-4, atol=1e-4)


WHOLE = """
import torch

class Whole(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 2, 1)

    def forward(self, x):
        found = self.layer(x)
        return found if found.sum() > 1e9 else -found
"""


def test_a_network_that_runs_whole_is_moved_to_the_device(tmp_path, caplog):
    (tmp_path / "whole.py").write_text(WHOLE)
    (tmp_path / "whole.toml").write_text(
        'name = "whole"\ntask = "segmentation"\n[input]\nsize = [32, 32]\n'
        '[output]\npostprocess = "argmax"\nlabels = ["a", "b"]\n'
    )
    model = load_model(f"{tmp_path}/whole.py:Whole", device="cpu:0")
    assert "runs dense" in caplog.text
    assert model.describe().outputs == {"output": (1, 2, 32, 32)}


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "there is no device 'gpu'; give cpu, cuda or cuda:NUMBER"),
        ("cuda:999", "there is no device cuda:999 here"),
        ("meta", "device meta cannot be used"),
    ],
)
def test_a_device_that_is_not_there_is_told(device, message, capsys):
    with pytest.raises(ModelError, match=message):
        load_model("street", device=device)
    assert main(["check", "--device", device]) == 1
    assert message in capsys.readouterr().err


def test_the_command_computes_where_it_is_told(tmp_path):
    out = tmp_path / "out"
    assert main(["run", STREET, "--device", "cpu:0", "--out", str(out)]) == 0
    assert len(load_results(next(out.glob("*/results.jsonl")))) == 6


@pytest.mark.parametrize("text", ["precise", "-0.1", "nan", "inf"])
def test_the_command_refuses_other_propagations(text, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["run", STREET, f"--propagation={text}"])
    assert exit_.value.code == 2
    assert f"{text!r} is not copy, exact or a tolerance from 0 on" in capsys.readouterr().err
