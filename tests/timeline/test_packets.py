from __future__ import annotations

from media_service.timeline.packets import Packets, StreamPackets

PICTURE = StreamPackets(index=0, count=250, key_count=5, size=9, start_seconds=1.0, stop_seconds=11.0)
SOUND = StreamPackets(index=3, count=500, key_count=500, size=9, start_seconds=0.0, stop_seconds=10.5)
BOTH = Packets((PICTURE, SOUND))


def test_a_duration_is_from_its_own_first_packet_to_its_own_last() -> None:
    assert PICTURE.duration_seconds == 10.0


def test_a_track_without_packets_is_empty() -> None:
    empty = BOTH.stream(7)
    assert (empty.index, empty.count, empty.duration_seconds) == (7, 0, 0.0)


def test_a_film_ends_with_its_last_track() -> None:
    assert BOTH.stop_seconds(0, 3) == 11.0
    assert BOTH.stop_seconds(3) == 10.5


def test_nothing_ends_at_zero() -> None:
    assert BOTH.stop_seconds() == 0.0
    assert BOTH.stop_seconds(9) == 0.0
    assert Packets().stop_seconds(0) == 0.0
