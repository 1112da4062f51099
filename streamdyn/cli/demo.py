"""Run the embedded model on the bundled clip and show what it did."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from streamdyn.defaults import POLICY

DATA = Path(__file__).parents[2] / "data"
CLIP, TRUTH = DATA / "street.mp4", DATA / "street.truth.jsonl.gz"
GENERATED = "synthetic:street?seed=1&frames=250"  # for an installation without data/
OWN_FOLDER = Path("runs/demo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=OWN_FOLDER, help="folder (default: %(default)s)"
    )
    parser.add_argument("--policy", default=POLICY, help="as for run (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    from streamdyn.cli.run import refuse_overwriting, run_streams
    from streamdyn.load import load_policy
    from streamdyn.models import load_model
    from streamdyn.runner import Runner
    from streamdyn.sources import open_source

    if options.out == OWN_FOLDER:
        shutil.rmtree(options.out, ignore_errors=True)  # the last demo may go
    refuse_overwriting(options.out, allowed=False)
    source = open_source(CLIP if CLIP.is_file() else GENERATED)
    runner = Runner(
        load_model("street"),
        lambda: load_policy(options.policy),
        options.out,
        save=("jsonl", "video"),
        picture=True,
    )
    summaries = run_streams(runner, [source])
    failed = any(summary.error for summary in summaries)
    if TRUTH.is_file() and not failed:
        print(f"mean IoU with the clip's ground truth: {_mean_iou(options.out / source.name):.3f}")
    return 1 if failed else 0


def _mean_iou(folder: Path) -> float:
    """How the results in a folder compare with the ground truth of the bundled clip."""
    from streamdyn.metrics import MeanIoU
    from streamdyn.records import load_truth, read_results
    from streamdyn.types import Segmentation

    truth = load_truth(TRUTH)
    score = MeanIoU(len(next(iter(truth.values())).classes))
    for prediction in read_results(folder):
        true = truth.get(prediction.index)
        if true is not None and isinstance(prediction.result, Segmentation):
            score.add(prediction.result.labels, true.labels)
    return score.value
