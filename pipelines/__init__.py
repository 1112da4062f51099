"""Ready-made pipelines, one per task, and the jobs that made the embedded model and clip."""

if __name__ != "streamdyn.pipelines":
    raise ImportError("import streamdyn.pipelines, not pipelines; run `pip install -e .` first")

from .tasks import detection, recognition, segmentation

__all__ = ["detection", "recognition", "segmentation"]
