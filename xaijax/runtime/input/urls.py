"""Images at URLs that fsspec knows, such as `s3://bucket/image.jpg`; needs the extra `remote`."""

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xaijax.runtime.input.decode import SUFFIXES, UnreadableImageError

SCHEMES = frozenset({"http", "https", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf"})
"""Kinds of storage that are read. Others, such as `file` or the chains of fsspec, would let a list name any file of
this machine, or start what the list's author likes."""

MAX_FETCHED = 1 << 28
"""Bytes of an image at a URL at most."""

CONNECT_S, READ_S, FETCH_S = 10.0, 30.0, 300.0
"""Seconds at most until a web server answers, between two parts of its answer, and for all of it. Other kinds of
storage have their own."""

WAITS_S = (1.0, 4.0, 15.0)
"""Seconds before a web server is asked again that was busy or could not be reached."""

BUSY = frozenset({408, 425, 429})
"""Answers of a web server, besides those from 500 on, that say to ask again later."""


def is_url(name: str) -> bool:
    """Whether the name of an image or an input is a URL."""
    return "://" in name


def check_scheme(url: str) -> None:
    """Raises ValueError unless a URL is of one of the `SCHEMES`, and of no chain of them."""
    if "::" in url or url.partition("://")[0].lower() not in SCHEMES:
        kinds = ", ".join(sorted(SCHEMES))
        raise ValueError(f"{url!r} is no URL of {kinds}; name a file by its path alone, or fetch it first.")


def list_url(url: str) -> Iterator[str] | None:
    """Returns the URLs of the images in a remote folder; None for a remote file.

    What has an image's suffix is a file, and so is what a web server has, unless its URL ends with a slash: no request
    is made for it before it is read.

    Raises:
        ValueError: its scheme is none of `SCHEMES`, nothing is there, the storage does not answer, or fsspec is not
            installed.
    """
    check_scheme(url)
    if not url.endswith("/") and (_is_web(url) or Path(url).suffix.lower() in SUFFIXES):
        return None
    try:
        system, path = _system(url)
        if system.isdir(path):
            inside = sorted(file for file in system.find(path) if Path(file).suffix.lower() in SUFFIXES)
            return (system.unstrip_protocol(file) for file in inside)
        is_there = system.exists(path)
    except ValueError:
        raise
    except Exception as error:  # each kind of storage has errors of its own
        raise ValueError(f"{url!r} cannot be listed ({_reason(error)}); check the address, or try later.") from error
    if not is_there:
        raise ValueError(f"{url!r} does not exist; check the address.")
    return None


def fetch(url: str) -> bytes:
    """Reads a remote file by one request, or some more where a web server is busy.

    Raises:
        UnreadableImageError: it cannot be fetched, or is larger than `MAX_FETCHED`.
        ValueError: fsspec is not installed.
    """
    try:
        check_scheme(url)
    except ValueError as error:
        raise UnreadableImageError(str(error)) from error
    for seconds in (*WAITS_S, None):
        try:
            content = _read(url)
            break
        except ModuleNotFoundError as error:
            raise ValueError(f"{url!r} needs a package ({error}); install `xaijax[remote]`, and it.") from error
        except Exception as error:  # each kind of storage has errors of its own
            if not (_is_web(url) and _may_pass(error)):
                raise UnreadableImageError(f"{url} cannot be fetched ({_reason(error)}); check the address.") from error
            if seconds is None:
                raise UnreadableImageError(
                    f"{url} could not be fetched, {1 + len(WAITS_S)} times ({_reason(error)}); the same command with "
                    "--retry-errors tries again."
                ) from error
            time.sleep(seconds)
    if len(content) > MAX_FETCHED:
        raise UnreadableImageError(f"{url} has more than {MAX_FETCHED:,} bytes; shrink the image first.")
    return content


def _read(url: str) -> bytes:
    """Returns the first `MAX_FETCHED` + 1 bytes of a remote file."""
    system, path = _system(url)
    if not _is_web(url):
        content: bytes = system.cat_file(path, start=0, end=MAX_FETCHED + 1)
        return content
    parts, left = [], MAX_FETCHED + 1
    # Without blocks it is a stream; with a size the server is not asked for it first.
    with system.open(path, "rb", block_size=0, size=1) as file:
        while left > 0 and (part := file.read(min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def _system(url: str) -> tuple[Any, str]:
    """Returns the storage of a URL, and the path in it."""
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise ValueError("a URL needs fsspec; install it with `pip install xaijax[remote]`.") from error
    options = {"client_kwargs": {"timeout": _timeout()}} if _is_web(url) else {}
    system, path = fsspec.core.url_to_fs(url, **options)
    return system, path


@functools.cache  # the same object again, as fsspec keeps one connection pool for equal options
def _timeout() -> Any:
    import aiohttp  # what fsspec reads the web with

    return aiohttp.ClientTimeout(total=FETCH_S, sock_connect=CONNECT_S, sock_read=READ_S)


def _is_web(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _may_pass(error: Exception) -> bool:
    """Whether an error on reading the web may be gone later."""
    import aiohttp

    if isinstance(error, aiohttp.ClientResponseError):
        return error.status in BUSY or error.status >= 500
    return isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | TimeoutError)


def _reason(error: Exception) -> str:
    """Returns a line that tells what an error is about."""
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if type(error).__name__ == "TooManyRedirects":
        return "it redirects in a circle"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
