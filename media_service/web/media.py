"""`/media` and `/t/{token}/media`: everything that players fetch. Each handler opens a Representation, plans a Delivery and sends it."""

from __future__ import annotations

from litestar.types import ASGIApp

from media_service.errors import NotFound
from media_service.playback.access import Access
from media_service.playback.classics import Classics
from media_service.playback.library import Library
from media_service.playback.playlists import Playlists
from media_service.playback.segments import Segments
from media_service.web.cors import CORS
from media_service.web.dependencies import Blobs
from media_service.web.send import nothing, while_there
from media_service.web.serving import (
    FILM,
    AnyRequest,
    AssetId,
    Version,
    fetched,
    number_of,
    numbered,
    preflight,
    serve,
)
from media_service.wire.disposition import content_disposition

RENDITION = FILM + "/hls/{rendition:str}"

FILE_PATH = FILM + "/{name:str}"
SUBTITLES_PATH = FILM + "/subtitles/{name:str}"
MANIFEST_PATH = FILM + "/dash/manifest.mpd"
MASTER_PATH = FILM + "/hls/master.m3u8"
PLAYLIST_PATH = RENDITION + "/index.m3u8"
IFRAMES_PATH = RENDITION + "/iframes.m3u8"
INIT_PATH = RENDITION + "/init.mp4"
SEGMENT_PATH = RENDITION + "/{name:str}"
PATHS = (
    FILE_PATH,
    SUBTITLES_PATH,
    MANIFEST_PATH,
    MASTER_PATH,
    PLAYLIST_PATH,
    IFRAMES_PATH,
    INIT_PATH,
    SEGMENT_PATH,
)


@fetched(FILE_PATH)
async def film(
    request: AnyRequest,
    library: Library,
    classics: Classics,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    name: str,
    version: Version = None,
) -> ASGIApp:
    """`original.{ext}`, `{rendition}.mp4`, `{sound}.m4a` or `poster.jpg`: whole files, any range of them. `download`: the
    original, to be kept under the name that it came with."""
    stem, _, extension = name.rpartition(".")
    if name == "download":
        kept_as, original = await library.download(asset_id, access)
        disposition = (b"content-disposition", content_disposition("attachment", kept_as).encode("ascii"))
        return serve(request, blobs, access, original, (*CORS, disposition))
    if stem == "original":
        return serve(request, blobs, access, await library.original(asset_id, access, extension))
    if name == "poster.jpg":
        return serve(request, blobs, access, await library.poster(asset_id, access, version))
    if extension in {"mp4", "m4a"}:
        return serve(request, blobs, access, await classics.classic(asset_id, access, stem, extension))
    raise NotFound("There is no such file.")


@fetched(SUBTITLES_PATH)
async def subtitles(
    request: AnyRequest,
    library: Library,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    name: str,
    version: Version = None,
) -> ASGIApp:
    """`{n}.vtt`: text subtitle track number n as WebVTT."""
    number = numbered(name, "vtt", "There are no such subtitles.")
    return serve(request, blobs, access, await library.subtitles(asset_id, access, number, version))


@fetched(MANIFEST_PATH)
async def manifest(
    request: AnyRequest, playlists: Playlists, blobs: Blobs, access: Access, asset_id: AssetId
) -> ASGIApp:
    """The DASH manifest: the whole film, over the same segments as HLS."""
    return serve(request, blobs, access, await playlists.manifest(asset_id, access))


@fetched(MASTER_PATH)
async def master(
    request: AnyRequest, playlists: Playlists, blobs: Blobs, access: Access, asset_id: AssetId
) -> ASGIApp:
    """The HLS multivariant playlist: pictures, sounds and subtitles to choose from."""
    return serve(request, blobs, access, await playlists.master(asset_id, access))


@fetched(PLAYLIST_PATH)
async def playlist(
    request: AnyRequest, playlists: Playlists, blobs: Blobs, access: Access, asset_id: AssetId, rendition: str
) -> ASGIApp:
    """The HLS media playlist of a rendition or of `subtitles-{n}`: the whole film, whether it is made or not."""
    kind, _, number = rendition.partition("-")
    if kind == "subtitles" and (track := number_of(number)) is not None:
        return serve(request, blobs, access, await playlists.subtitles(asset_id, access, track))
    return serve(request, blobs, access, await playlists.media(asset_id, access, rendition))


@fetched(IFRAMES_PATH)
async def iframes(
    request: AnyRequest, playlists: Playlists, blobs: Blobs, access: Access, asset_id: AssetId, rendition: str
) -> ASGIApp:
    """The HLS I-frame playlist of a picture: one keyframe of each segment, for scrubbing."""
    return serve(request, blobs, access, await playlists.iframes(asset_id, access, rendition))


@fetched(INIT_PATH)
async def init_segment(
    request: AnyRequest,
    segments: Segments,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    rendition: str,
    version: Version = None,
) -> ASGIApp:
    """A rendition's initialization segment. Waits like a media segment while it is made."""
    opened = await while_there(request.receive, segments.init(asset_id, access, rendition, version))
    return nothing if opened is None else serve(request, blobs, access, opened)


@fetched(SEGMENT_PATH)
async def segment(
    request: AnyRequest,
    segments: Segments,
    blobs: Blobs,
    access: Access,
    asset_id: AssetId,
    rendition: str,
    name: str,
    version: Version = None,
) -> ASGIApp:
    """`{k}.m4s`: a rendition's media segment number k. One that is not there yet is made now, and the answer waits for it:
    at most some seconds, then it is 503 with `Retry-After`."""
    number = numbered(name, "m4s", "There is no such segment.")
    opened = await while_there(
        request.receive, segments.segment(asset_id, access, rendition, number, version)
    )
    return nothing if opened is None else serve(request, blobs, access, opened)


HANDLERS = [
    preflight(PATHS),
    film,
    subtitles,
    manifest,
    master,
    playlist,
    iframes,
    init_segment,
    segment,
]
