"""Which pixels an image was read from."""

import pytest

from xaijax.runtime.input.identity import Identity


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (Identity("one", 9, 1), Identity("one", 9, 7), True),  # a copy of the file
        (Identity("one", 9, 1), Identity("two", 9, 7), False),
        (Identity("", 9, 1), Identity("one", 9, 1), True),
        (Identity("", 9, 1), Identity("one", 9, 7), False),
        (Identity("one"), Identity("two"), False),
        (Identity("one"), Identity(), True),
        (Identity(), Identity("", 9, 1), True),
    ],
)
def test_images_are_the_same_unless_a_digest_or_the_file_says_otherwise(first, second, is_same):
    assert first.is_same(second) == is_same
    assert second.is_same(first) == is_same


def test_the_identity_of_a_file_is_its_size_and_time(tmp_path):
    (tmp_path / "file").write_bytes(b"seven b")
    stat = (tmp_path / "file").stat()
    assert Identity.of_file(stat) == Identity(sha256="", bytes=7, mtime_ns=stat.st_mtime_ns)
