"""The kernels that compute networks on blocks on a CPU, and the threads that run them.

Their memory is *rows*: the channels of one pixel, contiguous, as bfloat16 or float32 numbers. A
kernel takes int64 arrays with the address of a row for each pixel to compute, of any number of
maps and streams; so nothing is gathered or scattered around it. A map is channels-last, with a
border of zeros as wide as the padding of its readers: then what a window reads is at constant
distances in bytes, its `taps`, from the row of its first pixel. Maps from `row_zeros` are the
fastest to read.

Each function here returns a `Call`: nothing happens until `run` or a `Program` runs it. Arguments
are addresses and trusted like pointers. Numbers are computed in float32 and rounded once.
"""

from streamdyn.engine.cpu.call import Call
from streamdyn.engine.cpu.crew import Program, run
from streamdyn.engine.cpu.elementwise import activate, affine, binary
from streamdyn.engine.cpu.image import load_image, store_planes
from streamdyn.engine.cpu.matmul import Packed, pack, product
from streamdyn.engine.cpu.moves import copy, pick
from streamdyn.engine.cpu.places import Places, Steps, addresses, looked_up
from streamdyn.engine.cpu.reduce import add_up, difference, layer_norm, read_totals, softmax
from streamdyn.engine.cpu.resize import Samples, bilinear
from streamdyn.engine.cpu.rows import (
    ROW_BYTES,
    RowType,
    from_bfloat16,
    row_zeros,
    supports,
    to_bfloat16,
)
from streamdyn.engine.cpu.windows import PackedDepthwise, depthwise, pack_depthwise, pool

__all__ = [
    "ROW_BYTES",
    "Call",
    "Packed",
    "PackedDepthwise",
    "Places",
    "Program",
    "RowType",
    "Samples",
    "Steps",
    "activate",
    "add_up",
    "addresses",
    "affine",
    "bilinear",
    "binary",
    "copy",
    "depthwise",
    "difference",
    "from_bfloat16",
    "layer_norm",
    "load_image",
    "looked_up",
    "pack",
    "pack_depthwise",
    "pick",
    "pool",
    "product",
    "read_totals",
    "row_zeros",
    "run",
    "softmax",
    "store_planes",
    "supports",
    "to_bfloat16",
]
