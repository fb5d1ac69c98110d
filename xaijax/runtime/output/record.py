"""`run.json`, which says what a run was asked, and whether a folder is a run's or may become one."""

import contextlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xaijax.atomic_files import is_part
from xaijax.runtime.layout import BLOCKS, RESULTS, RUN

FORMAT = "xaijax run 1"
"""What `run.json` says that it is; another number stands for folders that hold other things."""

KEYS = ("format", "settings", "merged", "journals")
"""What `run.json` has beside the list of images and figures: `merged` is the list that the results are in the order of,
`journals` the sizes of the journals that they were merged from."""

FROM_THE_SYSTEM = frozenset({".DS_Store", "lost+found"})
"""What may lie in a folder that nobody has put anything into."""

OF_BLOCKS = re.compile(r"\d{6,}\.jsonl|process-\d+\.(json|alive)|merge\.lock")
"""The names of all files in `blocks`."""


def read_record(path: Path) -> dict[str, Any]:
    """Reads the `run.json` of a folder: `settings`, `images` (listed), `unlisted` (explained before), and figures.

    Raises:
        ValueError: there is none, or it is damaged or something else's.
    """
    try:
        record = json.loads((path / RUN).read_bytes())
    except FileNotFoundError as error:
        raise ValueError(f"{str(path)!r} holds no run; name the folder that `xaijax explain --out` writes.") from error
    except OSError as error:
        raise ValueError(f"{str(path / RUN)!r} cannot be read ({error.strerror}); name the folder of a run.") from error
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or record.get("format") != FORMAT or not _is_record(record):
        raise ValueError(
            f"{str(path / RUN)!r} is damaged, or of no run of this version of xaijax; put it back, or name another "
            "folder."
        )
    return record


def _is_record(record: Mapping[str, Any]) -> bool:
    kinds = {"settings": dict, "images": int, "unlisted": int, "list": str, "folder": str | None}
    processes, journals = record.get("processes", []), record.get("journals", {})
    return (
        all(name in record and isinstance(record[name], kind) for name, kind in kinds.items())
        and isinstance(journals, dict)
        and isinstance(processes, list)
        and all(isinstance(process, dict) and _has_rate(process) for process in [record, *processes])
    )


def _has_rate(figures: Mapping[str, Any]) -> bool:
    return isinstance(figures.get("images_per_s", 0.0), int | float)


def check_is_free(path: Path) -> None:
    """Refuses a folder without `run.json` that holds anything.

    Raises:
        ValueError: it does.
    """
    try:
        found = os.listdir(path)
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error.strerror}); name another folder.") from error
    names = sorted(name for name in found if not is_part(name) and name not in FROM_THE_SYSTEM)
    if not names or (path / RUN).exists():  # another process may just have begun the run
        return
    if RESULTS in names or any(OF_BLOCKS.fullmatch(file.name) for file in (path / BLOCKS).glob("*.jsonl")):
        raise ValueError(
            f"{str(path)!r} holds results, but not the {RUN} that says what they are of; put it back, or name another "
            "folder."
        )
    raise ValueError(
        f"{str(path)!r} is no folder of a run and holds {names[0]!r}, which stays as it is; name a folder that is "
        "empty, or not there yet."
    )


def check_settings(path: Path, record: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuses settings that are not those of the run in a folder.

    Args:
        path: of the folder.
        record: its `run.json`.
        settings: as `run.json` would hold them, or as they are before.

    Raises:
        ValueError: some differ; the message names them.
    """
    earlier, settings = record["settings"], json.loads(json.dumps(settings))
    differ = sorted(name for name in earlier.keys() | settings.keys() if earlier.get(name) != settings.get(name))
    if differ:
        listed = ", ".join(f"{name} ({earlier.get(name)!r} then, {settings.get(name)!r} now)" for name in differ)
        raise ValueError(
            f"{str(path)!r} holds a run with other settings: {listed}; name another folder, or the same settings."
        )


def check_base(path: Path, earlier: str | None, now: str | None) -> str | None:
    """Returns the folder that relative names belong to; it may have been moved, or have another path on this node.

    Raises:
        ValueError: the same names are of other images.
    """
    if earlier is None or now is None or earlier == now:
        return now or earlier
    with contextlib.suppress(OSError):
        if not os.path.samefile(earlier, now):
            raise ValueError(
                f"the relative names of the images in {str(path)!r} belong to {earlier!r}, and those that are listed "
                "now to another folder; start the command there, or name another folder for the results."
            )
    return now
