"""The peers: each package called as its documentation does, and with a tuned batch and fill.

Where a package has no default it is its tutorial's: captum's occlusion of 15 x 15 windows at a stride of 8, shap's
masker `blur(128,128)`. Nothing here is of JAX.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.peers import rex, shapiq_games
from benchmarks.peers.contest import BLACK, BLURRED, DOCUMENTED, OWN_FILL, Answer, Contestant, Subject
from benchmarks.peers.original import Original

BY_GRADIENT = ("grad-cam",)

BLUR_WIDTH = 35
"""Of shap's box blur, in pixels: the standard deviation of 10 that xaijax's blur has at 224."""


def peers(
    documented: Original, tuned: Original, *, samples: int, captum_samples: int, coalitions: int, seed: int
) -> Iterator[Contestant]:
    """Yields every package in each of its settings.

    Args:
        documented: the original as it is loaded.
        tuned: the original in the memory format and at the batch that are fastest here.
        samples: of lime.
        captum_samples: of captum's Lime and KernelShap where they are tuned.
        coalitions: evaluations of shap's Partition explainer.
        seed: of what draws.
    """
    for setting in (DOCUMENTED, OWN_FILL, BLURRED, BLACK):
        is_documented, has_own_fill = setting == DOCUMENTED, setting in (DOCUMENTED, OWN_FILL)
        original = documented if is_documented else tuned
        make = functools.partial(_contestant, setting, original, seed=seed)
        batch = 10 if is_documented else tuned.batch
        filled = {BLURRED: "blurred", BLACK: "black"}.get(setting)
        lime = functools.partial(_lime, original, samples=samples, batch=batch, setting=setting)
        yield make("lime", lime, f"{samples} samples, batch {batch}, {filled or 'segment mean'}")
        width = BLUR_WIDTH if setting == BLURRED else 128
        mask_value = "black" if setting == BLACK else f"blur({width},{width})"
        shap = Partition(original, mask_value, evaluations=coalitions, batch="auto" if is_documented else tuned.batch)
        words = f"{coalitions} evaluations, batch {shap.batch}, {mask_value}"
        yield make("shap partition", shap, words, prepare=shap.prepare)
        count, batch = (25, 1) if is_documented else (captum_samples, tuned.batch)
        for name in ("Lime", "KernelShap"):
            call = functools.partial(_captum, name, original, samples=count, batch=batch, setting=setting)
            named = {"Lime": "captum lime", "KernelShap": "captum kernel-shap"}[name]
            yield make(named, call, f"{count} samples, batch {batch}, {filled or 'data mean'}")
        window, stride = (15, 8) if is_documented else (32, 16)
        call = functools.partial(_occlusion, original, window=window, stride=stride, batch=batch, setting=setting)
        words = f"window {window}, stride {stride}, batch {batch}, {filled or 'data mean'}"
        yield make("captum occlusion", call, words)
        if has_own_fill:
            call = functools.partial(_grad_cam, original, smooth=not is_documented)
            words = "last convolution" + ("" if is_documented else ", aug_smooth=True")
            yield make("grad-cam", call, words)
        else:
            for budget in (coalitions // 2, coalitions):
                for approximator in shapiq_games.APPROXIMATORS:
                    call = functools.partial(
                        shapiq_games.explain, approximator, original, budget=budget, seed=seed, setting=setting
                    )
                    words = f"{approximator}, {budget} evaluations, batch {original.batch}, {filled}"
                    yield make(f"shapiq {budget}", call, words, setting=f"{setting}, {approximator}")
        if is_documented:
            call = functools.partial(rex.explain, original, seed=seed)
            yield make("rex", call, "20 iterations, data mean", aside=True)


def _contestant(
    tuning: str,
    original: Original,
    method: str,
    call: Callable[[Subject], Any],
    settings: str,
    *,
    seed: int,
    prepare: Callable[[Subject], object] | None = None,
    setting: str | None = None,
    aside: bool = False,
) -> Contestant:
    """Makes a contestant of `call`, which returns the map of a subject, or the map and a mask of the package's own."""

    def explain(subject: Subject) -> Answer:
        import torch

        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - shap and lime draw from it
        before = original.rows
        given = call(subject)
        score, mask = given if isinstance(given, tuple) else (given, None)
        return Answer(np.asarray(score, np.float32), original.rows - before, mask)

    def warm(subject: Subject) -> object:
        return original.probabilities(np.repeat(subject.pixels[None], original.batch, axis=0))

    is_inside = method in BY_GRADIENT
    kinds = {"aside": aside, "by_gradient": is_inside}
    return Contestant(method, setting or tuning, "peer", settings, explain, prepare or warm, **kinds)


def lime_weights(original: Original, subject: Subject, *, samples: int, batch: int, setting: str) -> np.ndarray:
    """Returns lime's weight of every segment, `[S]`."""
    from lime.lime_image import LimeImageExplainer

    fill = subject.fill(setting)
    explanation = LimeImageExplainer().explain_instance(
        subject.pixels,
        original.probabilities,
        labels=(subject.target,),
        top_labels=None,
        hide_color=None if fill is None else np.round(255 * fill).astype(np.uint8),
        num_samples=samples,
        batch_size=batch,
        segmentation_fn=lambda _: subject.segments,
    )
    weights = dict(explanation.local_exp[subject.target])
    return np.array([weights[segment] for segment in range(len(weights))])


def _lime(original: Original, subject: Subject, *, samples: int, batch: int, setting: str) -> np.ndarray:
    return lime_weights(original, subject, samples=samples, batch=batch, setting=setting)[subject.segments]


class Partition:
    """shap's Partition explainer, built once, as it is used for many images."""

    def __init__(self, original: Original, mask_value: str, *, evaluations: int, batch: int | str):
        self.batch, self._evaluations = batch, evaluations
        self._original, self._mask_value = original, mask_value
        self._explainer: Any = None

    def prepare(self, subject: Subject) -> None:
        """Builds the tree of the image's parts, and lets Numba compile."""
        self._explain(subject, 10)

    def __call__(self, subject: Subject) -> np.ndarray:
        """Returns the map of a subject, the channels added as in shap's own plot."""
        return self._explain(subject, self._evaluations)

    def _explain(self, subject: Subject, evaluations: int) -> np.ndarray:
        import shap

        if self._explainer is None:
            is_black = self._mask_value == "black"
            mask_value = np.zeros(subject.pixels.shape, np.float32) if is_black else self._mask_value
            masker = shap.maskers.Image(mask_value, subject.pixels.shape)
            self._explainer = shap.PartitionExplainer(self._answer, masker)
        batch = subject.pixels[None].astype(np.float32)
        found = self._explainer(
            batch, max_evals=evaluations, batch_size=self.batch, outputs=[subject.target], silent=True
        )
        return found.values[0, ..., 0].sum(axis=2)

    def _answer(self, images: np.ndarray) -> np.ndarray:
        return self._original.probabilities(np.asarray(images, np.float32) / 255)


def _baselines(original: Original, subject: Subject, setting: str) -> Any:
    fill = subject.fill(setting)
    return None if fill is None else original.tensor(fill[None])


def _captum(name: str, original: Original, subject: Subject, *, samples: int, batch: int, setting: str) -> np.ndarray:
    import captum.attr
    import torch

    inputs = original.tensor(subject.pixels[None])
    segments = torch.from_numpy(np.array(subject.segments, np.int64))[None, None].to(inputs.device)
    found = getattr(captum.attr, name)(original.module).attribute(
        inputs,
        target=subject.target,
        feature_mask=segments,
        baselines=_baselines(original, subject, setting),
        n_samples=samples,
        perturbations_per_eval=batch,
    )
    return found[0, 0].detach().cpu().numpy()


def _occlusion(
    original: Original, subject: Subject, *, window: int, stride: int, batch: int, setting: str
) -> np.ndarray:
    import captum.attr

    found = captum.attr.Occlusion(original.module).attribute(
        original.tensor(subject.pixels[None]),
        sliding_window_shapes=(3, window, window),
        strides=(3, stride, stride),
        target=subject.target,
        baselines=_baselines(original, subject, setting),
        perturbations_per_eval=batch,
    )
    return found[0].mean(dim=0).detach().cpu().numpy()


def _grad_cam(original: Original, subject: Subject, *, smooth: bool) -> np.ndarray:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    module = original.module
    layer = module.layer4[-1] if hasattr(module, "layer4") else module.features[-1]
    with GradCAM(model=module, target_layers=[layer]) as explainer:
        inputs = original.tensor(subject.pixels[None])
        return explainer(inputs, targets=[ClassifierOutputTarget(subject.target)], aug_smooth=smooth)[0]
