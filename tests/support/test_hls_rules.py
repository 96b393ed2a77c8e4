"""The checker of playlists lets good ones through and names the rule that others break."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.support.hls_rules import check_master, check_media, check_presentation

MASTER = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,URI="a/index.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Deutsch, leise",LANGUAGE="de",AUTOSELECT=YES,URI="b/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=200,AVERAGE-BANDWIDTH=100,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=2x2,AUDIO="a"
v/index.m3u8?v=1
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100,CODECS="avc1.64001f",URI="v/iframes.m3u8"
"""
MEDIA = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="init.mp4"
#EXTINF:4.49,
0.m4s
#EXTINF:1.5,
1.m4s
#EXT-X-ENDLIST
"""
IFRAMES = MEDIA.replace("#EXT-X-MAP", "#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP").replace(
    "#EXTINF:4", "#EXT-X-BYTERANGE:10@20\n#EXTINF:4"
)


def test_good_playlists_are_read() -> None:
    master, media, iframes = check_master(MASTER), check_media(MEDIA), check_media(IFRAMES)
    assert master.independent
    assert [one["NAME"] for one in master.group("AUDIO", "a")] == ["English", "Deutsch, leise"]
    assert master.variants[0].attributes["CODECS"] == "avc1.64001f,mp4a.40.2"
    assert (media.target, media.map_uri, media.seconds) == (4, "init.mp4", Fraction("5.99"))
    assert iframes.segments[0].span == (20, 30)
    check_presentation(
        master,
        {
            "v/index.m3u8?v=1": media,
            "a/index.m3u8": media,
            "b/index.m3u8": media,
            "v/iframes.m3u8": iframes,
        },
    )


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("#EXTM3U\n", "", "s4.3.1.1"),
        ("#EXT-X-VERSION:6\n", "#EXT-X-VERSION:6\n#EXT-X-VERSION:6\n", "twice"),
        ("#EXT-X-VERSION:6", "#EXT-X-VERSION:six", "s4.3.1.2"),
        ("#EXT-X-VERSION:6", "#EXT-X-TARGETDURATION:6", "does not belong"),
        ('NAME="Deutsch, leise"', 'NAME="English"', "s4.3.4.1.1"),
        ('NAME="Deutsch, leise"', 'NAME="Deut"sch"', "s4.2"),
        ('NAME="Deutsch, leise",', "", "needs NAME"),
        ('LANGUAGE="de"', 'LANGUAGE="en"', "AUTOSELECT cannot tell"),
        ('LANGUAGE="de"', 'LANGUAGE="?"', "LANGUAGE cannot be"),
        ('"de",AUTOSELECT=YES', '"de",DEFAULT=YES', "more than one default"),
        ("DEFAULT=YES,AUTOSELECT=YES", "DEFAULT=YES,AUTOSELECT=NO", "DEFAULT=YES means"),
        ("TYPE=AUDIO", "TYPE=SOUND", "TYPE cannot be"),
        ('AUDIO="a"', 'AUDIO="b"', "no group"),
        ("AVERAGE-BANDWIDTH=100", "AVERAGE-BANDWIDTH=201", "not above the peak"),
        ("BANDWIDTH=200,AVERAGE-", "AVERAGE-", "BANDWIDTH is required"),
        ("RESOLUTION=2x2", "RESOLUTION=2X2", "RESOLUTION cannot be"),
        ("RESOLUTION=2x2", "FRAME-RATE=29.9701", "FRAME-RATE cannot be"),
        ("RESOLUTION=2x2", "RESOLUTION=2x2,RESOLUTION=2x2", "there twice"),
        ("v/index.m3u8?v=1\n", "", "follows EXT-X-STREAM-INF"),
        ("v/index.m3u8?v=1", "v/ index.m3u8", "no URI"),
        (',URI="v/iframes.m3u8"', "", "needs a URI"),
        ('"a",NAME="Deutsch', '"b",NAME="Deutsch', "differ"),
    ],
)
def test_a_broken_rule_of_a_multivariant_playlist_is_named(old: str, new: str, rule: str) -> None:
    assert old in MASTER
    with pytest.raises(AssertionError, match=rule):
        check_master(MASTER.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("4.49", "4.5", "s4.3.3.1"),
        ("4.49,", "4.49", "s4.3.2.1"),
        ("4.49", "4.4e1", "s4.2"),
        ("1.5", "0.0", "empty segment"),
        ("#EXTINF:1.5,\n", "", "s4.3.2.1"),
        ("1.m4s\n", "", "no segment"),
        ("VERSION:6", "VERSION:5", "s7"),
        ("#EXT-X-TARGETDURATION:4\n", "", "s4.3.3.1"),
        ("#EXT-X-ENDLIST\n", "", "s4.3.3.4"),
        ('#EXT-X-MAP:URI="init.mp4"\n', "", "s3.3"),
        ("TYPE:VOD", "TYPE:EVENT", "s4.3.3.5"),
        ("1.m4s", "0.m4s", "twice"),
        ("#EXTINF:1.5", "#EXT-X-BYTERANGE:7\n#EXTINF:1.5", "s4.3.2.2"),
        ("#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-STREAM-INF:BANDWIDTH=1", "does not belong"),
    ],
)
def test_a_broken_rule_of_a_media_playlist_is_named(old: str, new: str, rule: str) -> None:
    assert old in MEDIA
    with pytest.raises(AssertionError, match=rule):
        check_media(MEDIA.replace(old, new, 1))


def test_playlists_of_one_film_have_one_target_duration() -> None:
    master, media = check_master(MASTER), check_media(MEDIA)
    longer = check_media(MEDIA.replace("DURATION:4", "DURATION:5"))
    playlists = dict.fromkeys(master.uris, media) | {"v/iframes.m3u8": check_media(IFRAMES)}
    with pytest.raises(AssertionError, match=r"s6\.2\.4"):
        check_presentation(master, playlists | {"b/index.m3u8": longer})
    with pytest.raises(AssertionError, match="I-FRAMES-ONLY"):
        check_presentation(master, playlists | {"v/iframes.m3u8": media})
