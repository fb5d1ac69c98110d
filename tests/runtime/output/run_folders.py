"""Run folders, their lines, and damaged ones, as tests of outputs share them."""

import json

from xaijax.runtime.layout import RESULTS
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.output.run_folder import RunFolder

SETTINGS = {"seed": 0, "options": {}, "method": {"evaluations": 240, "crop": (1, 2)}, "model": "resnet"}
FIGURES = dict.fromkeys(("original_probability", "probability", "area", "cp_score", "evaluations"), 0.5)
FIGURES |= {"target": 1, "label": "1", "status": "It ended."}
# A name in other letters, one with a line separator, and one that is no valid UTF-8 on disk.
PATHS = ("a.png", "жук.png", "one\u2028two\x85.png", "caf\udce9.png")
ROWS = [{"path": name, **FIGURES, "files": str(index)} for index, name in enumerate(PATHS)]
NAMES = [row["path"] for row in ROWS]
WRONG = [
    *({"files": name} for name in ("../../mine", "a\\b", "a\0b", "a" * 5000, None)),
    *({"saved": sizes} for sizes in ([], None, {"masks": "7"}, {"packed": 7})),
    *({"area": number} for number in (None, "0.5", 10**400)),
    *({name: None} for name in ("target", "label", "status", "shard", "written")),
]
JUNK = [
    b"[]",
    b"7",
    b"null",
    b'{"pa',
    b"{}",
    b'{"path": 7}',
    *(json.dumps({**ROWS[0], **wrong}).encode() for wrong in WRONG),
    b"[" * 100_000,
    b'{"path": "a.png", "target": "x"}',
    b'{"path": "a.png", "shard": [1]}',
    b"\xff\xfe",
    b'{"path": "a", "written": "x"}',
]


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def folder_and_journal(path, names=NAMES, **options):
    folder = RunFolder(path, SETTINGS, names)
    journal = Journal(path, rows_per_image=1, **options)
    folder.take_list(journal)
    return folder, journal


def rows_of(journal):
    return [row for rows in journal.rows(NAMES) for row in rows]


def read_lines(folder):
    return [json.loads(line) for line in (folder / RESULTS).read_text().splitlines()]
