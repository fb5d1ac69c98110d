"""The names of the files that a run writes into its folder; files with other names are never touched."""

from typing import Literal, get_args

RUN = "run.json"
"""Settings and figures; it is written first, and marks the folder as that of a run."""

RESULTS = "results.jsonl"
"""One line per explanation, once all are done."""

BLOCKS = "blocks"
"""The folder of the journals and the heartbeats of the processes, while the run lasts."""

ALIVE = ".alive"
"""The suffix of heartbeats."""

THROUGH = ".through"
"""The suffix of the files by which a process says that it has been through its share."""

READING = ".reading"
"""The suffix of the files in which a process notes which images it is reading."""

METRICS = "metrics.json"
"""The metrics of the run, as `xaijax evaluate` writes them."""

PAGE = "index.html"
"""The page of the run."""

PACKED = "packed"
"""The folder of the shards of masks and scores."""

Save = Literal["masks", "scores", "overlays", "full-size", "packed"]
SAVED: tuple[Save, ...] = get_args(Save)
"""What can be written for each explanation, each kind in a folder of its name."""

SUFFIXES: dict[Save, str] = {"masks": ".png", "scores": ".npy", "overlays": ".png", "full-size": ".jpg"}
"""The suffixes of the kinds that have one file per explanation."""
