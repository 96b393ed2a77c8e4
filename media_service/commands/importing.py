"""`media-service import`: films that lie on this machine become assets, whether the service runs or not.

It is a second process on the catalog beside the service (see ingest.importing); who can write the data directory can do
anything anyway, so it needs no key. The running service begins with each film at once, another at its next start.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import click
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from media_service.commands.catalog import end_in_good_order, in_catalog
from media_service.commands.printing import as_json, plain, print_json, terminal, unicode
from media_service.errors import CatalogUnavailable, MediaServiceError, StorageFull
from media_service.ffmpeg.fence import Limits
from media_service.ingest.importing import Importer, Taken
from media_service.ingest.local_files import Changed, Found, LocalFile, Unreadable, find
from media_service.settings import Settings
from media_service.store.catalog import Catalog
from media_service.store.local_blobs import LocalBlobs
from media_service.store.records import Visibility

# A file is read once to know it and once to copy it; the bars count both.
READINGS = 2
_STYLES = {"imported": "green", "known": "cyan", "passed over": "dim", "failed": "bold red"}


@click.command("import")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--link",
    is_flag=True,
    help="Hard-link films instead of copying them, where they lie on the file system of the data directory, are yours and"
    " nobody else may write to them. A linked file that is edited in place spoils its asset.",
)
@click.option("--sound", is_flag=True, help="Take files without a picture out of folders, too.")
@click.option(
    "--visibility",
    type=click.Choice(["public", "signed"]),
    help="Who may play them; without it the setting PLAYBACK decides.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 16), default=2, show_default=True, help="Files at the same time."
)
@as_json
def import_films(
    paths: tuple[Path, ...],
    *,
    link: bool,
    sound: bool,
    visibility: Visibility | None,
    jobs: int,
    in_json: bool,
) -> None:
    """Import films: files, and all that folders hold. What a file is, ffprobe says, whatever its name; what is here already
    is passed over (SHA-256 and size). Exit code 1 when something could not be imported."""

    async def story(catalog: Catalog, settings: Settings) -> Counter[str]:
        blobs = LocalBlobs(settings.data_dir / "blobs")
        limits = Limits(
            memory_bytes=settings.transcode_memory_bytes,
            max_pixels=settings.max_pixels,
            max_streams=settings.max_streams,
        )
        importer = Importer(
            catalog=catalog, blobs=blobs, limits=limits, link=link, sound=sound, visibility=visibility
        )
        found = await asyncio.to_thread(
            lambda: list(find(paths, besides=settings.data_dir, store=blobs.root))
        )
        end_in_good_order()
        with Told(found, in_json=in_json) as told:
            run = _Run(importer, found, told)
            async with asyncio.TaskGroup() as working:
                for _ in range(jobs):
                    working.create_task(run.work())
        if run.stopped_by is not None:
            raise run.stopped_by
        return told.counts

    try:
        counts = in_catalog(story)
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    if not in_json:
        said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        click.echo(said or "There is nothing to import.")
    sys.exit(1 if counts["failed"] else 0)


class _Run:
    """Imports all that was `found`. `stopped_by` is what would keep all others from being imported, too."""

    def __init__(self, importer: Importer, found: list[Found | Unreadable], told: Told) -> None:
        self.stopped_by: MediaServiceError | None = None
        self._importer = importer
        self._left = iter(found)
        self._told = told

    async def work(self) -> None:
        """Take one after the other, until none are left."""
        for file in self._next():
            if isinstance(file, Unreadable):
                self._told.result(None, Taken(outcome="failed", code="unreadable", detail=str(file)))
                continue
            bar = self._told.begin(file)
            try:
                taken = await self._take(file, bar)
            except (StorageFull, CatalogUnavailable) as error:
                self.stopped_by = self.stopped_by or error
                return
            finally:
                bar.end()
            self._told.result(file, taken)

    def _next(self) -> Iterator[Found | Unreadable]:
        while self.stopped_by is None and (file := next(self._left, None)) is not None:
            yield file

    async def _take(self, file: Found, bar: Bar) -> Taken:
        try:
            with LocalFile(file.path, bar.advance, identity=file.identity) as opened:
                return await self._importer.take(opened, named=file.named)
        except Changed as error:
            return Taken(outcome="failed", code="changed", detail=str(error))
        except OSError as error:
            return Taken(outcome="failed", code="unreadable", detail=error.strerror or str(error))
        except (StorageFull, CatalogUnavailable):
            raise
        except MediaServiceError as error:
            return Taken(outcome="failed", code=error.code, detail=error.detail or error.title)


class Told:
    """Says what becomes of each file: a line on the standard output, and bars on the terminal, if there is one."""

    def __init__(self, found: list[Found | Unreadable], *, in_json: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._in_json = in_json
        bars, lines = terminal(errors=True), terminal()
        self._console = bars if bars.is_terminal and lines.is_terminal else lines  # lines go above the bars
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=bars,
            transient=True,
            redirect_stdout=lines.is_terminal,  # else they are for somebody else
            redirect_stderr=False,
        )
        total = sum(READINGS * file.size for file in found if isinstance(file, Found))
        self._all = self._progress.add_task(f"{len(found)} files", total=total)

    def __enter__(self) -> Self:
        if self._progress.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress.live.is_started:  # else it would print an empty line
            self._progress.stop()

    def begin(self, file: Found) -> Bar:
        """A bar of its own for the file."""
        return Bar(self._progress, self._all, file)

    def result(self, file: Found | None, taken: Taken) -> None:
        """The line of one file. None: of a path that could not be looked at."""
        self.counts[taken.outcome] += 1
        path = "" if file is None else str(file.path)
        if self._in_json:
            size = None if file is None else file.size
            detail = None if taken.detail is None else unicode(taken.detail)
            print_json({"path": unicode(path) or None, "size": size, **_fields(taken), "detail": detail})
            return
        more = " ".join(filter(None, (taken.asset, f"({taken.way})" if taken.way else "")))
        said = "  ".join(filter(None, (plain(path), more, plain(taken.detail or ""))))
        self._console.print(f"{taken.outcome:<11}", style=_STYLES[taken.outcome], end=" ")
        self._console.print(said, markup=False)


class Bar:
    """How far one file is. It is gone with its `end`."""

    def __init__(self, progress: Progress, overall: TaskID, file: Found) -> None:
        self._progress = progress
        self._all = overall
        self._left = READINGS * file.size
        self._own = progress.add_task(plain(file.path.name)[:40], total=self._left)

    def advance(self, count: int) -> None:
        """`count` more bytes were read."""
        self._left -= count
        self._progress.advance(self._own, count)
        self._progress.advance(self._all, count)

    def end(self) -> None:
        """Nothing more of it will be read."""
        self._progress.advance(self._all, self._left)
        self._progress.remove_task(self._own)


def _fields(taken: Taken) -> dict[str, object]:
    return {name: getattr(taken, name) for name in taken.__struct_fields__}
