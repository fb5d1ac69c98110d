"""One image: an image is the same however it is named."""

import hashlib

from xaijax.runtime.input.sources import Source


def test_the_digest_is_that_of_the_file(photos):
    assert Source(str(photos / "a.png")).read()[1].sha256 == hashlib.sha256((photos / "a.png").read_bytes()).hexdigest()
