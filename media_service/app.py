"""The composition root: the only module that knows all the others. Settings end here and go on as plain values."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from media_service.errors import MediaServiceError
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.spawning import announced
from media_service.ingest.in_memory import MemoryIntake
from media_service.ingest.intake import Intake
from media_service.ingest.pipeline import Admission
from media_service.ingest.uploads import Uploads
from media_service.memory.budget import Budget
from media_service.playback.frames import Frames
from media_service.playback.gate import Gate
from media_service.playback.opened import open_representations
from media_service.playback.seeking import Seeker
from media_service.playback.timelines import Timelines
from media_service.settings import Settings
from media_service.store.catalog import open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.local_blobs import LocalBlobs
from media_service.web.accel import Accel
from media_service.web.crowding import Bodies
from media_service.web.dependencies import provided
from media_service.web.exports import Exports
from media_service.web.films import open_films
from media_service.web.headers import completing
from media_service.web.keyring import Keyring
from media_service.web.methods import methods_of
from media_service.web.openapi import openapi_config
from media_service.web.problems import on_bug, on_framework_error, on_own_error
from media_service.web.requests import OwnRequest, refuse_empty_segments
from media_service.web.routes import HANDLERS
from media_service.web.sessions import Sessions
from media_service.web.tellings import Tellings
from media_service.wire.forwarded import read_networks
from media_service.wire.origins import read_origins
from media_service.work.arrivals import Arrivals
from media_service.work.clips import ClipMaker
from media_service.work.demand import Demand
from media_service.work.drawing import draw
from media_service.work.events import Events
from media_service.work.extras import Extras
from media_service.work.going import Going
from media_service.work.indexes import Indexes
from media_service.work.indexing import Indexer
from media_service.work.inits import Inits
from media_service.work.logged_events import LoggedEvents
from media_service.work.outlines import Outlines
from media_service.work.posters import Posters
from media_service.work.previewing import Previewer
from media_service.work.retrying import Retrier
from media_service.work.runner import Means
from media_service.work.stills import Stills
from media_service.work.tasks import Tasks
from media_service.work.transcoding import Transcoder
from media_service.work.transforms import MOST_THREADS, Transforms, limits_of
from media_service.work.waveforms import WaveformMaker
from media_service.work.webhook_calls import Caller
from media_service.work.webhooks import Sender

log = logging.getLogger(__name__)

# fmt: off
PROVIDED = (
    "admission", "blobs", "bodies", "catalog", "classics", "clips", "events", "exports", "frames", "gate", "idle_seconds", "intake", "keyring", "library",
    "memory_intake", "playlists", "posters", "previews", "retrier", "seeker", "segments", "sessions", "tasks", "tellings", "timelines", "transforms", "uploads", "walls", "webhook_caller",
)
# fmt: on


def create_app(settings: Settings, *, admin_token: str, signing_keys: Mapping[str, bytes]) -> Litestar:
    """The service as an ASGI application; what it holds is opened and closed by its lifespan.

    `signing_keys`: at least one (wire.signatures.read_keys).
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _open(settings, app.state, stack)
            _open_doors(settings, app.state, admin_token)
            app.state.gate = Gate(signing_keys, settings.playback)
            app.state.tellings = Tellings(app.state.catalog, app.state.gate)
            app.state.opened = await stack.enter_async_context(
                open_representations(app.state.catalog.generations, app.state.blobs)
            )
            yield

    return Litestar(
        route_handlers=[methods_of(HANDLERS), *HANDLERS],
        lifespan=[lifespan],
        dependencies=provided(PROVIDED),
        exception_handlers={
            MediaServiceError: on_own_error,
            HTTPException: on_framework_error,
            Exception: on_bug,
        },
        openapi_config=openapi_config(),
        request_class=OwnRequest,
        before_request=refuse_empty_segments,
        before_send=[completing(read_origins(settings.cors_origins))],
        logging_config=None,
        # JSON bodies only; the upload routes set their own limit.
        request_max_body_size=1 << 20,
    )


def stopping(app: Litestar) -> None:
    """The listener takes no more requests: let those end that could go on for hours."""
    with ExitStack() as each:  # whatever becomes of the others
        each.callback(app.state.uploads.stop)
        each.callback(app.state.exports.stop)
        each.callback(app.state.events.close)


async def _open(settings: Settings, state: State, stack: AsyncExitStack) -> None:
    data = settings.data_dir
    data.mkdir(parents=True, exist_ok=True)
    state.walls = await asyncio.to_thread(announced)
    limits = Limits(
        memory_bytes=settings.transcode_memory_bytes,
        max_pixels=settings.max_pixels,
        max_streams=settings.max_streams,
    )
    blobs = LocalBlobs(data / "blobs")
    catalog = await stack.enter_async_context(open_catalog(sqlite_url(data / "catalog.sqlite3")))
    state.webhook_caller = await stack.enter_async_context(
        Caller(private_targets=settings.webhook_private_targets)
    )
    await stack.enter_async_context(Sender(catalog, state.webhook_caller))
    state.events = news = await stack.enter_async_context(LoggedEvents(catalog))
    means = Means(
        catalog=catalog,
        blobs=blobs,
        outlines=Outlines(blobs),
        indexes=Indexes(blobs),
        limits=limits,
        threads=settings.transcode_threads,
    )
    going = await stack.enter_async_context(Going(means, news))
    inits = await stack.enter_async_context(Inits(catalog, means.outlines))
    state.posters = Posters(means, news)
    tasks = await stack.enter_async_context(
        _tasks(settings, means, news, going, inits, posters=state.posters)
    )
    arrivals = await stack.enter_async_context(Arrivals(catalog, tasks.submit))
    news.on_foreign = arrivals.hear
    state.blobs = blobs
    state.catalog = catalog
    memory = Budget(settings.upload_memory_bytes)
    state.intake = Intake(budget=memory, blobs=blobs, max_bytes=settings.max_upload_bytes)
    _open_transforms(settings, state, memory, limits)
    state.admission = Admission(
        catalog=catalog,
        limits=limits,
        submit=tasks.submit,
        deduplicate=settings.deduplicate,
    )
    state.tasks = tasks
    state.retrier = Retrier(catalog=catalog, blobs=blobs, going=going, inits=inits, tasks=tasks)
    demand = Demand(means, going, inits, makes=settings.transcode_workers > 0)
    _open_films(state, means, demand, await stack.enter_async_context(Stills(partial(draw, means, going))))
    await tasks.resume()
    # Last: it finishes what a crash cut short, and its leftovers are none.
    state.uploads = await stack.enter_async_context(
        Uploads(
            catalog=catalog,
            blobs=blobs,
            admission=state.admission,
            max_bytes=settings.max_upload_bytes,
            max_open=settings.max_open_uploads,
            max_reserved_bytes=settings.max_reserved_bytes,
            expires_seconds=settings.upload_expires_seconds,
        )
    )


def _open_doors(settings: Settings, state: State, admin_token: str) -> None:
    """What guards ask who a caller is, and what bounds requests."""
    state.keyring = Keyring(state.catalog, admin_token)
    state.sessions = Sessions(state.catalog, state.keyring, admin_token)
    state.trusted_proxies = read_networks(settings.trusted_proxies)
    prefix = settings.accel_prefix
    state.accel = Accel(prefix, state.trusted_proxies) if prefix else None
    state.cors_origins = read_origins(settings.cors_origins)
    state.bodies = Bodies(settings.max_bodies)
    state.exports = Exports(settings.export_seconds)
    state.idle_seconds = settings.upload_idle_seconds


def _tasks(
    settings: Settings, means: Means, news: Events, going: Going, inits: Inits, *, posters: Posters
) -> Tasks:
    """What goes on in the background."""
    scanning = asyncio.Semaphore(1)
    return Tasks(
        catalog=means.catalog,
        blobs=means.blobs,
        events=news,
        indexer=Indexer(
            catalog=means.catalog,
            blobs=means.blobs,
            events=news,
            limits=means.limits,
            max_duration_seconds=settings.max_duration_seconds,
            scanning=scanning,
        ),
        extras=Extras(
            catalog=means.catalog,
            blobs=means.blobs,
            outlines=means.outlines,
            events=news,
            limits=means.limits,
            scanning=scanning,
            posters=posters,
        ),
        previewer=Previewer(catalog=means.catalog, blobs=means.blobs, events=news, limits=means.limits),
        clips=ClipMaker(means, quiet=going.quiet),
        waveforms=WaveformMaker(means),
        transcoder=Transcoder(means, going, inits, news, ahead=settings.transcode_ahead),
        going=going,
        transcode_workers=settings.transcode_workers,
    )


def _open_transforms(settings: Settings, state: State, memory: Budget, limits: Limits) -> None:
    """Transforms take their files' memory from the uploads' `memory`."""
    state.memory_intake = MemoryIntake(budget=memory, max_bytes=settings.transform_max_bytes)
    state.transforms = Transforms(
        at_once=settings.transform_workers,
        per_key=settings.transform_per_key,
        limits=limits_of(
            limits, seconds=settings.transform_max_seconds, memory_bytes=settings.transform_memory_bytes
        ),
        threads=min(settings.transcode_threads or MOST_THREADS, MOST_THREADS),
    )


def _open_films(state: State, means: Means, demand: Demand, drawn: Stills) -> None:
    """What handlers open films with."""
    catalog, blobs, outlines = means.catalog, means.blobs, means.outlines
    opener, packs = open_films(
        state, catalog=catalog, blobs=blobs, outlines=outlines, indexes=means.indexes, demand=demand
    )
    state.seeker = Seeker(opener, means.indexes)
    state.timelines = Timelines(catalog=catalog, blobs=blobs, opener=opener, outlines=outlines)
    state.frames = Frames(opener=opener, means=means, packs=packs, stills=drawn)
