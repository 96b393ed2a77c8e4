"""Files of folders: which are found, and that one that changes while it is read is noticed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from media_service.ingest import local_files
from media_service.ingest.local_files import Changed, Found, LocalFile, find


def test_every_file_of_a_folder_is_found_once_and_the_store_itself_is_left_out(tmp_path: Path) -> None:
    store = tmp_path / "films" / "media"
    for name in (
        "films/b.mkv",
        "films/a.mp4",
        "films/deep/er/c",
        "films/.hidden",
        "films/.git/d",
        "films/media/blobs/e",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "films" / "again.mp4").symlink_to("a.mp4")
    os.link(tmp_path / "films" / "b.mkv", tmp_path / "films" / "z.mkv")
    (tmp_path / "films" / "round").symlink_to(tmp_path / "films", target_is_directory=True)
    (tmp_path / "films" / "nowhere").symlink_to("gone")
    os.mkfifo(tmp_path / "films" / "pipe")
    found = find([tmp_path / "films", tmp_path / "films" / "b.mkv"], besides=store, store=store / "blobs")
    assert list(found) == [
        found_at(tmp_path / "films" / name, named=name == "b.mkv") for name in ("b.mkv", "a.mp4", "deep/er/c")
    ]
    (store / "inbox").mkdir()
    (store / "inbox" / "f").write_text("f")
    for folder, names in ((store, []), (store / "blobs", []), (store / "inbox", ["inbox/f"])):
        found = find([folder], besides=store, store=store / "blobs")
        assert list(found) == [found_at(store / name) for name in names]


def test_links_lead_out_of_no_folder_but_are_followed_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "film.mp4").write_text("secret")
    (tmp_path / "in" / "file.mp4").symlink_to("../secret/film.mp4")
    (tmp_path / "in" / "folder").symlink_to("../secret", target_is_directory=True)
    (tmp_path / "other name").symlink_to("secret")
    gone = tmp_path / "gone"
    assert list(find([tmp_path / "in"], besides=gone, store=gone)) == []
    named = list(find([tmp_path / "in" / "file.mp4"], besides=gone, store=gone))
    assert named == [found_at(tmp_path / "in" / "file.mp4", named=True)]
    named = list(find([tmp_path / "other name"], besides=gone, store=gone))
    assert named == [found_at(tmp_path / "other name" / "film.mp4")]


def test_what_was_put_in_the_place_of_what_was_found_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "film").write_text("film")
    was = found_at(tmp_path / "film").identity
    LocalFile(tmp_path / "film", lambda _: None, identity=was).__exit__(None, None, None)
    (tmp_path / "film").unlink()
    (tmp_path / "film").symlink_to("secret")
    with pytest.raises(Changed, match="another one than was found"):
        LocalFile(tmp_path / "film", lambda _: None, identity=was)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Changed):
        LocalFile(tmp_path / "pipe", lambda _: None)


def found_at(path: Path, *, named: bool = False) -> Found:
    there = path.stat()
    return Found(path, there.st_size, named, (there.st_dev, there.st_ino))


def test_a_path_that_somebody_names_is_a_file_or_said_to_be_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".film").write_bytes(b"x")
    gone, pipe, hidden = find(
        [tmp_path / "gone", tmp_path / "pipe", tmp_path / ".film"],
        besides=tmp_path / "media",
        store=tmp_path / "media" / "blobs",
    )
    assert str(gone) == f"{tmp_path}/gone: No such file or directory."
    assert str(pipe) == f"{tmp_path}/pipe is no file."
    assert hidden == found_at(tmp_path / ".film", named=True)


async def test_the_digest_is_that_of_all_bytes_and_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_files, "STEP_BYTES", 4)
    told: list[int] = []
    (tmp_path / "film").write_bytes(b"0123456789")
    with LocalFile(tmp_path / "film", told.append) as file:
        assert await file.digest() == hashlib.sha256(b"0123456789").hexdigest()
    assert told == [4, 4, 2]


async def test_a_file_that_is_still_written_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(b"0123456789")
    with LocalFile(path, lambda _: None) as file:
        path.write_bytes(b"01234567890")
        with pytest.raises(Changed, match="changed while it was read"):
            await file.digest()
