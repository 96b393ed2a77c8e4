"""How many bodies one key may be sending at the same time."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from media_service.errors import TooManyUploads
from media_service.web.crowding import Bodies


async def test_a_key_has_its_number_and_takes_nothing_from_others() -> None:
    bodies = Bodies(2)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bodies.one_of("camera"))
        await stack.enter_async_context(bodies.one_of("camera"))
        with pytest.raises(TooManyUploads, match="2 files"):
            await stack.enter_async_context(bodies.one_of("camera"))
        await stack.enter_async_context(bodies.one_of("phone"))


async def test_a_body_that_ends_makes_room_however_it_ends() -> None:
    bodies = Bodies(1)
    async with bodies.one_of("camera"):
        pass
    with pytest.raises(ZeroDivisionError):
        async with bodies.one_of("camera"):
            raise ZeroDivisionError
    with pytest.raises(TooManyUploads):
        async with bodies.one_of("camera"), bodies.one_of("camera"):
            pass
    async with bodies.one_of("camera"):
        pass
