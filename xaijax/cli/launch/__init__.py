"""`xaijax launch`: the files beside this one, which start a run on a cluster."""

import importlib.resources

from xaijax.cli.exit_codes import EXPLAINED
from xaijax.cli.options import LAUNCH, LaunchOptions


def run(options: LaunchOptions) -> int:
    """Prints the file."""
    file = importlib.resources.files(__name__) / LAUNCH[options.where]
    print(file.read_text(encoding="utf-8"), end="")
    return EXPLAINED
