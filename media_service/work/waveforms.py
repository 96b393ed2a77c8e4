"""Makes the waveform of a film's main sound: one pass over it, of which text comes out."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from media_service.errors import ConverterKilled, TranscodeFailed
from media_service.ffmpeg import waveform_recipes
from media_service.ffmpeg.fence import PROBE_LIMITS, Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.store.keys import original_key, waveform_key
from media_service.store.records import Asset
from media_service.timeline.facts import AudioFacts
from media_service.timeline.waveforms import point_count, samples_per_point, total_samples, waveform_json
from media_service.work.clips import NONE, version_of
from media_service.work.keeping import keep
from media_service.work.rows import facts_of
from media_service.work.runner import Means

log = logging.getLogger(__name__)

# An hour of sound takes some 5 s of a core: twenty times that is not honest. All of a file may have to be read for it, and
# nothing comes out before its first sound.
CPU_SHARE = 1 / 36
SPARE_SECONDS = 600.0
WAVEFORM_LIMITS = msgspec.structs.replace(PROBE_LIMITS, stall_seconds=600.0, output_bytes=16 << 20)


class WaveformMaker:
    """Makes them."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def make(self, asset: Asset) -> bool:
        """Make the waveform of an asset that is playable, where it lacks one; whether anything has come of it.

        What cannot be made is noted, and not tried again. Raises NotFound when the asset is deleted meanwhile, StorageFull.
        """
        if asset.waveform is not None:
            return False
        sound, seconds = facts_of(asset).main_audio, asset.duration_seconds or 0.0
        data = b""
        try:
            if sound is not None and seconds > 0:
                data = await self._looked(asset, sound, seconds)
        except ConverterKilled as error:
            log.warning("%s has to wait for its waveform: %s", asset.id, error)  # until the next start
            return False
        except TranscodeFailed as error:
            log.info("%s gets no waveform: %s", asset.id, error)
        if data:
            await keep(self._means.blobs, waveform_key(asset.id), data)
        version = version_of(data) if data else NONE
        await self._means.catalog.update_asset(asset.id, waveform=version)
        return bool(data)

    async def _looked(self, asset: Asset, sound: AudioFacts, seconds: float) -> bytes:
        parser = waveform_recipes.LevelsParser(point_count(seconds))
        limits = _limits(seconds).within(self._means.limits)
        with Pipe() as pipe:
            async with await self._means.blobs.open(original_key(asset.id)) as original:
                argv = waveform_recipes.levels(
                    sound,
                    source_fd=original.fd,
                    pipe_fd=pipe.write_fd,
                    samples=total_samples(seconds),
                    each=samples_per_point(seconds),
                    limits=limits,
                )
                async with start(argv, limits=limits, pass_fds=(original.fd,), outputs=(pipe,)):
                    async for chunk in pipe:
                        parser.feed(chunk)
        if not parser.greatest:
            raise TranscodeFailed("Nothing was heard.")
        count = min(len(parser.least), len(parser.greatest))  # a last line may have been cut
        return await asyncio.to_thread(waveform_json, seconds, parser.least[:count], parser.greatest[:count])


def _limits(seconds: float) -> Limits:
    cpu = SPARE_SECONDS + CPU_SHARE * seconds
    return msgspec.structs.replace(WAVEFORM_LIMITS, cpu_seconds=cpu, wall_seconds=10 * cpu)
