"""Images at URLs that fsspec knows, such as `s3://bucket/image.jpg`; needs the extra `remote`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xaijax.runtime.input.decode import SUFFIXES, UnreadableImageError


def is_url(name: str) -> bool:
    """Whether the name of an image or an input is a URL."""
    return "://" in name


def list_url(url: str) -> Iterator[str] | None:
    """Returns the URLs of the images in a remote folder; None for a remote file.

    Raises:
        ValueError: there is nothing at the URL, or fsspec is not installed.
    """
    system, path = _fsspec().core.url_to_fs(url)
    if system.isdir(path):
        inside = sorted(file for file in system.find(path) if Path(file).suffix.lower() in SUFFIXES)
        return (system.unstrip_protocol(file) for file in inside)
    if system.exists(path):
        return None
    raise ValueError(f"{url!r} does not exist; check the address.")


def fetch(url: str) -> bytes:
    """Reads a remote file.

    Raises:
        UnreadableImageError: it cannot be fetched.
        ValueError: fsspec is not installed.
    """
    try:
        with _fsspec().open(url, "rb") as file:
            content: bytes = file.read()
    except Exception as error:  # each kind of storage has errors of its own
        raise UnreadableImageError(f"{url} cannot be fetched ({error}); check the address.") from error
    return content


def _fsspec() -> Any:
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise ValueError("a URL needs fsspec; install it with `pip install xaijax[remote]`.") from error
    return fsspec
