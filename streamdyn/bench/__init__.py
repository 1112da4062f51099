"""Benchmarks: every figure that this project claims, measured where it is asked for.

`engine`, `pipeline` and `policies` are benchmarks: they have `add_arguments` and `run`, and `show`
where there is more to print than a table of medians. The other modules are what these share.
"""
