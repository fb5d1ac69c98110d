"""The demo: explains generated scenes with the embedded classifier, and compares with where the objects truly are."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax

from xaijax.classifier import Classifier
from xaijax.explain import explain
from xaijax.explanation import Explanation
from xaijax.masks.segmentation import SLIC
from xaijax.methods.elime import ELIME
from xaijax.metrics import overlap
from xaijax.models.zoo import load
from xaijax.report.page import write_page
from xaijax.report.table import text_table
from xaijax.runtime.folder import RUN
from xaijax.runtime.journal import RESULTS, json_lines
from xaijax.runtime.rows import result_row, write_files
from xaijax.runtime.whole import write_json, write_whole
from xaijax.scenes.generator import Scene, generate

METHOD = ELIME(
    evaluations=480,
    segmentation=SLIC(segments=40, compactness=5.0),
    fill="image-mean",
    objective="probability",
    area_weight=1.0,
)


@dataclasses.dataclass(frozen=True)
class Demo:
    """What the demo found.

    Attributes:
        scenes: what was explained.
        result: the explanations.
        rows: their figures, with `overlap`, the intersection over union of the mask with the object.
        compile_s: seconds until the first batch, compilation included, less those of a second one.
        explain_s: seconds of the search of all scenes.
    """

    scenes: Scene
    result: Explanation
    rows: list[dict[str, Any]]
    compile_s: float
    explain_s: float


def demo(out: Path, *, images: int, seed: int, model: str = "scenes-resnet") -> Demo:
    """Explains `images` scenes, writes their pictures and figures to the folder `out`, and returns what it found."""
    classifier = load(model)
    scenes = jax.device_get(generate(jax.random.split(jax.random.key(seed), images)))
    start = time.perf_counter()
    _search(classifier, scenes, seed)
    warm = time.perf_counter()
    result = _search(classifier, scenes, seed)
    explain_s = time.perf_counter() - warm
    overlaps = overlap(result.mask, scenes.mask).iou
    rows = [
        result_row(result, place, classifier)
        | {"path": f"scene-{place}", "true_label": classifier.label(int(scenes.label[place]))}
        | {"overlap": round(float(overlaps[place]), 6)}
        for place in range(images)
    ]
    for place, row in enumerate(rows):
        row["files"] = f"{place:06d}_{row['label']}"
        write_files(out, row["files"], scenes.image[place], result, place, row, ("overlays",))
    settings = {"model": model, "method": dataclasses.asdict(METHOD), "images": images, "seed": seed}
    write_json(out / RUN, {"settings": settings, "images_per_s": images / explain_s})
    write_whole(out / RESULTS, json_lines(rows))
    write_page(out)
    return Demo(scenes, result, rows, max(0.0, warm - start - explain_s), explain_s)


def table(found: Demo) -> str:
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
        for row in found.rows
    ]
    rate = len(found.rows) / found.explain_s
    return f"{text_table(header, lines)}\n{rate:.1f} images a second, after {found.compile_s:.1f} s of compilation"


def _search(classifier: Classifier, scenes: Scene, seed: int) -> Explanation:
    return jax.device_get(explain(jax.random.key(seed), classifier, scenes.image, method=METHOD))
