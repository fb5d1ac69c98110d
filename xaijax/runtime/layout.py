"""The names of what a run writes into its folder; nothing there that has another name is ever touched."""

from typing import Literal, get_args

RUN = "run.json"
"""Settings and figures; it is written first, and says that the folder is a run's."""

RESULTS = "results.jsonl"
"""A line for each explanation, once all are there."""

BLOCKS = "blocks"
"""The folder of the journals and the heartbeats of the processes, while the run lasts."""

ALIVE = ".alive"
"""The suffix of the heartbeats there."""

METRICS = "metrics.json"
"""What `xaijax evaluate` found."""

PAGE = "index.html"
"""The page of the run."""

PACKED = "packed"
"""The folder of the shards of masks and scores."""

Save = Literal["masks", "scores", "overlays", "full-size", "packed"]
SAVED: tuple[Save, ...] = get_args(Save)
"""What is written for each explanation, each in a folder of its name."""

SUFFIXES: dict[Save, str] = {"masks": ".png", "scores": ".npy", "overlays": ".png", "full-size": ".jpg"}
"""Of the files in these folders that hold an explanation each."""
