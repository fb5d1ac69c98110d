"""`run.json`, the record of a run: reading it, and checking that a folder is free or holds the same run."""

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
"""Recorded in `run.json`; its number changes with the layout of the folder."""

KEYS = ("format", "settings", "merged", "journals")
"""The keys of `run.json` besides the list of images and the figures: `merged` is the digest of the list that orders the
results, `journals` holds the sizes of the journals that they were merged from."""

FROM_THE_SYSTEM = frozenset({".DS_Store", "lost+found"})
"""Names that an operating system puts into an empty folder."""

OF_BLOCKS = re.compile(r"\d{6,}\.(jsonl|reading)|process-\d+\.(json|alive|through|reading)|merge\.(lock|holder)")
"""The names of the files that a run writes into `blocks`."""


def read_record(path: Path) -> dict[str, Any]:
    """Reads the `run.json` of a folder: `settings`, `images` (listed), `unlisted` (explained before), and figures.

    Raises:
        ValueError: it does not exist, or it is damaged, or not that of a run.
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
    """Checks that a folder without `run.json` is empty.

    Raises:
        ValueError: it is not.
    """
    try:
        listed = os.listdir(path)
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error.strerror}); name another folder.") from error
    names = sorted(name for name in listed if not is_part(name) and name not in FROM_THE_SYSTEM)
    if not names or (path / RUN).exists():  # another process may have started the run just now
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


BY_DIGEST = {"weights": "weights_sha256", "labels": "labels_sha256"}
"""Settings that name a file, which may lie elsewhere now, by those that tell its content."""

VERSIONS = ("version", "jax")
"""Settings that tell the versions of xaijax and of JAX."""


def check_settings(
    path: Path, record: Mapping[str, Any], settings: Mapping[str, Any], *, allow_version_change: bool = False
) -> dict[str, str]:
    """Checks that settings are those of the run in a folder.

    Args:
        path: of the folder.
        record: its `run.json`.
        settings: of this start, converted to JSON types or not.
        allow_version_change: whether the versions of xaijax and JAX may be others.

    Returns:
        The versions that are others, which then may be; see `VERSIONS`.

    Raises:
        ValueError: other settings differ; the message names them.
    """
    earlier, settings = record["settings"], json.loads(json.dumps(settings))
    differ = {name for name in earlier.keys() | settings.keys() if earlier.get(name) != settings.get(name)}
    differ -= {name for name, digest in BY_DIGEST.items() if settings.get(digest) and digest not in differ}
    versions = differ & {*VERSIONS}
    if differ == versions and allow_version_change:
        return {name: settings[name] for name in VERSIONS if name in versions}
    if differ:
        listed = ", ".join(
            f"{name} ({earlier.get(name)!r} then, {settings.get(name)!r} now)" for name in sorted(differ)
        )
        remedy = "name another folder, or the same settings"
        if differ == versions:
            remedy += "; --allow-version-change goes on, and says in each line what made it"
        raise ValueError(f"{str(path)!r} holds a run with other settings: {listed}; {remedy}.")
    return {}


def check_base(path: Path, earlier: str | None, now: str | None) -> str | None:
    """Returns the folder that relative names of images belong to; its path may have changed, or differ on this node.

    Args:
        path: of the run.
        earlier: the folder that the run has recorded; None if no names are relative.
        now: the folder at this start; None if no names are relative.

    Raises:
        ValueError: they are different folders, so that the same names belong to other images.
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
