"""Run the embedded model on the bundled clip and show what it did."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"
CLIP, TRUTH = DATA / "street.mp4", DATA / "street.truth.jsonl.gz"
GENERATED = "synthetic:street?seed=1&frames=250"  # for an installation without data/
POLICY = "Change(threshold=6, grow=1)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), help="folder (default: %(default)s)"
    )
    parser.add_argument("--policy", default=POLICY, help="as for run (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    from streamdyn.cli.run import run_streams
    from streamdyn.models import load_model
    from streamdyn.sources import open_source

    if options.out == Path("runs/demo"):  # the demo's own folder: the last demo may go
        shutil.rmtree(options.out, ignore_errors=True)
    source = open_source(CLIP if CLIP.is_file() else GENERATED)
    summaries = run_streams(
        [source], load_model("street"), options.policy, options.out, save=("jsonl", "video")
    )
    failed = any(summary.error for summary in summaries)
    if TRUTH.is_file() and not failed:
        print(f"mean IoU with the clip's ground truth: {_mean_iou(options.out / source.name):.3f}")
    return 1 if failed else 0


def _mean_iou(folder: Path) -> float:
    """How the results in a folder compare with the ground truth of the bundled clip."""
    from streamdyn.metrics import MeanIoU
    from streamdyn.records import load_results, load_truth

    truth = load_truth(TRUTH)
    score: MeanIoU | None = None
    for prediction in load_results(folder):
        labels = truth.get(prediction.index)
        if labels is not None:
            score = score or MeanIoU(len(labels.classes))
            score.add(prediction.result.labels, labels.labels)
    return score.value if score else float("nan")
