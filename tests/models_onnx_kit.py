"""Small ONNX files, and the cards that go with them."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from streamdyn import Frame

CARD = Path(__file__).parents[1] / "data" / "cards" / "fastestdet.toml"


CLASSIFIER = """
name = "mean"
task = "recognition"

[input]
size = {size}

[output]
postprocess = "topk"
labels = ["red", "green", "blue"]
options = {{activation = "none"}}
"""


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    *,
    inputs: dict[str, list[int | str]] | None = None,
    weights: tuple[onnx.TensorProto, ...] = (),
    output: list[int] | None = None,
    **more: object,
) -> Path:
    """An ONNX file of these nodes, from "x" to "y"."""
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (inputs or {"x": [1, 3, "height", "width"]}).items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        list(weights),
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, **more
    )
    path.write_bytes(model.SerializeToString())
    return path


def mean_of_channels(path: Path, **options: object) -> Path:
    """A classifier whose scores are the mean red, green and blue."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    return save(path, nodes, **options)


def frame(image: NDArray[np.uint8]) -> Frame:
    return Frame.from_image(image, index=0, pts_seconds=0.0)
