"""What all tests share. Tests of real input need two environment variables, named below."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Triton reads it when it is imported: its kernels then run on the CPU. Set it to 0 to test them on
# a GPU.
os.environ.setdefault("TRITON_INTERPRET", "1")

# Time limits would make tests fail on a busy machine.
settings.register_profile("streamdyn", deadline=None)
settings.load_profile("streamdyn")


def _folder(variable: str) -> Path:
    folder = os.environ.get(variable)
    if folder:
        return Path(folder)
    reason = f"set {variable} to the folder of real files that this test reads"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def media() -> Path:
    """Real video clips, among them car-detection.mp4 and bottle-detection.mp4."""
    return _folder("STREAMDYN_MEDIA")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Real weights, among them fastestdet.onnx."""
    return _folder("STREAMDYN_MODELS")
