import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from streamdyn.bench.clips import street_clip
from streamdyn.bench.engine import densities
from streamdyn.bench.engine.agreement import measure_agreement
from streamdyn.bench.engine.memory import least_bytes
from streamdyn.bench.engine.setup import measure_setup
from streamdyn.bench.engine.subject import Setting, Subject, published
from streamdyn.bench.harness import Asked, Measurement, interleave
from streamdyn.bench.masks import masks_of_density, policy_masks, random_masks
from streamdyn.bench.networks import Rebuilt, make_network
from streamdyn.bench.peers import PEERS, Job, make_peers, numbers
from streamdyn.bench.pipeline import time_demo
from streamdyn.bench.plot import Panel, draw_speedups
from streamdyn.bench.report import print_table, write_json
from streamdyn.blocks import BlockGrid
from streamdyn.cli import main
from streamdyn.engine.sparse import SparseNetwork
from streamdyn.engine.sparsify import capture_network
from streamdyn.errors import StreamdynError

GRID = BlockGrid(96, 160, 32)
SETTING = Setting(
    dtype="float32", block=32, threads=1, rounds=1, warmup=0, size=(64, 96),
    detector_size=(352, 352), peers=("eager",), turn_seconds=0.0, masks=1, streams=2,
    clip_frames=5, setups=1, say=print,
)  # fmt: skip


def test_contenders_take_turns():
    calls = []
    seconds = interleave(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, warmup=1
    )
    assert calls == ["a", "b"] * 4
    assert {name: len(samples) for name, samples in seconds.items()} == {"a": 3, "b": 3}


def test_a_figure_is_the_median_of_its_samples(tmp_path):
    figure = Measurement.of("pipeline", "case", "time", "ms", [3.0, 1.0, 2.0])
    assert figure.value == 2
    write_json([figure], tmp_path / "figures.json")
    (record,) = json.loads((tmp_path / "figures.json").read_text())
    machine = record.pop("machine")
    assert machine["cores"] > 0
    assert record == {
        "bench": "pipeline",
        "case": "case",
        "metric": "time",
        "value": 2.0,
        "unit": "ms",
        "samples": [3.0, 1.0, 2.0],
        "asked": None,
        "about": {},
    }


def test_the_pipeline_benchmark_measures_what_it_says(tmp_path, capsys):
    path = tmp_path / "figures.json"
    words = "bench pipeline --rounds 1 --demos 0 --frames 20 --memory-frames 250 --json"
    assert main([*words.split(), str(path)]) == 0
    records = json.loads(path.read_text())
    told = {(r["case"].split(",")[0], r["metric"]): r["value"] for r in records}
    assert told.keys() == {
        ("bare PyAV loop", "frame rate"),
        ("Pipeline", "frame rate"),
        ("run", "frame rate"),
        ("Pipeline", "share of the bare loop's rate"),
        ("run", "share of the bare loop's rate"),
        ("model alone", "time per frame"),
        ("Pipeline", "time per frame"),
        ("Pipeline", "time against the model alone"),
        ("run of 250 frames", "memory growth after warm-up"),
    }
    rates = {case: rate for (case, metric), rate in told.items() if metric == "frame rate"}
    for case in ("Pipeline", "run"):
        share = told[case, "share of the bare loop's rate"]
        assert 0 < share < 1.5
        assert share == pytest.approx(rates[case] / rates["bare PyAV loop"])
    whole, alone = told["Pipeline", "time per frame"], told["model alone", "time per frame"]
    assert told["Pipeline", "time against the model alone"] == pytest.approx(whole / alone)
    assert whole > alone / 2 > 0
    assert 0 <= told["run of 250 frames", "memory growth after warm-up"] < 100
    assert all(r["value"] == r["samples"][0] and len(r["samples"]) == 1 for r in records)
    assert "frames/s" in capsys.readouterr().out


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "nothing"])
    assert stopped.value.code == 2
    assert "pipeline" in capsys.readouterr().err


def test_the_demo_is_timed_as_a_whole(tmp_path):
    (time,) = time_demo(1, tmp_path, "--policy", "Interval(every=100)")
    told = json.loads((tmp_path / "demo-0" / "summary.json").read_text())["streams"]
    assert sum(stream["wall_seconds"] for stream in told) < time.value
    assert (time.case, time.metric, time.unit) == ("demo", "wall time", "s")


@pytest.mark.parametrize(
    "words", ["--memory-frames 249", "--frames 0", "--rounds 0", "--rounds none"]
)
def test_figures_that_cannot_be_measured_are_refused(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "pipeline", *words.split()])
    assert stopped.value.code == 2
    assert words.split()[0] in capsys.readouterr().err


def test_a_turn_lasts_as_long_as_it_is_told():
    calls = []
    (samples,) = interleave(
        {"a": lambda: calls.append(1)}, rounds=2, warmup=0, turn_seconds=0.01
    ).values()
    assert len(calls) > len(samples) == 2


def test_a_figure_says_whether_it_reaches_what_was_asked(capsys):
    least, most = Asked(2.0, goal=3.0), Asked(0.25, at_most=True)
    assert [least.met(value) for value in (1.9, 2.0, 9.0)] == [False, True, True]
    assert [most.met(value) for value in (0.2, 0.25, 0.3)] == [True, True, False]
    figures = [
        Measurement.of("b", "a case", "speed", "x", [2.5], asked=least),
        Measurement.of("b", "a case", "error", "relative", [0.5], asked=most),
        Measurement.of("b", "another", "time", "ms", [7.0]),
    ]
    print_table(figures)
    _, case, speed, error, *_ = capsys.readouterr().out.splitlines()
    assert case.split() == ["a", "case"]
    assert speed.split() == ["speed", "2.5", "2.5", "2.5", "x", ">=", "2", "(goal", "3)", "yes"]
    assert error.split()[-3:] == ["<=", "0.25", "NO"]


@given(st.lists(st.integers(0, 15), max_size=5), st.integers(0, 3))
def test_random_masks_have_as_many_blocks_as_asked_for(counts, seed):
    masks = random_masks(GRID, counts, seed)
    assert [int(mask.active.sum()) for mask in masks] == counts
    again = random_masks(GRID, counts, seed)
    assert all(np.array_equal(a.active, b.active) for a, b in zip(masks, again, strict=True))


def test_masks_of_a_density_differ_and_are_never_empty():
    masks = masks_of_density(GRID, 0.2, 4)
    assert {mask.density for mask in masks} == {0.2}
    assert len({mask.active.tobytes() for mask in masks}) > 1
    assert [mask.active.sum() for mask in masks_of_density(GRID, 0.001, 2)] == [1, 1]


def test_masks_of_a_clip_are_what_the_policy_asks_for(tmp_path):
    clip = street_clip(tmp_path / "street.mp4", (96, 160), 20)
    masks = policy_masks(GRID, clip, "Change(threshold=3)", frames=20, count=6)
    assert len(masks) == 6
    assert all(0 < mask.density < 1 and mask.grid == GRID for mask in masks)
    every_third = policy_masks(GRID, clip, "Interval(every=3)", frames=20, count=99)
    assert [mask.density for mask in every_third] == [1.0] * 6
    assert policy_masks(GRID, clip, "First", frames=20, count=6) == []


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 7, 2, 3)
        self.layers = nn.Sequential(nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 1, 1))

    def forward(self, x):
        return self.layers(nn.functional.max_pool2d(self.stem(x).relu(), 3, 2, 1))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", [name for name in PEERS if name != "compile"])
def test_peers_compute_what_the_network_computes(name, dtype):
    module, x = Small().eval(), torch.rand(1, 3, 64, 96)
    peers, left_out = make_peers(Job(module, x, dtype, 1), [name])
    assert peers
    assert not left_out
    with torch.no_grad():
        expected = module(x).numpy()
    for peer, compute in peers.items():
        tolerance = 1e-4 if peer.endswith("f32") else 0.03
        np.testing.assert_allclose(numbers(compute()), expected, atol=tolerance)


def test_a_peer_that_cannot_run_says_why():
    class Broken(nn.Module):
        def forward(self, x):
            raise NotImplementedError("of no use")

    peers, left_out = make_peers(Job(Broken(), torch.rand(1, 3, 32, 32), "float32", 1), ["compile"])
    assert not peers
    assert left_out == {"compile": "NotImplementedError: of no use"}


def test_a_rebuilt_network_is_the_network():
    module, x = Small().eval(), torch.rand(1, 3, 64, 96)
    rebuilt = Rebuilt(capture_network(module, (64, 96)))
    with torch.no_grad():
        torch.testing.assert_close(rebuilt(x), module(x), rtol=1e-4, atol=1e-5)


def test_networks_have_the_same_weights_every_time():
    first, second = (make_network("street").state_dict() for _ in range(2))
    torch.rand(1)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_cache_needs_the_maps_that_are_read_with_a_halo_and_the_outputs():
    graph = capture_network(Small().eval(), (64, 96))
    image, stem, narrow = 3 * 64 * 96, 16 * 32 * 48, 8 * 16 * 24
    output = 4 * 16 * 24
    assert least_bytes(graph, "bfloat16") == 2 * (image + stem + narrow) + 4 * output
    assert least_bytes(graph, "float32") == 4 * (image + stem + narrow + output)


def test_the_picture_has_a_panel_for_each_network(tmp_path):
    ideal = [(1.0, 1.0), (0.1, 10.0)]
    panels = [
        Panel(name, "a peer", ideal, {"measured": [(1.0, 0.9), (0.1, 7.0)]}, asked=[(0.1, 8.0)])
        for name in ("one", "two")
    ]
    for shown in (panels, panels[:1]):
        draw_speedups(shown, "a machine", tmp_path / f"{len(shown)}.png")
    two, one = (cv2.imread(str(tmp_path / f"{count}.png")) for count in (2, 1))
    assert two.shape == (one.shape[0], 2 * one.shape[1], 3)
    assert len(np.unique(one.reshape(-1, 3), axis=0)) > 10


def test_set_up_is_measured_in_fresh_processes():
    figures = {(m.case, m.metric): m for m in measure_setup("street", SETTING)}
    parts = {metric for _, metric in figures}
    assert {"import torch", "sparsify", "new_cache", "second new_cache"} < parts
    cold, warm = (
        f"street 64x96 float32, set-up, {kernels}"
        for kernels in ("no kernels on disk", "kernels on disk")
    )
    assert {case for case, _ in figures} == {cold, warm}
    ours = "import streamdyn.engine + sparsify + new_cache"
    for case, seconds in ((cold, 10), (warm, 3)):
        assert figures[case, ours].asked == Asked(seconds, at_most=True)
        assert figures[case, ours].value == pytest.approx(
            sum(figures[case, part].value for part in ours.split(" + "))
        )
        assert figures[case, ours].value < figures[case, "the whole process"].value
    assert not list(measure_setup("street", replace(SETTING, setups=0)))


def test_the_engine_benchmark_measures_what_it_says(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("STREAMDYN_MODELS", raising=False)
    clip = street_clip(tmp_path / "street.mp4", (96, 160), 20)
    words = "bench engine --quick --networks street --peers openvino eager --threads 1"
    files = ["--json", tmp_path / "figures.json", "--plot", tmp_path / "plot.png"]
    assert main([*words.split(), "--clips", str(clip), *map(str, files)]) == 0
    records = json.loads((tmp_path / "figures.json").read_text())
    assert all(r["about"]["network"] == "street" and r["about"]["block"] == 32 for r in records)
    densities = [r["about"]["density"] for r in records if "share" in r["about"]]
    assert set(densities) == {1.0, 0.25, 0.1, 0.05, 0.02}
    errors = {r["metric"]: r for r in records if "error against torch in float32" in r["case"]}
    idle = errors.pop("the parts, had nothing been computed")
    assert errors.keys() == {
        "OpenVINO bf16", "OpenVINO f32", "torch eager bf16", "all blocks",
        "10 parts of another image",
    }  # fmt: skip
    assert errors["OpenVINO f32"]["value"] < 1e-5 < errors["all blocks"]["value"] < 0.02
    plain = errors["torch eager bf16"]
    assert "1.5x that of torch eager bf16" in plain["case"]
    for ours in ("all blocks", "10 parts of another image"):
        assert errors[ours]["asked"]["bound"] == 1.5 * plain["value"]
        assert errors[ours]["asked"]["bound"] < idle["value"]
    assert not any(r["asked"] for r in records if "OpenVINO" in r["metric"])
    metrics = {r["metric"] for r in records}
    assert {
        "speed-up against that of random masks",
        "throughput in one run_many, against one by one",
        "throughput of one stream with as many blocks, against one by one",
        "size over maps read with a halo and outputs",
        "speed-up over 100% of blocks, of the ideal 1 / share",
    } < metrics
    assert cv2.imread(str(tmp_path / "plot.png")) is not None
    told = capsys.readouterr()
    assert "street.mp4" in told.out
    assert "without set-up" in told.err
    assert "missing: onnxruntime, compile" in told.err
    assert "without fastestdet.onnx" in told.err


def subject_of_street(peers):
    return published("street", replace(SETTING, size=(96, 160), peers=peers))


def test_a_network_that_computes_nothing_disagrees(monkeypatch):
    subject = subject_of_street(("eager",))
    ours = "10 parts of another image"
    (good,) = (figure for figure in measure_agreement(subject) if figure.metric == ours)
    assert len(good.samples) == 10
    assert good.asked
    assert max(good.samples) < good.asked.bound
    compute = SparseNetwork.tensors

    def idle(self, x, mask, cache):
        return compute(self, x, mask if mask.density == 1 else self.grid.none(), cache)

    monkeypatch.setattr(SparseNetwork, "tensors", idle)
    (bad,) = (figure for figure in measure_agreement(subject) if figure.metric == ours)
    assert min(bad.samples) > 10 * bad.asked.bound


def test_errors_of_tiny_outputs_are_told():
    tiny = make_network("street")
    with torch.no_grad():
        for weights in list(tiny.parameters())[-2:]:
            weights *= 1e-24
    graph = capture_network(tiny, (96, 160))
    x = torch.rand(1, 3, 96, 160)
    with torch.inference_mode():
        truth = numbers(tiny(x))
    peers = {"half": lambda: torch.from_numpy(truth / 2)}
    network = SparseNetwork(graph, 32, "float32")
    subject = Subject("street", "float32", network, x, peers, (), truth)
    errors = {figure.metric: figure.value for figure in measure_agreement(subject)}
    assert errors["half"] == pytest.approx(0.5)
    assert 0 < errors["all blocks"] < 1e-4


def test_speed_ups_are_judged_only_beside_every_peer(monkeypatch):
    subject = subject_of_street(("eager",))
    assert subject.missing == ["openvino", "onnxruntime", "compile"]
    monkeypatch.setitem(densities.ASKED, (subject.case, 0.1), Asked(2.0))
    of_ideal = "speed-up over {}, of the ideal 1 / share"
    for missing, told in ((subject.missing, False), ((), True)):
        found = densities.measure_densities(replace(subject, missing=missing), SETTING)
        speedups = [figure for figure in found.figures if "over" in figure.metric]
        asked = {(each.about["density"], each.metric): each.asked for each in speedups}
        assert (asked[0.1, "speed-up over torch eager f32"] is not None) == told
        assert (asked[0.1, of_ideal.format("torch eager f32")] is not None) == told
        assert asked[0.1, of_ideal.format("100% of blocks")]
        assert bool(found.panel().asked) == told


def test_a_network_without_any_peer_is_refused(monkeypatch):
    monkeypatch.setitem(PEERS, "eager", lambda job: 1 / 0)
    with pytest.raises(StreamdynError, match="none of the peers eager can run here"):
        subject_of_street(("eager",))


def test_the_detector_is_measured_with_its_peers(models_dir, capsys, monkeypatch):
    monkeypatch.delenv("STREAMDYN_MEDIA", raising=False)
    words = "bench engine --quick --networks street --peers onnxruntime --threads 1 --models"
    assert main([*words.split(), str(models_dir)]) == 0
    told = capsys.readouterr()
    assert "without masks of real clips" in told.err
    assert "fastestdet.onnx 352x352 float32, blocks of 32, 10% of blocks" in told.out
    assert "rebuilt at this size" in told.err
