"""Masks and scores of a million explanations in few files: runs of pixels, in shards of a thousand images.

`packed/000000.jsonl.gz` holds a line for each explanation whose line in the results names the shard 0: `path`,
`target`, `mask`, and of methods over segments `segments` and `scores`. What was packed once stays where it is; what is
explained later goes to shards of its own. While the run lasts, each line's part travels in the journal.
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
"""Images a shard."""

_SHARD = re.compile(r"(\d{6,})\.jsonl\.gz")


def pack(result: Explanation, index: int) -> Row:
    """Returns what is packed of one row of an explanation, as JSON can hold it.

    Returns:
        `mask` as COCO's uncompressed run-length encoding: `size` (height, width) and `counts`, the lengths of the runs
        of 0 and 1 in turn, down the columns, the first of 0. With segments, `segments` likewise, with the `labels` of
        its runs, and `scores`, the score map's value in each segment.

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
        packed["scores"] = [float(str(value)) for value in scores]  # the shortest number that is this float32
    return packed


def unpack(packed: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the mask `[H, W]` bool and the score map `[H, W]` float32 that were packed, None for no score map."""
    counts = packed["mask"]["counts"]
    mask = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(packed["mask"]["size"], order="F")
    if "scores" not in packed:
        return mask, None
    told = packed["segments"]
    segments = np.repeat(told["labels"], told["counts"]).reshape(told["size"], order="F")
    return mask, np.array(packed["scores"], np.float32)[segments]


def _runs(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the values and the lengths of the runs of `[H, W]`, column after column."""
    flat = image.reshape(-1, order="F")
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    return flat[starts], np.diff(np.append(starts, len(flat)))


def read_packed(folder: Path) -> Iterator[Row]:
    """Yields what is packed of a finished run, see `pack`, a line for each of its results; `unpack` makes arrays of it.

    Raises:
        ValueError: the folder holds no finished run.
    """
    shards = {(row["path"], row.get("target")): row["shard"] for row in read_results(folder) if "shard" in row}
    for number in sorted(set(shards.values())):
        yield from (row for key, row in read_shard(folder, number).items() if shards.get(key) == number)


def read_shard(folder: Path, number: int) -> dict[tuple[str, int], Row]:
    """Returns the lines of a shard by path and target; none where there is no such shard."""
    try:
        with gzip.open(shard_path(folder, number), "rt") as lines:
            return {(row["path"], row["target"]): row for row in map(json.loads, lines)}
    except FileNotFoundError:
        return {}


def shelve(folder: Path, images: Iterable[list[Row]], first: int) -> Iterator[list[Row]]:
    """Moves what is packed from the lines of images to shards, durably, before it yields the lines.

    Args:
        folder: of the run.
        images: the lines of each image; what an earlier merge has packed has no part `packed`, and stays where it is.
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
            yield from _shelve(folder, waiting, first)
            waiting, packed, first = [], 0, first + 1
    yield from _shelve(folder, waiting, first)


def _shelve(folder: Path, images: list[list[Row]], number: int) -> list[list[Row]]:
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

    def shelved(row: Row) -> Row:
        if "packed" not in row:
            return row
        left = {name: value for name, value in row.items() if name != "packed"}
        return left | {"saved": row.get("saved", {}) | {PACKED: len(content)}, "shard": number}

    return [[shelved(row) for row in rows] for rows in images]


def drop_shards(folder: Path, used: Collection[int]) -> None:
    """Deletes the shards that no line refers to."""
    for file in (folder / PACKED).glob("*"):
        found = _SHARD.fullmatch(file.name)
        if found and int(found[1]) not in used:
            file.unlink(missing_ok=True)


def shard_path(folder: Path, number: int) -> Path:
    """Returns the file of a shard."""
    return folder / PACKED / f"{number:06d}.jsonl.gz"
