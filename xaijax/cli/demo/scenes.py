"""The demo on generated scenes, with an embedded classifier, and a comparison with where their objects truly are."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
from PIL import Image

from xaijax.atomic_files import write_picture, writing_to
from xaijax.cli.make_job import make_job
from xaijax.cli.options import RunOptions
from xaijax.masks.segmentation import SLIC
from xaijax.methods.elime.method import ELIME
from xaijax.metrics import overlap
from xaijax.report.table import text_table
from xaijax.runtime.input.sources import Source
from xaijax.runtime.output.result_files import read_arrays
from xaijax.runtime.output.result_lines import read_results
from xaijax.runtime.output.run_folder import RunFolder
from xaijax.runtime.run import run as run_job
from xaijax.scenes.generator import Scene, generate

METHOD = ELIME(
    evaluations=480,
    segmentation=SLIC(segments=40, compactness=5.0),
    fill="image-mean",
    objective="probability",
    area_weight=1.0,
)

SCENES = "scenes"
"""The folder, in that of the run, of the images that are explained."""


@dataclasses.dataclass(frozen=True)
class ScenesResult:
    """What was found in scenes.

    Attributes:
        scenes: what was explained.
        rows: lines of the explanations, with `true_label`, and `overlap`, the intersection over union of the mask with
            the object.
    """

    scenes: Scene
    rows: list[dict[str, Any]]


def explain_scenes(out: Path, *, images: int, seed: int, model: str = "scenes-resnet") -> ScenesResult:
    """Explains `images` scenes as `xaijax explain` does with their files, and returns what it found.

    Args:
        out: folder of the run; the scenes are written into it.
        images: scenes.
        seed: of the scenes and the search.
        model: an embedded classifier.

    Raises:
        ValueError: the folder holds something else, or another run.
    """
    job = make_job(RunOptions(model=model, seed=seed), METHOD, images=images)
    job = dataclasses.replace(job, save=("masks", "scores", "overlays"))
    scenes = jax.device_get(generate(jax.random.split(jax.random.key(seed), images)))
    labels = [job.classifier.label(int(label)) for label in scenes.label]
    sources = [Source(str(out / SCENES / f"{label}-{index}.png")) for index, label in enumerate(labels)]
    RunFolder(out, job.settings, [source.name for source in sources])  # which refuses any other folder
    with writing_to(out):
        for source, image in zip(sources, scenes.image, strict=True):
            if not Path(source.name).exists():
                write_picture(Path(source.name), Image.fromarray(image))
    run_job(sources, job, out)
    found = {row["path"]: row for row in read_results(out)}
    rows = []
    for source, label, truth in zip(sources, labels, scenes.mask, strict=True):
        row = found[source.name]
        if "error" not in row:
            mask, _ = read_arrays(out, row)
            value = overlap(mask[None], truth[None]).iou[0]
            rows.append(row | {"true_label": label, "overlap": round(float(value), 6)})
    return ScenesResult(scenes, rows)


def scenes_table(rows: list[dict[str, Any]]) -> str:
    """Returns the figures as text."""
    header = ("class", "p before", "p after", "area", "CP score", "overlap", "evaluations")
    lines = [
        (
            row["label"] if row["label"] == row["true_label"] else f"{row['label']} (is {row['true_label']})",
            f"{row['original_probability']:.3f}",
            f"{row['probability']:.3f}",
            f"{row['area']:.2f}",
            f"{row['cp_score']:.2f}",
            f"{row['overlap']:.2f}",
            str(row["evaluations"]),
        )
        for row in rows
    ]
    return text_table(header, lines)
