"""Packs the masks and scores of many explanations into few files: run-length encoded, in shards of a thousand images.

`packed/000000.jsonl.gz` holds one line per explanation whose line in the results refers to shard 0: `path`, `target`,
`mask`, and for methods over segments `segments` and `scores`. A shard is never rewritten; later explanations go to new
shards. While the run lasts, the packed part of a line is kept in the journal.
"""

import gzip
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xaijax.atomic_files import atomic_write
from xaijax.explanation import Explanation
from xaijax.runtime.layout import PACKED
from xaijax.runtime.output.result_lines import Row, read_results

SHARD = 1000
"""Images per shard."""

_SHARD = re.compile(r"(\d{6,})\.jsonl\.gz")


def pack(result: Explanation, index: int) -> Row:
    """Packs the mask and the scores of one row of an explanation into JSON types.

    Returns:
        `mask` as COCO's uncompressed run-length encoding: `size` (height, width) and `counts`, the lengths of
        alternating runs of 0 and 1 in column-major order, beginning with 0. With segments, also `segments` in the same
        way with the `labels` of the runs, and `scores`, the score map's value in each segment.

    References:
        https://github.com/cocodataset/cocoapi, `maskApi`.
    """
    mask = np.asarray(result.mask[index])
    values, counts = _runs(mask)
    leading = [0] if len(values) and values[0] else []
    packed: Row = {"mask": {"size": list(mask.shape), "counts": leading + counts.tolist()}}
    if result.segments is not None:
        segments, score = np.asarray(result.segments[index]), np.asarray(result.score[index])
        labels, lengths = _runs(segments)
        used, first = np.unique(segments, return_index=True)
        scores = np.zeros(used.max() + 1, np.float32)
        scores[used] = score.reshape(-1)[first]
        packed["segments"] = {"size": list(segments.shape), "labels": labels.tolist(), "counts": lengths.tolist()}
        packed["scores"] = [float(str(value)) for value in scores]  # the shortest decimal of this float32
    return packed


def unpack(packed: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the packed mask `[H, W]` bool and score map `[H, W]` float32, or None for the latter if there is none."""
    counts = packed["mask"]["counts"]
    mask = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(packed["mask"]["size"], order="F")
    if "scores" not in packed:
        return mask, None
    runs = packed["segments"]
    segments = np.repeat(runs["labels"], runs["counts"]).reshape(runs["size"], order="F")
    return mask, np.array(packed["scores"], np.float32)[segments]


def _runs(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the values and the lengths of the runs of `[H, W]` in column-major order."""
    flat = image.reshape(-1, order="F")
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    return flat[starts], np.diff(np.append(starts, len(flat)))


def read_packed(folder: Path) -> Iterator[Row]:
    """Yields the packed part of each result of a finished run; `pack` describes it, `unpack` returns it as arrays.

    Raises:
        ValueError: the folder holds no finished run.
    """
    shards = {(row["path"], row.get("target")): row["shard"] for row in read_results(folder) if "shard" in row}
    for number in sorted(set(shards.values())):
        yield from (row for key, row in read_shard(folder, number).items() if shards.get(key) == number)


def read_shard(folder: Path, number: int) -> dict[tuple[str, int], Row]:
    """Returns the lines of a shard by path and target; none if the shard does not exist."""
    try:
        with gzip.open(shard_path(folder, number), "rt") as lines:
            return {(row["path"], row["target"]): row for row in map(json.loads, lines)}
    except FileNotFoundError:
        return {}


def move_to_shards(folder: Path, images: Iterable[list[Row]], first: int) -> Iterator[list[Row]]:
    """Moves the packed parts of lines to new shards, durably, and yields the lines with the numbers of their shards.

    Args:
        folder: of the run.
        images: the lines of each image; those without a part `packed`, as after an earlier merge, are not changed.
        first: number of the first shard to write.
    """
    waiting: list[list[Row]] = []
    packed = 0
    for rows in images:
        is_packed = any("packed" in row for row in rows)
        if not waiting and not is_packed:
            yield rows
            continue
        waiting.append(rows)
        packed += is_packed
        if packed == SHARD or len(waiting) == 10 * SHARD:
            yield from _write_shard(folder, waiting, first)
            waiting, packed, first = [], 0, first + 1
    yield from _write_shard(folder, waiting, first)


def _write_shard(folder: Path, images: list[list[Row]], number: int) -> list[list[Row]]:
    """Writes the packed parts of lines to a shard, if there are any, and returns the lines without them."""
    lines = [
        {"path": row["path"], "target": row["target"], **row["packed"]}
        for rows in images
        for row in rows
        if "packed" in row
    ]
    if not lines:
        return images
    text = "".join(json.dumps(line) + "\n" for line in lines)
    content = gzip.compress(text.encode(), compresslevel=6, mtime=0)
    atomic_write(shard_path(folder, number), content, durable=True)

    def without_packed(row: Row) -> Row:
        if "packed" not in row:
            return row
        rest = {name: value for name, value in row.items() if name != "packed"}
        return rest | {"saved": row.get("saved", {}) | {PACKED: len(content)}, "shard": number}

    return [[without_packed(row) for row in rows] for rows in images]


def drop_shards(folder: Path, used: Collection[int]) -> None:
    """Deletes the shards that no line refers to."""
    for file in (folder / PACKED).glob("*"):
        match = _SHARD.fullmatch(file.name)
        if match and int(match[1]) not in used:
            file.unlink(missing_ok=True)


def shard_path(folder: Path, number: int) -> Path:
    """Returns the path of a shard."""
    return folder / PACKED / f"{number:06d}.jsonl.gz"
