"""The record that an upload begins with."""

from __future__ import annotations

from msgspec.structs import replace

from media_service.ingest.finishing import digest_record
from media_service.ingest.intake import new_asset_id
from media_service.ingest.pipeline import tidy_title
from media_service.store.catalog import Catalog
from media_service.store.instants import now_ms
from media_service.store.records import Upload
from media_service.wire.upload_metadata import metadata_of
from media_service.wire.upload_requests import Creation


def new_upload(
    owner: str, wish: Creation, *, length: int | None, idempotency_key: str | None, expires_at: int
) -> Upload:
    """An upload under a new id. `length` is that of the whole, in bytes; `expires_at` is Unix milliseconds."""
    moment = now_ms()
    return Upload(
        id=new_asset_id(),
        owner=owner,
        dialect=wish.dialect,
        filename=wish.filename,
        title=None if wish.title is None else tidy_title(wish.title),
        metadata=wish.metadata or metadata_of(wish.visibility),
        concat=wish.concat,
        concat_header=wish.concat_header,
        length=length,
        complete=wish.concat == "final",
        repr_digests=digest_record(wish.repr_digests),
        idempotency_key=idempotency_key,
        created_at=moment,
        updated_at=moment,
        expires_at=expires_at,
    )


async def unless_made(catalog: Catalog, upload: Upload) -> Upload:
    """The upload, finished already if its owner has made an asset with its key before, in whichever way."""
    asset = await catalog.asset_of_key(upload.owner, upload.idempotency_key)
    if asset is None:
        return upload
    return replace(
        upload,
        state="finished",
        length=asset.size,
        offset=asset.size,
        complete=True,
        asset_id=asset.id,
        sha256=asset.sha256,
    )
