"""`media-service export`: the catalog as a file, as `/api/v1/assets.ndjson` and `.csv` give it (docs/exports.md), without a key."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import aclosing
from pathlib import Path
from typing import get_args

import click

from media_service.commands.catalog import end_in_good_order, in_catalog
from media_service.commands.output import ReaderGone, opened
from media_service.commands.signing import signing_keys_of
from media_service.playback.gate import Gate
from media_service.settings import Settings
from media_service.store.catalog import Catalog
from media_service.store.listing import Order, Selection, Sort
from media_service.store.records import AssetState
from media_service.web.exporting import Format, columns_of, head_of, lines_of, written


@click.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice(get_args(Format)),
    default="ndjson",
    show_default=True,
    help="Of the lines.",
)
@click.option("--state", type=click.Choice(get_args(AssetState)), help="Only films in this state.")
@click.option("-q", "--search", help="Only films with this in their title or file name.")
@click.option("--sort", type=click.Choice(get_args(Sort)), default="created", show_default=True)
@click.option("--order", type=click.Choice(get_args(Order)), default="desc", show_default=True)
@click.option("--columns", help="Only these, divided by commas.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file, its owner's alone, there when all of it is; without it the standard output.",
)
def export(
    *,
    kind: Format,
    state: AssetState | None,
    search: str | None,
    sort: Sort,
    order: Order,
    columns: str | None,
    output: Path | None,
) -> None:
    """Write the catalog as lines of JSON or CSV, as it is at one moment, whether the service runs or not."""

    async def story(catalog: Catalog, settings: Settings) -> None:
        end_in_good_order()
        prefix = Gate(signing_keys_of(settings), settings.playback).prefix
        names = columns_of(kind, columns)
        selection = Selection(state=state, search=search, sort=sort, order=order)
        lines = lines_of(kind, names, prefix)
        async with opened(output) as file:
            await file.write(head_of(kind, names))
            try:
                # The service's log grows for as long as this reads: see Database.snapshot.
                async with asyncio.timeout(settings.export_seconds):
                    async with (
                        catalog.exported(selection) as parts,
                        aclosing(written(parts, lines)) as pieces,
                    ):
                        async for piece in pieces:
                            await file.write(piece)
            except TimeoutError:
                raise click.ClickException(
                    f"This is not all: it took longer than EXPORT_SECONDS ({settings.export_seconds:g}). "
                    "Whoever reads it must be quicker; -o writes a file."
                ) from None

    try:
        in_catalog(story)
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    except ReaderGone:
        sys.exit(1)
