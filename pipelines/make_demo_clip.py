"""Render the demo clip and the truth about each of its frames.

python -m streamdyn.pipelines.make_demo_clip --out data
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from streamdyn.records import result_fields
from streamdyn.sources.synthetic.encode import encode
from streamdyn.sources.synthetic.street import Scene, Street

SEED = 34  # no training saw it
FPS = 25
FRAMES = 250


def main() -> None:
    """Write street.mp4 and street.truth.jsonl.gz."""
    parser = argparse.ArgumentParser(description="Render the demo clip and its truth.")
    parser.add_argument("--out", type=Path, default=Path("data"), help="folder to write to")
    folder: Path = parser.parse_args().out
    street = Street(seed=SEED, fps=FPS, frames=FRAMES)
    write_clip(street, folder / "street.mp4")
    write_truth(street, folder / "street.truth.jsonl.gz")


def write_clip(street: Street, path: Path) -> None:
    """Encode a street as small as its noise allows."""
    encode(street, path, crf=21, preset="slow")


def write_truth(street: Street, path: Path) -> None:
    """Write classes and boxes of each frame as lines of gzipped JSON."""
    lines = [
        json.dumps(_truth(scene, index, index / street.fps), separators=(",", ":"))
        for index, scene in enumerate(street)
    ]
    text = "\n".join([*lines, ""]).encode()
    path.write_bytes(gzip.compress(text, mtime=0))  # no time inside: the same bytes each time


def _truth(scene: Scene, index: int, pts_seconds: float) -> dict[str, Any]:
    return {
        "index": index,
        "pts_seconds": pts_seconds,
        "result": result_fields(scene.segmentation()),
        "boxes": {
            "boxes": scene.boxes.astype(int).tolist(),
            "labels": scene.box_labels.tolist(),
            "identities": scene.identities.tolist(),
        },
    }


if __name__ == "__main__":
    main()
