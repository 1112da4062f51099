"""Masks as run lengths, as COCO has them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from streamdyn.records import from_rle, to_rle


class TestRle:
    @given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)))
    def test_round_trip(self, mask: np.ndarray) -> None:
        rle = json.loads(json.dumps(to_rle(mask)))
        np.testing.assert_array_equal(from_rle(rle), mask)

    # Its own use of numpy is out of date.
    @pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
    @given(st.integers(0, 2**32 - 1), st.floats(0, 1))
    def test_decodes_as_pycocotools_does(self, seed: int, inside: float) -> None:
        mask = np.random.default_rng(seed).random((37, 53)) < inside
        rle = to_rle(mask)
        np.testing.assert_array_equal(from_rle(rle), coco.decode(rle))

    @given(st.integers(-1, 5), st.integers(-1, 5), st.text(st.characters(codec="utf-8")))
    def test_garbage_is_refused_or_is_a_mask(self, height: int, width: int, counts: str) -> None:
        try:
            mask = from_rle({"size": [height, width], "counts": counts})
        except ValueError:
            return
        assert mask.shape == (height, width)
        np.testing.assert_array_equal(from_rle(to_rle(mask)), mask)
