"""Images at URLs."""

import collections
import http.server
import socket
import threading
import time

import numpy as np
import pytest

from tests.runtime.input.photographs import PIXELS, pixels_of
from xaijax.runtime.input import urls
from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.listing import find_sources


def test_urls_are_fetched(photos, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr(urls, "SCHEMES", {*urls.SCHEMES, "memory"})
    memory = fsspec.filesystem("memory")
    for name in ("a.png", "deep/c.png", "notes.txt"):
        memory.pipe(f"/photos/{name}", (photos / name).read_bytes())
    found = find_sources(["memory:///photos"])
    np.testing.assert_array_equal(pixels_of(found), PIXELS[[0, 2]])
    np.testing.assert_array_equal(pixels_of(find_sources([found[1].name])), PIXELS[[2]])
    with pytest.raises(ValueError, match="does not exist"):
        find_sources(["memory:///gone"])
    memory.rm("/photos/a.png")
    with pytest.raises(UnreadableImageError, match=r"cannot be fetched \(it is not there\); check the address"):
        found[0].read()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "local:///etc/passwd", "simplecache::file:///x.png", "ftp://a/b"]
)
def test_lists_name_no_other_files_of_this_machine(tmp_path, url):
    message = r"is no URL of abfs, .*; name a file by its path alone, or fetch it first\."
    with pytest.raises(ValueError, match=message):
        find_sources([url])
    (tmp_path / "list.txt").write_text(f"{url}\n")
    (source,) = find_sources([tmp_path / "list.txt"])
    with pytest.raises(UnreadableImageError, match=message):
        source.read()


class Server(http.server.ThreadingHTTPServer):
    """Answers each kind of path in its own way, and counts what is asked for."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.asked = content, collections.Counter()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request, client_address):
        """Says nothing: clients leave where they have enough."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind = self.path[1:].partition(".")[0]
        self.server.asked[kind] += 1
        if kind == "circle":
            self.answer(302, b"", Location=self.path)
        elif kind == "gone":
            self.answer(404, b"gone")
        elif kind == "broken" or (kind == "busy" and self.server.asked[kind] < 3):
            self.answer(503, b"later")
        elif kind == "endless":
            self.answer(200, None)
            while True:
                self.wfile.write(bytes(1 << 16))
        elif kind == "silent":
            time.sleep(5)
        elif kind == "cut":
            self.answer(200, self.server.content[:20], length=len(self.server.content))
        else:
            self.answer(200, self.server.content)

    do_HEAD = do_GET

    def answer(self, code, content, length=None, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        if content is not None:
            self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *arguments):
        """Says nothing."""


@pytest.fixture
def server(photos, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(urls, "WAITS_S", (0.01, 0.01, 0.01))
    server = Server((photos / "a.png").read_bytes())
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_image_of_a_web_server_takes_one_request(server):
    found = find_sources([server.url("a.png"), server.url("image?id=7")])
    assert not server.asked, "nothing is asked for before it is read"
    np.testing.assert_array_equal(pixels_of(found), PIXELS[[0, 0]])
    assert server.asked == {"a": 1, "image?id=7": 1}


@pytest.mark.parametrize(
    ("kind", "message", "asked"),
    [
        ("gone", r"cannot be fetched \(it is not there\); check the address", 1),
        ("circle", r"cannot be fetched \(it redirects in a circle\); check", None),
        ("broken", r"could not be fetched, 4 times \(ClientResponseError: 503.*--retry-errors tries again", 4),
        ("cut", r"could not be fetched, 4 times \(ClientPayloadError: .*--retry-errors tries again", 4),
        ("endless", r"has more than 1,000,000 bytes; shrink the image first", 1),
        ("silent", r"could not be fetched, 4 times \(.*Timeout.*--retry-errors tries again", 4),
    ],
)
def test_what_a_web_server_cannot_do_is_said(server, monkeypatch, kind, message, asked):
    monkeypatch.setattr(urls, "MAX_FETCHED", 1_000_000)
    if kind == "silent":
        aiohttp = pytest.importorskip("aiohttp")
        monkeypatch.setattr(urls, "_timeout", lambda: aiohttp.ClientTimeout(total=0.3))
    (source,) = find_sources([server.url(f"{kind}.png")])
    with pytest.raises(UnreadableImageError, match=message):
        source.read()
    assert asked is None or server.asked[kind] == asked


def test_a_server_that_is_busy_is_asked_again(server):
    np.testing.assert_array_equal(pixels_of(find_sources([server.url("busy.png")])), PIXELS[[0]])
    assert server.asked["busy"] == 3


def test_a_server_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(urls, "WAITS_S", (0.01,))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (source,) = find_sources([f"http://127.0.0.1:{port}/a.png"])
    with pytest.raises(UnreadableImageError, match="could not be fetched"):
        source.read()
