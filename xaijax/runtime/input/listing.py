"""Lists the images of a run: files, folders, globs, lists, tar shards, arrays and URLs, as a flat list of sources."""

import codecs
import dataclasses
import functools
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from xaijax.runtime.input.arrays import ARRAYS, open_array
from xaijax.runtime.input.decode import SUFFIXES
from xaijax.runtime.input.identity import Identity
from xaijax.runtime.input.sources import Source
from xaijax.runtime.input.tar_shards import SHARDS, list_members, split_member
from xaijax.runtime.input.urls import is_url, list_url
from xaijax.runtime.layout import SAVED

LISTS = (".txt", ".jsonl")
"""Suffixes of files that list images."""


def find_sources(inputs: Iterable[str | Path], *, out: Path | None = None) -> list[Source]:
    """Lists the images that the inputs name, in their order; an image that is named again is listed once.

    An input is one of

    - a folder: the image files below it, sorted by name;
    - a glob with `*` or `?`: the files that match;
    - a `.txt` file: the path in each line; a `.jsonl` file: `path`, and optionally `target` and `id`; paths are
      relative to the list;
    - a `.tar` file: its members with an image's suffix;
    - a `.npy` file, or a `.npz` file with `images` or a single array: its rows `[H, W]` or `[H, W, C]`, uint8 or float
      in [0, 1];
    - a URL such as `s3://...`, with the extra `remote`: a file or a folder there;
    - any other file: itself, whatever its suffix.

    Args:
        inputs: as above.
        out: folder of a run, whose own pictures are not listed.

    What is damaged (a line of a list, a tar file, an array) is listed as a source with an error; nothing else is lost.

    Raises:
        ValueError: an input does not exist or holds no image, or an image is named twice with different settings.
    """
    sources: dict[str, Source] = {}
    own_pictures = () if out is None else tuple(os.path.join(os.path.abspath(out), kind, "") for kind in SAVED)
    for source in (source for name in inputs for source in _expand(str(name))):
        if os.path.abspath(source.name).startswith(own_pictures):
            continue
        if sources.setdefault(source.name, source) != source:
            raise ValueError(
                f"{source.name!r} is named twice, with another class or id, or as two members of its shard; make two "
                "lists, each with its folder."
            )
    if not sources:
        raise ValueError("the input holds no image but the run's own pictures; name other images.")
    return list(sources.values())


def find_source(name: str, folder: Path | None = None) -> Source:
    """Returns the image with a name from a run's results.

    Args:
        name: as in the results.
        folder: that relative names belong to; None is the working directory.
    """
    if is_url(name):
        return Source(name)
    if folder is not None:
        name = os.path.join(folder, name)
    if Path(name).exists():
        return Source(name)
    if match := re.fullmatch(r"(.+)\[(\d+)\]", name):
        return Source(name, row=int(match[2]))
    shard, member = split_member(name)
    if member and Path(shard).exists():
        return _members_by_name(shard, Identity.of_file(os.stat(shard))).get(name, Source(name))
    return Source(name)


@functools.lru_cache(maxsize=8)
def _members_by_name(shard: str, identity: Identity) -> dict[str, Source]:
    """Returns the images in a tar file by their names; one that has changed is listed again."""
    return {source.name: source for source in _members(shard) if not source.error}


def _expand(name: str) -> Iterator[Source]:
    """Yields the images of one input."""
    path = Path(name)
    if is_url(name):
        inside = list_url(name)
        if inside is None:
            yield Source(name)
        else:
            yield from _some(map(Source, inside), f"folder {name!r}")
    elif path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        yield from _some((Source(str(file)) for file in files), f"folder {name!r}")
    elif not path.exists():
        yield from _matching(name)
    elif path.suffix.lower() in LISTS:
        yield from _some(_listed(path), f"list {name!r}")
    elif path.suffix.lower() in SHARDS:
        yield from _some(_members(name), f"shard {name!r}")
    elif path.suffix.lower() in ARRAYS:
        yield from _some(_rows(name), f"array {name!r}")
    else:
        yield Source(name)


def _some(sources: Iterable[Source], what: str) -> Iterator[Source]:
    """Yields the sources, of which there must be at least one.

    Raises:
        ValueError: there is none.
    """
    empty = True
    for source in sources:
        empty = False
        yield source
    if empty:
        raise ValueError(f"{what} holds no image; the suffixes are {', '.join(sorted(SUFFIXES))}.")


def _matching(pattern: str) -> Iterator[Source]:
    """Yields the images of the files that match a glob; folders that match are left out."""
    matches = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else []
    if not matches:
        raise ValueError(f"{pattern!r} does not exist; check the path.")
    for match in matches:
        if not Path(match).exists():  # a dangling link
            yield Source(match)
        elif not Path(match).is_dir():
            yield from _expand(match)


def _listed(path: Path) -> Iterator[Source]:
    """Yields the images of a `.txt` or `.jsonl` list."""
    for number, line in enumerate(_lines(path.read_bytes()), start=1):
        if not line.strip():
            continue
        try:
            source = _entry(line, path.suffix.lower() == ".jsonl")
        except ValueError as error:
            yield Source(f"{path}:{number}", error=f"line {number} of {str(path)!r} {error}")
            continue
        name = source.name if is_url(source.name) else str(path.parent / source.name)
        yield dataclasses.replace(source, name=name)


def _entry(line: str, is_json: bool) -> Source:
    """Returns the image that a line names, relative to the list.

    Raises:
        ValueError: it names none; the message says why, to follow the place of the line.
    """
    name, target, own_id = line.strip(), None, None
    if is_json:
        try:
            entry = json.loads(line)
            name, target, own_id = entry["path"], entry.get("target"), entry.get("id")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("is no JSON object with a path; correct or remove it.") from error
    if not isinstance(name, str) or not _is_path(name):
        raise ValueError(f"has the path {name!r}, which no file can have; correct it.")
    if not (target is None or (isinstance(target, str | int) and not isinstance(target, bool))):
        raise ValueError(f"has the target {target!r}, which is no class; give its name or number.")
    if not (own_id is None or (isinstance(own_id, int) and -(1 << 63) <= own_id < 1 << 64)):
        raise ValueError(f"has the id {own_id!r}, which is no integer of 64 bits; correct it.")
    return Source(name, target=None if target is None else str(target), id=own_id)


def _is_path(name: str) -> bool:
    try:
        return bool(name) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


def _lines(content: bytes) -> list[str]:
    """Returns the lines of a list; bytes that are no UTF-8 stand for themselves, as in the names of files."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", "replace")
    else:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _rows(name: str) -> Iterator[Source]:
    """Yields the images of an array."""
    try:
        images = open_array(name, Identity.of_file(os.stat(name)))
    except ValueError as error:
        yield Source(name, error=str(error))
        return
    yield from (Source(f"{name}[{row}]", row=row) for row in range(images.present))
    if images.present < images.shape[0]:
        yield Source(
            name, error=f"{name!r} ends after {images.present:,} of its {images.shape[0]:,} rows; write it again."
        )


def _members(shard: str) -> Iterator[Source]:
    """Yields the images in a tar file, and what is damaged in it."""
    names: set[str] = set()
    try:
        for member in list_members(shard):
            if member.name in names:
                again = f"{member.name} at byte {member.offset}"
                yield Source(again, error=f"{shard!r} has two members of this name, of which the first is taken.")
            else:
                names.add(member.name)
                yield Source(member.name, offset=member.offset, size=member.size)
    except ValueError as error:
        yield Source(shard, error=str(error))
