from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media_service.ffmpeg.progress import Progress, ProgressParser

REPORTS = (
    b"frame=0\nfps=0.00\nstream_0_0_q=0.0\nbitrate=N/A\ntotal_size=780\nout_time_us=N/A\nout_time=N/A\nprogress=continue\n"
    b"frame=48\nfps=95.1\ntotal_size=126434\nout_time_us=2005333\nout_time_ms=2005333\nspeed=3.99x\nprogress=continue\n"
    b"frame=96\ntotal_size=340618\nout_time_us=-9223372036854775807\nprogress=continue\n"
    b"frame=120\ntotal_size=340618\nout_time_us=5013333\nprogress=end\n"
)
EXPECTED = [
    Progress(0, 0.0),
    Progress(48, 2.005333),
    Progress(96, 0.0),
    Progress(120, 5.013333, finished=True),
]


def test_reports_are_read_whole() -> None:
    assert ProgressParser().feed(REPORTS) == EXPECTED


def test_reports_are_read_byte_by_byte() -> None:
    parser = ProgressParser()
    assert [report for byte in REPORTS for report in parser.feed(bytes([byte]))] == EXPECTED


@given(st.integers(0, len(REPORTS)))
def test_reports_are_read_split_anywhere(cut: int) -> None:
    parser = ProgressParser()
    assert parser.feed(REPORTS[:cut]) + parser.feed(REPORTS[cut:]) == EXPECTED


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_noise_never_breaks_it(noise: list[bytes]) -> None:
    parser = ProgressParser()
    for data in noise:
        parser.feed(data)
    assert parser.feed(b"\nprogress=continue\n" + REPORTS)[-3:] == EXPECTED[-3:]


def test_a_line_without_end_does_not_grow() -> None:
    parser = ProgressParser()
    for _ in range(100):
        assert parser.feed(b"x" * 1000) == []
    assert len(parser._rest) <= 4096


def test_a_report_says_nothing_of_the_one_before() -> None:
    assert ProgressParser().feed(b"frame=7\nprogress=continue\nprogress=end\n")[1] == Progress(finished=True)
