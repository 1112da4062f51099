"""Models of Hugging Face transformers, from a folder or the local cache; never from the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from streamdyn.errors import ModelError
from streamdyn.models.card import ModelCard
from streamdyn.models.imageprocessor import input_fields
from streamdyn.models.python import finish
from streamdyn.models.request import Request
from streamdyn.models.vision import VisionModel
from streamdyn.types import Task


@dataclass(frozen=True, slots=True)
class _Head:
    """What the models of one kind of architecture give."""

    loader: str  # class of transformers
    task: Task
    postprocess: str
    tensors: tuple[str, ...]  # the outputs that it reads


_HEADS = {
    "ForImageClassification": _Head(
        "AutoModelForImageClassification", "recognition", "topk", ("logits",)
    ),
    "ForObjectDetection": _Head(
        "AutoModelForObjectDetection", "detection", "detr", ("logits", "pred_boxes")
    ),
    "ForSemanticSegmentation": _Head(
        "AutoModelForSemanticSegmentation", "segmentation", "argmax", ("logits",)
    ),
}


def load(target: str, request: Request) -> VisionModel:
    """The model of a folder that `save_pretrained` wrote, or of a name in the local cache.

    Its card follows from its configuration, unless one is given. No code of the folder is run.

    Raises:
        ModelError: the folder, the name or the card cannot be used.
    """
    folder = _folder(target)
    head = _head(folder)
    card = request.read_card()
    module = _module(folder, head)
    card = card or _derive_card(folder, head, module.config)
    return finish(module, card, request, head.tensors)


def _folder(target: str) -> Path:
    folder = Path(target)
    if folder.is_dir():
        return folder
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ModelError(_needs_transformers(target)) from None
    try:
        return Path(snapshot_download(target, local_files_only=True))
    except (OSError, ValueError):  # not cached; not even a name
        raise ModelError(
            f"model hf:{target}: there is no such folder, and no such name in the local cache. "
            f"streamdyn downloads none: for a model of the hub, run `hf download NAME` first"
        ) from None


def _head(folder: Path) -> _Head:
    architectures = _read_json(folder / "config.json").get("architectures") or ["none"]
    for suffix, head in _HEADS.items():
        if suffix in architectures[0]:
            return head
    raise ModelError(
        f"model hf:{folder} is of architecture {architectures[0]}; streamdyn runs those that end "
        f"in {', '.join(_HEADS)}"
    )


def _module(folder: Path, head: _Head) -> Any:
    try:
        import transformers
    except ImportError:
        raise ModelError(_needs_transformers(str(folder))) from None
    auto = getattr(transformers, head.loader)
    try:
        with _no_progress_bar():
            module, loading = auto.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, output_loading_info=True
            )
    except Exception as error:  # broken files and missing libraries alike, of many kinds
        reason = str(error).strip() or type(error).__name__
        raise ModelError(f"model hf:{folder} cannot be loaded: {reason}") from error
    if missing := sorted(loading["missing_keys"]):
        raise ModelError(
            f"model hf:{folder} lacks {len(missing)} of its weights ({missing[0]}, ...), which "
            f"would be random; was it saved from another architecture?"
        )
    return module.to(torch.float32)


def _derive_card(folder: Path, head: _Head, config: Any) -> ModelCard:
    path = folder / "preprocessor_config.json"
    if path.is_file():
        processor = _read_json(path)
    else:
        path = folder / "processor_config.json"
        processor = _read_json(path).get("image_processor", {}) if path.is_file() else {}
    if not processor:
        raise ModelError(
            f"model hf:{folder} has no preprocessor_config.json, which says how its input is "
            f"made; save it there, or give a card"
        )
    try:
        fields = input_fields(processor)
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ModelError(
            f"{path} is of a form that streamdyn does not know ({error!r}); give a card"
        ) from None
    names = {int(label): str(name) for label, name in config.id2label.items()}
    several = getattr(config, "problem_type", None) == "multi_label_classification"
    table = {
        "name": folder.resolve().name,
        "task": head.task,
        "input": fields,
        "output": {
            "postprocess": head.postprocess,
            "labels": [names.get(label, f"class {label}") for label in range(max(names) + 1)],
            "tensors": head.tensors,
            "options": {"activation": "sigmoid"} if several and head.postprocess == "topk" else {},
        },
    }
    return ModelCard.parse(table, str(path), folder)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a table of settings")
    return content


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep transformers' progress bar off the terminal, which is the caller's."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _needs_transformers(target: str) -> str:
    return f"model hf:{target} needs transformers: pip install 'streamdyn[hf]'"
