"""Packed masks and scores: what was packed comes back, and shards hold a run whatever was explained when."""

import dataclasses
import gzip

import numpy as np
import pytest

from xaijax.atomic_files import atomic_write
from xaijax.explanation import Explanation
from xaijax.runtime.layout import RESULTS
from xaijax.runtime.output import packed_shards
from xaijax.runtime.output.packed_shards import drop_shards, move_to_shards, pack, read_packed, read_shard, unpack
from xaijax.runtime.output.result_lines import json_lines


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


def merge(folder, rows, first=0):
    """Writes the lines of a run as its end does, an image each."""
    left = [line for lines in move_to_shards(folder, ([row] for row in rows), first) for line in lines]
    atomic_write(folder / RESULTS, json_lines(left))
    return left


def result(name, **more):
    """Returns a line with all that a line has."""
    numbers = dict.fromkeys(("original_probability", "probability", "area", "cp_score", "evaluations"), 0)
    return {"path": name, "target": 3, "label": "3", "status": "It ended.", "files": name, **numbers, **more}


def test_shards_hold_a_number_of_images_in_the_order_of_the_results(tmp_path, monkeypatch):
    monkeypatch.setattr(packed_shards, "SHARD", 2)
    names = ["a", "b", "c", "d", "e"]
    rows = [result(name, packed={"mask": name}, saved={"masks": 7}) for name in names]
    rows.insert(1, {"path": "x", "error": "no image"})
    left = merge(tmp_path, rows)
    assert [row.get("shard") for row in left] == [0, None, 0, 1, 1, 2]
    assert left[1] == rows[1]
    files = sorted((tmp_path / packed_shards.PACKED).iterdir())
    assert [file.name for file in files] == ["000000.jsonl.gz", "000001.jsonl.gz", "000002.jsonl.gz"]
    assert [len(gzip.decompress(file.read_bytes()).splitlines()) for file in files] == [2, 2, 1]
    assert left[0]["saved"] == {"masks": 7, "packed": len(files[0].read_bytes())}
    assert list(read_packed(tmp_path)) == [{"path": name, "target": 3, "mask": name} for name in names]
    assert set(read_shard(tmp_path, 1)) == {("c", 3), ("d", 3)}
    assert read_shard(tmp_path, 7) == {}
    before = {file: file.read_bytes() for file in files}
    merge(tmp_path, rows)  # a process that was killed before its results stood
    assert before == {file: file.read_bytes() for file in sorted((tmp_path / packed_shards.PACKED).iterdir())}


def test_what_is_explained_again_is_read_from_its_last_shard(tmp_path):
    left = merge(tmp_path, [result(name, packed={"mask": 1}) for name in "ab"])
    again = merge(tmp_path, [left[0], result("b", packed={"mask": 2})], first=1)
    assert [row["shard"] for row in again] == [0, 1]
    assert [(row["path"], row["mask"]) for row in read_packed(tmp_path)] == [("a", 1), ("b", 2)]


def test_shards_that_no_line_refers_to_are_dropped_and_nothing_else(tmp_path):
    for first in (0, 1, 2):
        merge(tmp_path, [result("a", packed={"mask": 1})], first=first)
    (tmp_path / packed_shards.PACKED / "mine.jsonl.gz").write_bytes(b"of the user")
    drop_shards(tmp_path, {1})
    left = sorted(file.name for file in (tmp_path / packed_shards.PACKED).iterdir())
    assert left == ["000001.jsonl.gz", "mine.jsonl.gz"]
