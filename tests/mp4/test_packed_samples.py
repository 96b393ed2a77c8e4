"""Packed samples are the samples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import BrokenMedia
from media_service.mp4.fragments import Sample
from media_service.mp4.packed_samples import PackedSamples

SAMPLES = st.lists(
    st.builds(Sample, st.integers(0, 5000), st.integers(0, 99), st.booleans(), st.integers(-9000, 9000)),
    max_size=12,
)


@given(SAMPLES, st.slices(12))
def test_they_are_what_was_packed(samples: list[Sample], some: slice) -> None:
    packed = PackedSamples.of(samples)
    assert list(packed) == samples
    assert len(packed) == len(samples)
    assert bool(packed) == bool(samples)
    assert list(packed[some]) == samples[some]
    assert [packed[at] for at in range(-len(samples), len(samples))] == samples * 2
    with pytest.raises(IndexError):
        _ = packed[len(samples)]
    assert len(packed.data) == 13 * len(samples)


def test_other_bytes_are_none() -> None:
    with pytest.raises(BrokenMedia):
        list(PackedSamples(bytes(14)))
