"""ONNX files, checked before anything runs them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

import onnx
from google.protobuf.message import (  # type: ignore[import-untyped]  # its stubs are a package
    DecodeError,
    Message,
)

from streamdyn.engine import Network
from streamdyn.engine.onnx import DenseOnnx, count_parameters
from streamdyn.engine.sparsify import capture_network
from streamdyn.errors import ModelError
from streamdyn.models.request import Request
from streamdyn.models.template import missing_card
from streamdyn.models.vision import VisionModel

M = TypeVar("M", bound=Message)

log = logging.getLogger(__name__)

# Operators of these domains are ONNX Runtime's own; it says itself which of them it lacks.
_RUNTIME_DOMAINS = ("com.microsoft", "ai.onnx.")


def load(target: str, request: Request) -> VisionModel:
    """The model of an ONNX file, with the card given or the one beside it.

    Raises:
        ModelError: the file or its card cannot be used.
    """
    path = Path(target)
    model = _parse(path)
    _check_external_data(model, path)
    _check_operators(model, path)
    image, size = _image_input(model, path)
    card = request.read_card(beside=path)
    if card is None:
        raise ModelError(_missing_card(model, path, image, size))
    parameters = count_parameters(model)

    def network(wanted: tuple[int, int]) -> Network:
        outputs = card.output.tensors
        try:
            graph = capture_network(path, wanted)
        except ModelError as error:
            _check_size(path, size, wanted)
            if not request.device.startswith("cpu"):
                raise ModelError(
                    f"{path} can run on the CPU only, whole, and not on {request.device}: {error}"
                ) from None
            log.warning("%s runs dense, whatever the mask: %s", path, error)
            return DenseOnnx(path, wanted, outputs=outputs, threads=request.threads)
        return request.on_blocks(graph, parameters=parameters, outputs=outputs)

    return request.finish(card, network)


def _missing_card(
    model: onnx.ModelProto,
    path: Path,
    image: onnx.ValueInfoProto,
    size: tuple[int | None, int | None],
) -> str:
    facts = f"# {path.name} reads {_signature(image)}\n" + "".join(
        f"# and gives {_signature(output)}\n" for output in model.graph.output
    )
    fixed = (size[0], size[1]) if size[0] and size[1] else None
    outputs = {
        output.name: tuple(axis.dim_value or None for axis in output.type.tensor_type.shape.dim)
        for output in model.graph.output
    }
    return missing_card(str(path), path.stem, fixed, facts, outputs)


def _check_size(path: Path, fixed: tuple[int | None, int | None], size: tuple[int, int]) -> None:
    """Raise ModelError if a file that is made for one size is to run at another."""
    if any(side and side != wanted for side, wanted in zip(fixed, size, strict=True)):
        takes = "x".join(str(side or "any") for side in fixed)
        raise ModelError(
            f"{path} takes an input of {takes} px only, not of {size[0]}x{size[1]}; "
            f"correct input.size in its card, or the size asked for"
        )


def _parse(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ModelError(f"cannot read the model {path}: {error.strerror}") from None
    except DecodeError:
        raise ModelError(f"{path} is no ONNX file, or a damaged one") from None
    if any(map(_is_garbled, _messages(model, Message))):
        raise ModelError(f"{path} is a damaged ONNX file: names in it are no text")
    if not model.graph.node:
        raise ModelError(f"{path} is no ONNX file, or a damaged one: it holds no network")
    return model


def _is_garbled(message: Message) -> bool:
    """Whether a text of a message is not UTF-8: protobuf gives it as bytes then."""
    return any(
        isinstance(text, bytes)
        for field, value in message.ListFields()
        if field.type == field.TYPE_STRING
        for text in ([value] if isinstance(value, (str, bytes)) else value)
    )


def _check_external_data(model: onnx.ModelProto, path: Path) -> None:
    """Refuse a file that would make the runtime read anything outside its own folder."""
    folder = path.parent.resolve()
    for tensor in _messages(model, onnx.TensorProto):
        for entry in tensor.external_data:
            if entry.key == "location" and (fault := _fault(entry.value, folder)):
                raise ModelError(
                    f"{path}: tensor {tensor.name!r} keeps its data in {entry.value!r}, {fault}; "
                    f"such data must be a file in the model's own folder"
                )


def _fault(location: str, folder: Path) -> str | None:
    """What is wrong with where external data lies, if anything."""
    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    if posix.is_absolute() or windows.anchor:
        return "an absolute path"
    if ".." in windows.parts:  # these part at / and at \
        return "a path that leaves the folder"
    place = folder / location
    try:
        if place.resolve() != place:
            return "which is, or lies behind, a symbolic link"
        return None if place.is_file() else "which is missing"
    except (OSError, RuntimeError, ValueError):  # links in a circle, names with a zero byte
        return "which cannot be followed"


def _check_operators(model: onnx.ModelProto, path: Path) -> None:
    local = {(function.domain, function.name) for function in model.functions}
    for node in _messages(model, onnx.NodeProto):
        domain = "" if node.domain == "ai.onnx" else node.domain
        if (
            (domain, node.op_type) not in local
            and not domain.startswith(_RUNTIME_DOMAINS)
            and not (domain == "" and onnx.defs.has(node.op_type))
        ):
            operator = f"{domain}::{node.op_type}" if domain else node.op_type
            raise ModelError(
                f"{path}: node {node.name!r} is of the unknown operator {operator}; "
                f"export the model with standard operators only"
            )


def _image_input(
    model: onnx.ModelProto, path: Path
) -> tuple[onnx.ValueInfoProto, tuple[int | None, int | None]]:
    """The image input, and its height and width where the file fixes them."""
    initialized = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initialized]
    if len(inputs) == 1:
        kind = inputs[0].type.tensor_type
        sides = [axis.dim_value if axis.dim_value > 0 else None for axis in kind.shape.dim]
        if kind.elem_type == onnx.TensorProto.FLOAT and len(sides) == 4:
            batch, channels, height, width = sides
            if batch in (1, None) and channels == 3:
                return inputs[0], (height, width)
    given = ", ".join(_signature(value) for value in inputs) or "none"
    raise ModelError(
        f"{path} must have one input, float32 (1, 3, height, width), and has {given}; "
        f"export it anew with such an input"
    )


def _signature(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    sides = [str(axis.dim_value or axis.dim_param or "any") for axis in kind.shape.dim]
    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    dtype = names.get(kind.elem_type, "unknown").lower()
    return f"{value.name!r} {'float32' if dtype == 'float' else dtype} ({', '.join(sides)})"


def _messages(message: Message, kind: type[M]) -> Iterator[M]:
    """Every message of a kind within another: in subgraphs, functions, attributes, anywhere."""
    if isinstance(message, kind):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                yield from _messages(part, kind)
