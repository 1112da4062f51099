"""Networks on blocks on any device of torch: the same plan and propagation as on the CPU.

Maps are rows of channels. Those that are read beyond the pixels being computed lie in an arena, of
all streams side by side; a step gathers the rows that it reads by tables of their numbers. A call
sends the numbers of its pixels to the device and, but for a tolerance, waits for nothing after.

Each device has operations of torch (`plain`). CUDA devices have kernels in Triton (`triton`) for
products, depthwise convolutions, what is done number by number, and writing to kept maps; where
Triton is not installed, they too have those of torch. `sparsify(..., kernels=...)` chooses.

What was run, and where: the operations of torch on the CPU, in float32 and bfloat16, against the
reference. The kernels in Triton by its interpreter on the CPU against those of torch, in float32,
bfloat16 and float16, but not products of bfloat16, which it cannot multiply; and they compile to
machine code for compute capability 8.0. Nothing was run on a GPU yet, and no speed was measured
on one; the sizes of tiles are guesses.
"""
