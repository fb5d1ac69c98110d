"""ReX, which ranks pixels by causal responsibility and returns a minimal sufficient mask; nothing here is of JAX.

rex-xai 0.4 asks for numpy 1.26, which JAX no longer takes; it also runs with today's: install its other requirements
(`pip install anytree fastcache imutils onnxruntime pandas scipy sqlalchemy tabulate toml tqdm`), then it alone
(`pip install --no-deps rex-xai==0.4.1`).
"""

import random
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.peers.contest import Subject
from benchmarks.peers.original import Original


def explain(original: Original, subject: Subject, *, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the map of responsibility, and the sufficient mask where one was found, both `[H, W]`.

    Its settings are the documented ones; hidden pixels are 0 after normalisation, the mean of the data.

    Args:
        original: the network.
        subject: to explain.
        seed: of what is drawn.
    """
    import torch
    from PIL import Image
    from rex_xai.lib import ReX
    from rex_xai.responsibility.prediction import default_prediction_function

    random.seed(seed)
    rex = ReX(
        original.module,
        (None, 3, *subject.pixels.shape[:2]),  # what the module takes
        "cpu",
        "RGB",
        default_prediction_function(original.module),
    )
    rex.args.seed = seed
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.png"
        Image.fromarray(subject.pixels).save(path)
        rex.set_rgb_image(str(path))
    rex.set_transformed_data(original.tensor(subject.pixels[None]))
    rex.set_target()
    with torch.inference_mode():
        rex.calculate_responsibility()
        rex.extract_sufficient_explanation()
    score = np.asarray(rex.maps.get(rex.data.target.classification), np.float32)
    mask = rex.explanation.sufficiency_mask
    return score, None if mask is None else np.asarray(mask, bool).reshape(-1, *score.shape).any(axis=0)
