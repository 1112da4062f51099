"""Dense engines to be measured against, each given the network as it likes it best.

Every one of them runs on the same number of threads, and keeps its input where it reads it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamdyn.engine.cpu.rows import RowType

Run = Callable[[], Any]  # computes the input once; returns the first output


@dataclass(frozen=True, slots=True)
class Job:
    """What a peer is to compute."""

    module: nn.Module  # float32, in evaluation mode
    x: Tensor  # (1, 3, H, W) float32
    dtype: RowType  # to compute in, if the peer can
    threads: int


def make_peers(job: Job, names: Sequence[str]) -> tuple[dict[str, Run], dict[str, str]]:
    """Peers by their full names, and for those that cannot run here why not.

    Args:
        names: keys of `PEERS`.
    """
    torch.set_num_threads(job.threads)
    peers: dict[str, Run] = {}
    left_out: dict[str, str] = {}
    for name in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of each other's versions, and of what is old
                peers |= PEERS[name](job)
        except Exception as error:  # each library raises its own kinds
            lines = str(error).strip().splitlines() or [""]
            left_out[name] = f"{type(error).__name__}: {lines[0]}"
    return peers, left_out


def numbers(output: Any) -> NDArray[np.float32]:
    """What a peer returned, as an array of float32."""
    return output.float().numpy() if isinstance(output, Tensor) else np.asarray(output, np.float32)


def _openvino(job: Job) -> dict[str, Run]:
    import openvino

    model = openvino.convert_model(job.module, example_input=job.x)
    model.reshape(list(job.x.shape))
    given = {0: job.x.numpy()}

    def peer(precision: str) -> Run:
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": job.threads,
        }
        request = openvino.compile_model(model, "CPU", hints).create_infer_request()
        # Neither the input nor the outputs are copied: they stay where it reads and writes them.
        return lambda: request.infer(given, share_inputs=True, share_outputs=True)[0]

    precisions = ("bf16", "f32") if job.dtype == "bfloat16" else ("f32",)
    return {f"OpenVINO {precision}": peer(precision) for precision in precisions}


def _onnxruntime(job: Job) -> dict[str, Run]:
    import onnxruntime  # type: ignore[import-untyped]  # it ships no types

    file: Any = BytesIO()  # as the exporter's documentation has it, but not its types
    # Its successor needs a package more, and exports the same operations for these networks.
    torch.onnx.export(job.module, (job.x,), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    session = onnxruntime.InferenceSession(
        file.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    given = {session.get_inputs()[0].name: job.x.numpy()}
    return {"ONNX Runtime f32": lambda: session.run(None, given)[0]}


def _eager(job: Job) -> dict[str, Run]:
    module, x = _for_torch(job)
    return {f"torch eager {_short(job.dtype)}": _inference(module, x)}


def _compile(job: Job) -> dict[str, Run]:
    module, x = _for_torch(job)
    exported = torch.export.export(module, (x,)).module()  # so that nothing is left to Python
    run = _inference(torch.compile(exported, options={"freezing": True}), x)
    run()  # compiles now, where it may fail
    return {f"torch.compile {_short(job.dtype)}": run}


def _for_torch(job: Job) -> tuple[nn.Module, Tensor]:
    """Channels-last, and with weights of the type it computes in: faster than to convert them in
    each call, as autocast does."""
    kind = torch.bfloat16 if job.dtype == "bfloat16" else torch.float32
    module = deepcopy(job.module).requires_grad_(False)
    module.to(dtype=kind, memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
    return module, job.x.to(dtype=kind, memory_format=torch.channels_last)


def _inference(module: Callable[[Tensor], Any], x: Tensor) -> Run:
    def run() -> Any:
        with torch.inference_mode():
            output = module(x)
            return output if isinstance(output, Tensor) else output[0]

    return run


def _short(dtype: RowType) -> str:
    return "bf16" if dtype == "bfloat16" else "f32"


PEERS: Final[Mapping[str, Callable[[Job], dict[str, Run]]]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "eager": _eager,
    "compile": _compile,
}
