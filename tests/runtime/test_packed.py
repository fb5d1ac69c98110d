"""Packed masks and scores: what was packed comes back, and shards hold a run whatever was explained when."""

import dataclasses
import gzip

import numpy as np
import pytest

from xaijax.explanation import Explanation
from xaijax.runtime import packed
from xaijax.runtime.packed import Shards, pack, read_packed, read_shard, unpack


def explanation(mask, segments=None, scores=None):
    fields = {field.name: np.zeros((1,), np.float32) for field in dataclasses.fields(Explanation)}
    score = np.zeros(mask.shape, np.float32) if segments is None else scores[segments]
    fields |= {"mask": mask[None], "score": score[None], "segments": None if segments is None else segments[None]}
    return Explanation(**fields)


@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_a_mask_comes_back_and_is_encoded_as_coco_does(density):
    mask = np.random.default_rng(0).random((7, 5)) < density
    told = pack(explanation(mask), 0)
    unpacked, score = unpack(told)
    np.testing.assert_array_equal(unpacked, mask)
    assert score is None
    counts, value = [0], False
    for pixel in mask.T.reshape(-1):  # column after column, and the first run is one of 0
        if pixel != value:
            counts, value = [*counts, 0], pixel
        counts[-1] += 1
    assert told["mask"] == {"size": [7, 5], "counts": counts}


def test_a_score_map_comes_back_to_the_bit():
    random = np.random.default_rng(1)
    segments = np.repeat(np.repeat(random.permutation(12).reshape(3, 4), 3, axis=0), 2, axis=1).astype(np.int32)
    scores = random.normal(size=12).astype(np.float32) * np.float32(1e-7)
    found = explanation(segments % 2 == 0, segments, scores)
    _, score = unpack(pack(found, 0))
    assert score.dtype == np.float32
    np.testing.assert_array_equal(score, found.score[0])


def lines(names, value):
    return [{"path": name, "target": 3, "packed": {"mask": value}} for name in names]


def test_shards_keep_what_was_packed_before_and_do_not_depend_on_when(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "SHARD", 2)
    whole, piecewise = tmp_path / "whole", tmp_path / "piecewise"
    names = ["a", "b", "c", "d", "e"]

    def merge(folder, rows):
        shards = Shards(folder)
        left = [shards.take(image, [row]) for image, row in enumerate(rows)]
        shards.write()
        return [line for (line,) in left]

    expected = merge(whole, lines(names, 1))
    failed = [{"path": name, "error": "no image"} for name in names]
    first = merge(piecewise, [*lines("a", 1), failed[1], *lines("c", 1), failed[3], failed[4]])
    assert first[1] == failed[1]
    assert first[2] == {"path": "c", "target": 3, "shard": 1}
    fresh = {line["path"]: line for line in lines("bde", 1)}
    again = merge(piecewise, [fresh.get(row["path"], row) for row in first])
    assert again == expected
    assert [line["path"] for line in read_packed(piecewise)] == names
    files = sorted(path.name for path in (whole / packed.PACKED).iterdir())
    assert files == ["000000.jsonl.gz", "000001.jsonl.gz", "000002.jsonl.gz"]
    for name in files:
        content = (whole / packed.PACKED / name).read_bytes()
        assert content == (piecewise / packed.PACKED / name).read_bytes()
        assert len(gzip.decompress(content).splitlines()) == (1 if name == files[-1] else 2)
    assert set(read_shard(whole, 1)) == {("c", 3), ("d", 3)}
    assert read_shard(whole, 7) == {}
