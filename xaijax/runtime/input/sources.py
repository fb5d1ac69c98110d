"""What a run explains: files, folders, globs, lists, tar shards, arrays and URLs, as a flat list of named images."""

import dataclasses
import functools
import glob
import hashlib
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from xaijax.runtime.input.decode import SUFFIXES, UnreadableImageError, decode_image, read_file
from xaijax.runtime.layout import SAVED

LISTS, SHARDS, ARRAYS = (".txt", ".jsonl"), (".tar",), (".npy", ".npz")


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Which pixels a name stood for.

    Attributes:
        sha256: of the image's file or member, or of an array's row with its shape and type; empty where it could not be
            read.
        bytes: of the file that holds the image; None where there was none, as for a URL.
        mtime_ns: when that file was changed last, in nanoseconds; None as above.
    """

    sha256: str = ""
    bytes: int | None = None
    mtime_ns: int | None = None

    def is_same(self, other: "Identity") -> bool:
        """Whether nothing says that the two are of different pixels; a copy of a file may have another time."""
        if self.sha256 and self.sha256 == other.sha256:
            return True
        told = (self.bytes, self.mtime_ns), (other.bytes, other.mtime_ns)
        if None in told[0] + told[1]:
            return not (self.sha256 and other.sha256)
        return told[0] == told[1]


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """An image of the input.

    Attributes:
        name: as the results have it: a path or URL, `shard.tar/member.jpg`, or `images.npy[12]`.
        offset: of a tar's member, in bytes; -1 for all else.
        size: of that member.
        row: of an array; -1 for all else.
        target: the class to explain, as `--target` names one; None is the run's.
        id: names the image in place of its pixels; None does not.
    """

    name: str
    offset: int = -1
    size: int = -1
    row: int = -1
    target: str | None = None
    id: int | None = None

    @property
    def stem(self) -> str:
        """The image's own name, without folder and suffix."""
        if self.row >= 0:
            return f"{Path(self.container).stem}_{self.row}"
        return Path(self.name).stem

    @property
    def container(self) -> str:
        """The file that holds the image, itself where it has one of its own."""
        if self.row >= 0:
            return self.name.rpartition("[")[0]
        return self.name if self.offset < 0 else _split_member(self.name)[0]

    def read(self, channels: int = 3) -> tuple[Image.Image, Identity]:
        """Returns the image, 8-bit RGB or grey, and what it was read from.

        Raises:
            UnreadableImageError: it cannot be read; the message says why and what to do.
        """
        if self.row >= 0:
            pixels, identity = self._read_row()
            return decode_array(pixels, channels, self.name), identity
        content, identity = self._read_content()
        return decode_image(content, Path(self.name).name, channels), identity

    def identify(self, *, by_content: bool) -> Identity:
        """Returns what the name stands for now.

        Args:
            by_content: whether the content is read too; else the file system is asked alone, and a URL nothing.

        Raises:
            UnreadableImageError: it cannot be read.
        """
        if by_content:
            return (self._read_row() if self.row >= 0 else self._read_content())[1]
        if "://" in self.name:
            return Identity()
        try:
            return _of_file(os.stat(self.container))
        except (OSError, ValueError):  # gone, or a path with a NUL
            return Identity()

    def _read_row(self) -> tuple[np.ndarray, Identity]:
        found = self.identify(by_content=False)
        pixels = _row(self.container, self.row, found)
        return pixels, dataclasses.replace(found, sha256=_digest(pixels))

    def _read_content(self) -> tuple[bytes, Identity]:
        found = Identity()
        if "://" in self.name:
            content = _fetch(self.name)
        elif self.offset < 0:
            content, stat = read_file(Path(self.name))
            found = _of_file(stat)
        else:
            try:
                with open(self.container, "rb") as shard:
                    shard.seek(self.offset)
                    content, found = shard.read(self.size), _of_file(os.fstat(shard.fileno()))
            except OSError as error:
                raise UnreadableImageError(f"{self.container} cannot be read ({error.strerror}).") from error
        return content, dataclasses.replace(found, sha256=hashlib.sha256(content).hexdigest())


def find_sources(inputs: Iterable[str | Path], *, out: Path | None = None) -> list[Source]:
    """Lists the images that the inputs name, in their order.

    A folder stands for the image files under it, by their names; a `*` or `?` for the files that match; a `.txt` for
    the path in each of its lines, and a `.jsonl` for `path`, `target` and `id` (both may be left out), relative to the
    list; a `.tar` for its members with an image's suffix; a `.npy`, or a `.npz` with `images` or a single array, for
    its rows `[H, W]` or `[H, W, C]`, uint8 or float in [0, 1]; `s3://` and the like, with the extra `remote`, for a
    file or a folder there. Any other file stands for itself, whatever its suffix. An image that is named again is
    listed once.

    Args:
        inputs: as above.
        out: folder of a run, whose own pictures are not listed.

    Raises:
        ValueError: an input is not there, or holds no image, or an image is named for two things.
    """
    found: dict[str, Source] = {}
    own = () if out is None else tuple(os.path.join(os.path.abspath(out), kind, "") for kind in SAVED)
    for source in (source for name in inputs for source in _expand(str(name))):
        if os.path.abspath(source.name).startswith(own):
            continue
        if found.setdefault(source.name, source) != source:
            raise ValueError(
                f"{source.name!r} is named twice, with another class or id, or as two members of its shard; make two "
                "lists, each with its folder."
            )
    if not found:
        raise ValueError("the input holds no image but the run's own pictures; name other images.")
    return list(found.values())


def find_source(name: str, folder: Path | None = None) -> Source:
    """Returns the image that has a name in a run's results.

    Args:
        name: as the results have it.
        folder: that relative names belong to; None is the working directory.
    """
    if folder is not None and "://" not in name:
        name = os.path.join(folder, name)
    if "://" in name or Path(name).exists():
        return Source(name)
    if found := re.fullmatch(r"(.+)\[(\d+)\]", name):
        return Source(name, row=int(found.group(2)))
    shard, member = _split_member(name)
    if member and Path(shard).exists():
        return next((source for source in _members(shard) if source.name == name), Source(name))
    return Source(name)


def _digest(pixels: np.ndarray) -> str:
    """Returns the SHA-256 of pixels, with their shape and type."""
    return hashlib.sha256(f"{pixels.dtype.str} {pixels.shape}\n".encode() + pixels.tobytes()).hexdigest()


def _of_file(stat: os.stat_result) -> Identity:
    return Identity(bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _expand(name: str) -> Iterator[Source]:
    path = Path(name)
    if "://" in name:
        yield from _remote(name)
    elif path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        yield from _some((Source(str(p)) for p in inside), f"folder {name!r}")
    elif not path.exists():
        matching = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []
        if not matching:
            raise ValueError(f"{name!r} does not exist; check the path.")
        for match in matching:
            if not Path(match).exists():  # a link to nowhere
                yield Source(match)
            elif not Path(match).is_dir():
                yield from _expand(match)
    elif path.suffix.lower() in LISTS:
        yield from _some(_listed(path), f"list {name!r}")
    elif path.suffix.lower() in SHARDS:
        yield from _some(_members(name), f"shard {name!r}")
    elif path.suffix.lower() in ARRAYS:
        count = len(_array(name, _of_file(path.stat())))
        yield from _some((Source(f"{name}[{row}]", row=row) for row in range(count)), f"array {name!r}")
    else:
        yield Source(name)


def _some(sources: Iterable[Source], what: str) -> Iterator[Source]:
    empty = True
    for source in sources:
        empty = False
        yield source
    if empty:
        raise ValueError(f"{what} holds no image; the suffixes are {', '.join(sorted(SUFFIXES))}.")


def _listed(path: Path) -> Iterator[Source]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        entry: dict[str, Any] = {"path": line.strip()}
        if path.suffix.lower() == ".jsonl":
            try:
                entry = json.loads(line)
                name, target, own = entry["path"], entry.get("target"), entry.get("id")
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(
                    f"line {number} of {str(path)!r} is no JSON object with a path; mend or remove it."
                ) from error
            if own is not None and not (isinstance(own, int) and -(1 << 63) <= own < 1 << 64):
                raise ValueError(f"id {own!r} in line {number} of {str(path)!r} is no integer of 64 bits; mend it.")
        else:
            name, target, own = entry["path"], None, None
        full = name if "://" in name else str(path.parent / name)
        yield Source(full, target=None if target is None else str(target), id=own)


def _members(name: str) -> Iterator[Source]:
    try:
        with tarfile.open(name, "r:") as shard:
            for member in shard:
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                    yield Source(f"{name}/{member.name}", offset=member.offset_data, size=member.size)
    except tarfile.TarError as error:
        raise ValueError(f"{name!r} is no uncompressed tar file ({error}); write it again, or unpack it.") from error


def _split_member(name: str) -> tuple[str, str]:
    """Splits `shard.tar/member` into both; without a shard the second is empty."""
    found = re.match(r"(.+?\.tar)/(.+)$", name)
    return (found.group(1), found.group(2)) if found else (name, "")


@functools.lru_cache(maxsize=8)
def _array(name: str, identity: Identity) -> np.ndarray:
    """Opens the array of a file as it is now: of a `.npy` the rows are read when they are asked for."""
    try:
        loaded = np.load(name, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            images = loaded
        else:
            names = list(loaded)
            images = loaded["images" if "images" in names or len(names) != 1 else names[0]]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ValueError(f"{name!r} holds no array of images ({error}); save one as `images`.") from error
    if images.ndim not in (3, 4):
        raise ValueError(f"{name!r} holds an array of shape {images.shape}; give [B, H, W] or [B, H, W, C].")
    return images


def _row(name: str, row: int, identity: Identity) -> np.ndarray:
    try:
        return np.asarray(_array(name, identity)[row])
    except (ValueError, IndexError) as error:
        raise UnreadableImageError(f"{name}[{row}] cannot be read ({error}).") from error


def decode_array(pixels: np.ndarray, channels: int, name: str) -> Image.Image:
    """Returns `[H, W]` or `[H, W, C]` pixels, uint8 or float in [0, 1], as 8-bit RGB or grey.

    Raises:
        UnreadableImageError: they are something else.
    """
    if pixels.dtype.kind == "f" and np.all((pixels >= 0) & (pixels <= 1)):
        pixels = np.round(pixels * 255).astype(np.uint8)
    if pixels.dtype != np.uint8 or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3)):
        raise UnreadableImageError(
            f"{name} is {pixels.dtype} {pixels.shape}; give uint8, or floats in [0, 1], of 1 or 3 channels."
        )
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    return image.convert("L" if channels == 1 else "RGB")


def _fsspec() -> Any:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise ValueError("a URL needs fsspec; install it with `pip install xaijax[remote]`.") from error
    return fsspec


def _remote(name: str) -> Iterator[Source]:
    system, path = _fsspec().core.url_to_fs(name)
    if system.isdir(path):
        found = sorted(inside for inside in system.find(path) if Path(inside).suffix.lower() in SUFFIXES)
        yield from _some((Source(system.unstrip_protocol(inside)) for inside in found), f"folder {name!r}")
    elif system.exists(path):
        yield Source(name)
    else:
        raise ValueError(f"{name!r} does not exist; check the address.")


def _fetch(name: str) -> bytes:
    try:
        with _fsspec().open(name, "rb") as file:
            content: bytes = file.read()
    except Exception as error:  # each kind of storage has errors of its own
        raise UnreadableImageError(f"{name} cannot be fetched ({error}); check the address.") from error
    return content
