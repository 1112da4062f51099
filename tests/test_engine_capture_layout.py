"""How values lie as maps, whatever views and permutations a network makes of them."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamdyn.engine.capture.layout import Layout


def factors(size):
    return st.sampled_from([n for n in range(1, size + 1) if size % n == 0])


@settings(max_examples=200)
@given(st.data())
def test_a_layout_follows_any_chain_of_views_and_permutations(data):
    base = (1, 6, 4, 8)
    value = torch.arange(192).view(base)
    tensor, layout = value, Layout.plain(base)
    for _ in range(data.draw(st.integers(1, 5))):
        if data.draw(st.booleans()):
            order = data.draw(st.permutations(range(tensor.ndim)))
            tensor, layout = tensor.permute(order), layout.permute(order)
        else:
            shape, left = [], tensor.numel()
            for _ in range(data.draw(st.integers(0, 4))):
                shape.append(data.draw(factors(left)))
                left //= shape[-1]
            shape.append(left)
            viewed = layout.view(shape)
            if viewed is None:
                continue  # parts cut unevenly
            tensor, layout = tensor.reshape(shape), viewed
    assert layout.shape == tensor.shape
    assert torch.equal(layout.read(value), tensor)
    assert torch.equal(layout.write(tensor), value)


def test_layouts_that_are_equal_compare_equal():
    plain = Layout.plain((1, 6, 4, 8))
    there = plain.view((2, 3, 32)).permute((1, 2, 0))
    assert there.permute((2, 0, 1)).view((1, 6, 4, 8)) == plain
    assert there != plain
    assert np.array_equal(there.shape, (3, 32, 2))
