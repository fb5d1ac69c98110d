"""Masks and scores of a million explanations in few files: runs of pixels, in shards of a thousand images.

`packed/000000.jsonl.gz` holds a line an explanation, in the order of the results: `path`, `target`, `mask`, and of
methods over segments `segments` and `scores`. While the run lasts, each line's part travels in the journal.
"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xaijax.explanation import Explanation
from xaijax.runtime.whole import whole_file

PACKED = "packed"
SHARD = 1000
"""Images a shard."""

Row = dict[str, Any]


def pack(result: Explanation, place: int) -> Row:
    """Returns what is packed of one row of an explanation, as JSON can hold it.

    Returns:
        `mask` as COCO's uncompressed run-length encoding: `size` (height, width) and `counts`, the lengths of the runs
        of 0 and 1 in turn, down the columns, the first of 0. With segments, `segments` likewise, with the `labels` of
        its runs, and `scores`, the score map's value in each segment.

    References:
        https://github.com/cocodataset/cocoapi, `maskApi`.
    """
    mask = np.asarray(result.mask[place])
    values, counts = _runs(mask)
    leading = [0] if len(values) and values[0] else []
    packed: Row = {"mask": {"size": list(mask.shape), "counts": leading + counts.tolist()}}
    if result.segments is not None:
        segments, score = np.asarray(result.segments[place]), np.asarray(result.score[place])
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
    """Yields the lines of all shards of a finished run's folder, see `pack`; `unpack` makes arrays of them."""
    for file in sorted((folder / PACKED).glob("*.jsonl.gz")):
        with gzip.open(file, "rt") as lines:
            yield from map(json.loads, lines)


def read_shard(folder: Path, number: int) -> dict[tuple[str, int], Row]:
    """Returns the lines of a shard by path and target; none where there is no such shard."""
    try:
        with gzip.open(_shard(folder, number), "rt") as lines:
            return {(row["path"], row["target"]): row for row in map(json.loads, lines)}
    except FileNotFoundError:
        return {}


class Shards:
    """Packs the results of a run, an image after the other.

    Args:
        folder: of the run; what its shards hold already stays there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = -1
        self._earlier: dict[tuple[str, int], Row] = {}
        self._lines: list[Row] = []

    def take(self, image: int, rows: Sequence[Row]) -> list[Row]:
        """Moves what is packed from the lines of an image, by its place in the input, to its shard."""
        if image // SHARD != self._number:
            self.write()
            self._number = image // SHARD
            self._earlier = read_shard(self._folder, self._number)
        left = []
        for row in rows:
            key = (row["path"], row.get("target", -1))
            packed = row.get("packed")
            line = self._earlier.get(key) if packed is None else {"path": key[0], "target": key[1], **packed}
            told = {name: value for name, value in row.items() if name not in ("packed", "shard")}
            if line is not None:
                self._lines.append(line)
                told["shard"] = self._number
            left.append(told)
        return left

    def write(self) -> None:
        """Writes the shard that is being filled."""
        if self._lines:
            text = "".join(json.dumps(line) + "\n" for line in self._lines)
            with whole_file(_shard(self._folder, self._number)) as file:
                file.write(gzip.compress(text.encode(), compresslevel=6, mtime=0))
        self._lines = []


def _shard(folder: Path, number: int) -> Path:
    return folder / PACKED / f"{number:06d}.jsonl.gz"
