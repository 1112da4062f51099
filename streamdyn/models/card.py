"""Model cards: what a file of weights cannot say of itself, in a small TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from streamdyn.errors import ModelError
from streamdyn.fit import Fit, FitMode
from streamdyn.models.resolve import bind_postprocess
from streamdyn.postprocess import STREAMED, Postprocess
from streamdyn.types import Result, Task

Positive = Annotated[float, Field(gt=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _size(value: Any) -> Any:
    if value == "source":
        return value
    if isinstance(value, (list, tuple)) and len(value) == 2:
        height, width = value
        if type(height) is type(width) is int and min(height, width) > 0:
            return height, width
    raise ValueError('give [height, width] in pixels, or "source" for that of the video')


def _labels(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    path = _folder(info) / value
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the labels, one per line, from {path}: {error}") from None
    return tuple(line.strip() for line in lines if line.strip())


def _folder(info: ValidationInfo) -> Path:
    return cast(Path, info.context["folder"]) if info.context else Path()


class InputCard(_Table):
    """How a picture becomes a network's input: laid on it, then (pixel / scale - mean) / std."""

    size: Annotated[tuple[int, int] | Literal["source"], BeforeValidator(_size)]
    multiple: Annotated[int, Field(ge=1)] = 32  # of which both sides are, with size = "source"
    fit: FitMode = "stretch"
    crop_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0  # of each side that a crop leaves
    color: Literal["rgb", "bgr"] = "rgb"  # order of the channels, of mean and std too
    scale: Positive = 255.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    pad: Annotated[int, Field(ge=0, le=255)] = 0  # grey level where the picture does not reach
    interpolation: Literal["nearest", "bilinear", "bicubic", "area"] = "bilinear"

    @model_validator(mode="after")
    def _no_idle_fields(self) -> Self:
        fit = "pad" if self.size == "source" else self.fit
        idle = {
            "fit": self.size == "source" and self.fit != "pad",
            "multiple": self.size != "source",
            "crop_fraction": fit != "crop",
            "pad": fit in ("stretch", "crop"),
            "interpolation": fit == "pad",
        }
        if names := sorted(name for name in self.model_fields_set if idle.get(name)):
            raise ValueError(
                f"{', '.join(names)} would do nothing with size = {self.size} and "
                f"fit = {fit!r}; remove it"
            )
        return self

    def lay(self, source: tuple[int, int]) -> Fit:
        """How a picture of `source` (height, width) pixels lies on the input.

        Raises:
            ModelError: the picture is too large for it.
        """
        if self.size == "source":
            height, width = (-(-side // self.multiple) * self.multiple for side in source)
            return Fit.make("pad", source, (height, width))
        try:
            return Fit.make(self.fit, source, self.size, 1 / self.crop_fraction)
        except ValueError as error:
            raise ModelError(str(error)) from None

    def resized(self, size: tuple[int, int]) -> InputCard:
        """The same for an input of fixed size; what was as large as the source is letterboxed.

        Raises:
            ModelError: the card says what the sides are multiples of, and these are not.
        """
        if "multiple" in self.model_fields_set and any(side % self.multiple for side in size):
            raise ModelError(
                f"a size of {size[0]}x{size[1]} px does not suit this model, whose sides are "
                f"multiples of {self.multiple}; the nearest are {_nearest(size, self.multiple)}"
            )
        fit = "letterbox" if self.size == "source" else self.fit
        return self.model_copy(update={"size": size, "fit": fit})


def _nearest(size: tuple[int, int], multiple: int) -> str:
    """The sizes around one whose sides are multiples, to choose from."""
    heights, widths = (
        sorted({max(side // multiple, 1) * multiple, -(-side // multiple) * multiple})
        for side in size
    )
    return ", ".join(f"{height}x{width}" for height in heights for width in widths)


class OutputCard(_Table):
    """How a network's outputs become a result."""

    postprocess: str  # a built-in name, module:function, or ./file.py:function beside the card
    labels: Annotated[tuple[str, ...], BeforeValidator(_labels), Field(min_length=1)]
    tensors: tuple[str, ...] | None = None  # names of the outputs to read, in order; None: all
    options: dict[str, Any] = {}  # keyword arguments of the postprocessing


class ModelCard(_Table):
    """What streamdyn must know of a model besides its weights. Made by `read` or `parse`."""

    name: str
    task: Task
    input: InputCard
    output: OutputCard

    _postprocess: partial[Result] = PrivateAttr()

    @model_validator(mode="after")
    def _bind(self, info: ValidationInfo) -> Self:
        if self.task == "segmentation" and len(self.output.labels) > 256:
            raise ValueError("output.labels: a segmentation has at most 256 classes")
        self._postprocess = bind_postprocess(
            self.output.postprocess, self.task, self.output.options, _folder(info)
        )
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card from a TOML file.

        Raises:
            ModelError: it cannot be read; every wrong field is named, with what it may be.
        """
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise ModelError(f"cannot read the card {path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ModelError(f"card {path} is not TOML: {error}") from None
        return cls.parse(table, f"card {path}", path.parent)

    @classmethod
    def parse(cls, table: Mapping[str, Any], origin: str, folder: Path) -> Self:
        """Make a card of its fields.

        Args:
            origin: what messages call it.
            folder: what file names in it are relative to.

        Raises:
            ModelError: a field is wrong.
        """
        try:
            return cls.model_validate(table, context={"folder": folder})
        except ValidationError as error:
            problems = "; ".join(_explain(problem) for problem in error.errors())
            raise ModelError(f"{origin}: {problems}") from None

    @property
    def postprocess(self) -> Postprocess:
        """The postprocessing, its options bound: call it with (outputs, fit, classes)."""
        return self._postprocess

    def new_postprocess(self) -> Postprocess:
        """The same for the frames of one stream, to be called with one after the other."""
        function = self._postprocess.func
        return partial(STREAMED.get(function, lambda: function)(), **self._postprocess.keywords)

    def resized(self, size: tuple[int, int]) -> ModelCard:
        """The same for an input of fixed size (height, width).

        Raises:
            ModelError: the size does not suit the model.
        """
        return self.model_copy(update={"input": self.input.resized(size)})


def _explain(problem: Mapping[str, Any]) -> str:
    """One problem that pydantic found, in words of the card's author."""
    where = ".".join(str(part) for part in problem["loc"])
    given, context = problem["input"], problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return f"{where} is missing"
        case "extra_forbidden":
            return f"{where} is not a field of a card; {_suggest(problem['loc'])}"
        case "literal_error":
            return f"{where} is {given!r}; it may be {context['expected']}"
        case "model_type":
            return f"{where} is {given!r}; it must be a table, [{where}]"
        case "value_error" if where in ("", "input"):  # of several fields: the text names them
            return f"{where}: {context['error']}" if where else str(context["error"])
        case "value_error":
            return f"{where} is {given!r}; {context['error']}"
        case _:
            return f"{where} is {given!r}; {problem['msg'].removeprefix('Input ')}"


def _suggest(place: tuple[str, ...]) -> str:
    table: type[BaseModel] = ModelCard
    for part in place[:-1]:
        table = cast(type[BaseModel], table.model_fields[part].annotation)
    near = get_close_matches(place[-1], table.model_fields, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(table.model_fields)}"
