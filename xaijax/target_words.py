"""Words that stand for the classes to explain."""

import re
from typing import Any


def parse_top(targets: Any) -> int | None:
    """Returns the K of "topK", or None for anything else."""
    top = re.fullmatch(r"top(\d+)", targets) if isinstance(targets, str) else None
    return int(top[1]) if top else None
