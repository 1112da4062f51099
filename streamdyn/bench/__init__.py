"""Benchmarks: every figure that this project claims, measured where it is asked for.

Each module here but `harness` and `clips` is one benchmark: `add_arguments` and `run`.
"""
