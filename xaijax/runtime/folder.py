"""The folder of a run: every file whole or not at all, and a journal that lets the same command resume.

`run.json` holds the settings and figures, `results.jsonl` a line an explanation in the order of the input,
`masks/*.png` 1-bit masks, `scores/*.npy` score maps, `overlays/*.png` pictures. While the run lasts, `journal.jsonl`
holds the lines so far.
"""

import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RUN, RESULTS, JOURNAL = "run.json", "results.jsonl", "journal.jsonl"


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under another name and moves it into place, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Returns a line of JSON a row, in ASCII: a path may hold line separators, or bytes that are no UTF-8."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write_json(path: Path, value: Any) -> None:
    """Writes JSON, indented."""
    write_whole(path, (json.dumps(value, indent=2) + "\n").encode())


def write_picture(path: Path, picture: Image.Image) -> None:
    """Writes a PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_whole(path, buffer.getvalue())


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Writes `[H, W]` bool as a 1-bit PNG."""
    write_picture(path, Image.fromarray(mask).convert("1"))


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array as `.npy`."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    write_whole(path, buffer.getvalue())


class RunFolder:
    """Where a run writes, and what an earlier start of the same run has written already.

    Attributes:
        path: of the folder.
        done: the lines of the earlier start, by the name of the image.

    Raises:
        ValueError: the folder holds a run of other settings; the message says which differ.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        self.done: dict[str, list[dict[str, Any]]] = {}
        try:
            path.mkdir(parents=True, exist_ok=True)
            if (path / RUN).exists():
                self._resume()
            write_json(path / RUN, {"settings": self.settings})
        except OSError as error:
            raise ValueError(f"cannot write to {str(path)!r} ({error.strerror}); name another folder.") from error

    def _resume(self) -> None:
        earlier = json.loads((self.path / RUN).read_text()).get("settings", {})
        differ = sorted(
            name for name in earlier.keys() | self.settings.keys() if earlier.get(name) != self.settings.get(name)
        )
        if differ:
            now = self.settings
            listed = ", ".join(f"{name} ({earlier.get(name)!r} then, {now.get(name)!r} now)" for name in differ)
            raise ValueError(
                f"{str(self.path)!r} holds a run with other settings: {listed}; name another folder, or the same "
                "settings."
            )
        for name in (RESULTS, JOURNAL):
            if (self.path / name).exists():
                for line in (self.path / name).read_text().splitlines():
                    try:
                        row = json.loads(line)
                    except json.JSONDecodeError:  # the line that was being written when the run was stopped
                        continue
                    lines = self.done.setdefault(row["path"], [])
                    if row not in lines:
                        lines.append(row)
        if (self.path / JOURNAL).exists():  # without the torn line, so that the next one starts on its own
            write_whole(self.path / JOURNAL, json_lines(row for lines in self.done.values() for row in lines))

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds lines to the journal."""
        with (self.path / JOURNAL).open("ab") as journal:
            journal.write(json_lines(rows))

    def finish(self, rows: list[dict[str, Any]], figures: Mapping[str, Any]) -> None:
        """Writes `results.jsonl` and `run.json`, and drops the journal."""
        write_whole(self.path / RESULTS, json_lines(rows))
        write_json(self.path / RUN, {"settings": self.settings, **figures})
        (self.path / JOURNAL).unlink(missing_ok=True)
