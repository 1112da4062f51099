"""Benchmarks: every figure that this project claims, measured where it is asked for.

`engine` and `pipeline` are benchmarks: they have `add_arguments` and `run`. The other modules are
what these share.
"""
