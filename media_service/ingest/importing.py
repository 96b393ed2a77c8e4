"""A film that lies on this machine becomes an asset, beside a service that runs or without one.

First a row of an unfinished upload says that somebody is at it, with a lease: a service leaves such a tree alone. Then the
bytes are read where they are, compared with what there is, and only a new film's are brought into the store; the asset's row
comes last, and ends the upload. What a crash leaves behind expires within minutes, as other uploads do.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

import msgspec

from media_service.errors import EmptyUpload, MediaRejected, MediaServiceError, NotFound, NotMedia
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.probe import probe
from media_service.ingest.holding import Holding
from media_service.ingest.holds import Holds
from media_service.ingest.intake import new_asset_id
from media_service.ingest.local_files import STEP_BYTES, Changed, LocalFile
from media_service.ingest.pipeline import PROBES_AT_ONCE, Admission, Label
from media_service.store.catalog import Catalog
from media_service.store.disk import to_its_end
from media_service.store.event_log import News
from media_service.store.instants import now_ms
from media_service.store.keys import original_key
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Upload, Visibility
from media_service.timeline.facts import Facts
from media_service.wire.disposition import clean_filename

OWNER = "import"  # the id of no key (theirs are hexadecimal): no client finds these uploads
# How long what a crash left is kept, for the lease is over sooner; longer than a laptop's nap may take a copy's breath.
EXPIRES_SECONDS = 600
UNBOUNDED = 1 << 62  # whoever has the disk needs no quota on it

Way = Literal["linked", "cloned", "copied"]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file. `way`: how its bytes came into the store. `asset`: the id, also of the one that was there before.

    "passed over" is what is no film; "failed" what is one, or should be, and could not be imported: `code` and `detail`.
    What should have been linked and was not says so in `detail`.
    """

    outcome: Literal["imported", "known", "passed over", "failed"]
    asset: str | None = None
    way: Way | None = None
    code: str | None = None
    detail: str | None = None


class Importer:
    """Imports files, several at a time if need be. With `link` they stay where they are, and the store has one more name of
    them, where the file system can do that. `sound`: takes what has no picture, too."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        blobs: LocalBlobs,
        limits: Limits,
        link: bool = False,
        sound: bool = False,
        visibility: Visibility | None = None,
    ) -> None:
        self._catalog = catalog
        self._blobs = blobs
        self._limits = limits
        self._link = link
        self._sound = sound
        self._visibility = visibility
        self._holds = Holds(catalog, expires_seconds=EXPIRES_SECONDS)
        # Whoever is to begin with the asset hears of it by the log of events.
        self._admission = Admission(catalog=catalog, limits=limits, submit=lambda _: None, deduplicate=True)
        self._probing = asyncio.Semaphore(PROBES_AT_ONCE)

    async def take(self, file: LocalFile, *, named: bool = True) -> Taken:
        """Import one file; of those that nobody `named`, what is no film is passed over.

        Raises StorageFull and CatalogUnavailable, which the next file would meet as well.
        """
        try:
            async with self._probing:
                facts = await probe(file.fd, self._limits)
            if facts.video is None and not (named or self._sound):
                return Taken(outcome="passed over", code="sound_only", detail="It has no picture.")
            sha256 = await file.digest()
            twin = await self._catalog.asset_of_digest(sha256, file.size, failed_too=True)
            if twin is not None:
                if twin.state == "probing":  # perhaps an import before died when it had not told of it yet
                    await self._tell(twin.id)
                return Taken(outcome="known", asset=twin.id)
            return await self._take_new(file, facts, sha256)
        except (NotMedia, EmptyUpload) as error:
            return Taken(
                outcome="failed" if named else "passed over",
                code=error.code,
                detail=error.detail or error.title,
            )
        except MediaRejected as error:
            return Taken(outcome="failed", code=error.code, detail=error.detail or error.title)
        except Changed as error:
            return Taken(outcome="failed", code="changed", detail=str(error))

    async def _take_new(self, file: LocalFile, facts: Facts, sha256: str) -> Taken:
        upload = self._upload(file)
        await self._catalog.add_upload(
            upload, max_open=UNBOUNDED, max_reserved_bytes=UNBOUNDED, now=upload.created_at
        )
        label = Label(filename=upload.filename, visibility=self._visibility, owner=OWNER)
        async with await self._holds.take(upload.id, OWNER) as holding:
            arrived = _Arrived(file, sha256, holding, self._blobs, link=self._link)
            try:
                asset = await self._admission.admit(arrived, label, facts)
            finally:
                # However it ended, also by Ctrl-C in the middle of it.
                await to_its_end(self._settle(holding))
        if asset.id != upload.id:
            return Taken(outcome="known", asset=asset.id)
        return Taken(outcome="imported", asset=asset.id, way=arrived.way, detail=arrived.not_linked)

    async def _settle(self, holding: Holding) -> None:
        """The upload is over: there is an asset, of which services are told, or nothing is left of it."""
        asset_id = holding.upload.id
        try:
            await self._catalog.asset(asset_id)
        except NotFound:
            await self._blobs.delete_tree(asset_id)
        else:
            await self._tell(asset_id)
        with suppress(MediaServiceError):  # the lease is lost, or the catalog busy: it expires
            await holding.delete()

    async def _tell(self, asset_id: str) -> None:
        await self._catalog.append_events([News("asset", asset_id)])

    def _upload(self, file: LocalFile) -> Upload:
        now = now_ms()
        return Upload(
            id=new_asset_id(),
            owner=OWNER,
            dialect="ietf",
            filename=clean_filename(file.path.name),
            length=file.size,
            created_at=now,
            updated_at=now,
            expires_at=self._holds.expiry(),
        )


class _Arrived:
    """A `pipeline.Arrived`: a file that lies where it was found, until it is to be kept."""

    def __init__(
        self, file: LocalFile, sha256: str, holding: Holding, blobs: LocalBlobs, *, link: bool
    ) -> None:
        self.asset_id = holding.upload.id
        self.size = file.size
        self.sha256 = sha256
        self.way: Way = "copied"
        self.not_linked: str | None = None  # why
        self._file = file
        self._holding = holding
        self._blobs = blobs
        self._link = link

    @property
    def fd(self) -> int:
        """See `Arrived.fd`."""
        return self._file.fd

    async def finish(self) -> None:
        """See `Arrived.finish`; all has been read before."""

    async def keep(self) -> None:
        """See `Arrived.keep`. Raises Changed, and UploadTakenOver when the lease was lost meanwhile."""
        key = original_key(self.asset_id)
        if self._link:
            await self._try_to_link(key)
        if self.way != "linked":
            await self._copy(key)
        self._file.check()
        # A machine that slept for long may have lost the lease, and a service may have swept the tree.
        await self._holding.commit({"offset": self.size, "expires_at": now_ms() + EXPIRES_SECONDS * 1000})

    async def _try_to_link(self, key: str) -> None:
        """The store counts on bytes that stay as they are, so a file that others can change is not linked."""
        if why := self._file.open_to_others():
            self.not_linked = f"Not linked: {why}."
        elif await self._blobs.link(key, self.fd):
            self.way = "linked"
        else:
            self.not_linked = "Not linked: the file system cannot, or it is another one."

    async def _copy(self, key: str) -> None:
        async with await self._blobs.create(key) as writer:
            if await writer.clone(self.fd):
                self.way = "cloned"
            else:
                for start in range(0, self.size, STEP_BYTES):
                    stop = min(start + STEP_BYTES, self.size)
                    self._file.told(await writer.copy(self.fd, stop) - start)
                    self._holding.received = writer.size  # puts off when it expires
            if writer.size != self.size:
                raise Changed(f"{self._file.path} changed while it was read.")
            await writer.seal()

    def disown(self) -> None:
        """See `Arrived.disown`; `Importer` removes what no asset has."""
