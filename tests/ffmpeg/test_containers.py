from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.ffmpeg.containers import container_of
from tests.support.shared import corpus, shared_file


@pytest.mark.parametrize("entry", corpus(), ids=lambda entry: entry["file"])
def test_every_film_of_the_corpus_is_recognised(entry: dict[str, str]) -> None:
    kinds = {"mp4": "MP4", "mkv": "Matroska", "webm": "Matroska", "ts": "transport stream"}
    found = container_of(shared_file(f"corpus/{entry['file']}").read_bytes()[:4096])
    assert found is not None
    assert kinds[entry["file"].rpartition(".")[2]] in found


@pytest.mark.parametrize(
    "head", [b"", b"#EXTM3U\n", b"<html>", b"\x89PNG\r\n\x1a\n", b"ftyp", b"G" + bytes(500)]
)
def test_anything_else_is_not(head: bytes) -> None:
    assert container_of(head) is None


@given(st.binary(max_size=600))
def test_any_bytes_can_be_looked_at(head: bytes) -> None:
    container_of(head)
