"""Samples of which there are millions, in the 13 bytes each that they are stored in; as objects they take four hundred."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from media_service.mp4.fragments import PACKED_BYTES, Sample, pack_samples, unpack_samples


@dataclass(frozen=True, slots=True)
class PackedSamples(Sequence[Sample]):
    """What `pack_samples` made of a fragment's samples; they are unpacked, all of them, each time that one is looked at.

    Looking at one raises BrokenMedia for bytes that `pack_samples` never wrote.
    """

    data: bytes

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> PackedSamples:
        """These samples."""
        return cls(pack_samples(tuple(samples)))

    def __len__(self) -> int:
        return len(self.data) // PACKED_BYTES

    @overload
    def __getitem__(self, at: int) -> Sample: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Sample]: ...

    def __getitem__(self, at: int | slice) -> Sample | Sequence[Sample]:
        return unpack_samples(self.data)[at]

    def __iter__(self) -> Iterator[Sample]:
        return iter(unpack_samples(self.data))
