"""System calls by number: what they return, and what they raise."""

from __future__ import annotations

import errno
import os
import platform

import pytest

from media_service.ffmpeg.system_calls import call

GETPGID = {"x86_64": 121, "aarch64": 155}


@pytest.mark.skipif(platform.machine() not in GETPGID, reason="no numbers for this machine")
def test_a_call_returns_what_the_kernel_says() -> None:
    assert call(GETPGID[platform.machine()], os.getpid()) == os.getpgrp()


@pytest.mark.skipif(platform.machine() not in GETPGID, reason="no numbers for this machine")
def test_a_refusal_is_an_oserror_with_its_number() -> None:
    with pytest.raises(ProcessLookupError) as caught:
        call(GETPGID[platform.machine()], 1 << 30)
    assert caught.value.errno == errno.ESRCH
