"""The folder of a run: every file whole or not at all.

`run.json` holds the settings and figures, `results.jsonl` a line an explanation in the order of the input,
`masks/*.png` 1-bit masks, `scores/*.npy` score maps, `overlays/*.png` pictures. While the run lasts, the journals in
`blocks` hold the lines so far.
"""

import contextlib
import io
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from xaijax.runtime.journal import BLOCKS, RESULTS, Journal, json_lines
from xaijax.runtime.share import Share

RUN = "run.json"


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file to write under another name and moves it into place, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")  # each container has a process 1
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a whole file, or nothing."""
    with whole_file(path) as file:
        file.write(content)


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
    """Where a run writes.

    Args:
        path: of the folder.
        settings: what makes two runs the same.
        images: of the input.

    Raises:
        ValueError: the folder holds a run of other settings, which the message names, or it cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, images: int) -> None:
        self.path = path
        self.settings = json.loads(json.dumps(settings))
        try:
            path.mkdir(parents=True, exist_ok=True)
            record = json.loads((path / RUN).read_text()) if (path / RUN).exists() else {}
            if record:
                self._check_settings(record.get("settings", {}))
            if record.get("images") != images:
                write_json(path / RUN, {**record, "settings": self.settings, "images": images})
        except OSError as error:
            raise ValueError(f"cannot write to {str(path)!r} ({error.strerror}); name another folder.") from error

    def _check_settings(self, earlier: Mapping[str, Any]) -> None:
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

    def tell(self, share: Share, figures: Mapping[str, Any]) -> None:
        """Writes what a process has to say of itself, until the run is finished."""
        write_json(self.path / BLOCKS / f"process-{share.index}.json", figures)

    def finish(self, journal: Journal, paths: Sequence[str], figures: Mapping[str, Any]) -> bool:
        """Writes `results.jsonl` in the order of the paths, and `run.json`, and drops the journals.

        Returns:
            Whether all is done; where it is not, other processes are at work and nothing is written.
        """
        journal.scan()
        if not all(journal.is_done(path) for path in paths):
            return False
        for part in self.path.rglob(".*.part"):  # of processes that were killed
            part.unlink(missing_ok=True)
        try:
            told = [json.loads(file.read_text()) for file in sorted((self.path / BLOCKS).glob("process-*.json"))]
            with whole_file(self.path / RESULTS) as results:
                for rows in journal.rows(paths):
                    results.write(json_lines(rows))
            processes = {"processes": told} if len(told) > 1 else {}
            write_json(self.path / RUN, {"settings": self.settings, **figures, **processes})
        except FileNotFoundError:  # another process was as fast, and has dropped the journals
            return (self.path / RESULTS).exists()
        shutil.rmtree(self.path / BLOCKS, ignore_errors=True)
        journal.scan()
        return True
