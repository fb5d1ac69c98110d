"""The readers of others' files: the corpus of the fuzzing again, and some thousand changes of each example."""

import random

import pytest

from tests.fuzzing.corpus import FINDS, examples
from tests.fuzzing.readers import READERS

CHANGES = 60
"""Of each example."""

PARTS = [b"\xff" * 4, b"\0" * 8, b"-1", b"1e999", b"[" * 2000, b"NaN", b'"', b"\xed\xb2\x80"]
NUMBERS = [number.to_bytes(4, order) for number in (2**31 - 1, 2**32 - 1, 0, 2**24) for order in ("little", "big")]


def changed(content: bytes, chance: random.Random) -> bytes:
    """Returns a file with a few bytes changed, left out, put in or repeated, or cut short."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del changed[at : at + chance.randint(1, 16)]
        elif kind == 2:
            changed[at:at] = chance.choice(
                [b"\xff" * 4, b"\0" * 8, b"-1", b"1e999", b"[" * 2000, b"NaN", b'"', b"\xed\xb2\x80"]
            )
        elif kind == 3:
            changed[at:at] = changed[at : at + chance.randint(1, 64)]
        elif kind == 4:
            changed[at : at + 4] = chance.choice([2**31 - 1, 2**32 - 1, 0, 2**24]).to_bytes(
                4, chance.choice(["little", "big"])
            )
        else:
            del changed[at:]
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS)
def test_whatever_a_file_holds_a_person_gets_a_sentence(reader):
    found = examples(reader)
    assert found
    for name, content in found.items():
        chance = random.Random(name)
        READERS[reader](content)
        for _ in range(CHANGES):
            other = changed(content, chance)
            try:
                READERS[reader](other)
            except BaseException as error:
                raise AssertionError(f"{reader}, from {name}: {other[:2000]!r}") from error


def test_every_find_has_a_reader():
    assert all(file.name.partition(".")[0] in READERS for file in FINDS.iterdir())
