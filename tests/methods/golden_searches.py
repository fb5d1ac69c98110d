"""The golden searches: of each objective, what E-LIME finds generation by generation, and what writes it down.

`python -m tests.methods.golden_searches` writes golden_searches.json anew, where a change of the search is meant.
"""

import json
from pathlib import Path

import jax
import numpy as np

from xaijax import ELIME, Classifier, Grid, explain

PATH = Path(__file__).with_name("golden_searches.json")
OBJECTIVES = {
    "pareto": ELIME(evaluations=100, segmentation=Grid(4, 4), fill="black", max_segments=32),
    "probability": ELIME(
        evaluations=100,
        segmentation=Grid(4, 4),
        fill="black",
        max_segments=32,
        objective="probability",
        area_weight=0.2,
    ),
}


def sum_logits(params, images):
    """Sums of products that float32 holds exactly, in any order: a search does not depend on how they are added up."""
    return images.reshape(len(images), -1) @ params / 64


def search(objective):
    """Returns what a search of two images finds."""
    random = np.random.default_rng(0)
    weights = random.integers(-7, 8, (4, 4, 3, 5)).repeat(4, axis=0).repeat(4, axis=1).reshape(-1, 5)
    classifier = Classifier.from_function(sum_logits, weights.astype(np.float32), num_classes=5, input_size=(16, 16))
    images = (random.integers(0, 65, (2, 4, 4, 3)) / np.float32(64)).repeat(4, axis=1).repeat(4, axis=2)
    return jax.device_get(explain(jax.random.key(11), classifier, images, ids=[1, 2], method=OBJECTIVES[objective]))


def as_golden(result):
    """Returns of each image what the golden file holds."""
    return [
        {
            "target": int(result.target[row]),
            "mask": f"{int(result.genome[row, 0]):04x}",
            "probability": round(float(result.probability[row]), 5),
            "evaluations": int(result.evaluations[row]),
            "history": [round(float(best), 5) for best in result.history[row][: result.generations[row]]],
        }
        for row in range(len(result.target))
    ]


if __name__ == "__main__":
    found = {objective: as_golden(search(objective)) for objective in OBJECTIVES}
    rows = {name: ",\n  ".join(json.dumps(row) for row in images) for name, images in found.items()}
    PATH.write_text("{\n" + ",\n".join(f' "{name}": [\n  {text}\n ]' for name, text in rows.items()) + "\n}\n")
