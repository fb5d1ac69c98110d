"""xaijax beside the packages that people use: the same photographs, weights, segments and machine, in one go.

    python -m benchmarks.peers IMAGES... --weights FILE
    python -m benchmarks.peers IMAGES... --weights FILE --model resnet18 --count 8 --aside 2

Needs the `bench` extra, and torch and torchvision installed by hand (of torchvision the Python files suffice). Of each
input as many photographs are taken; `imagenet_val_boxes` and `davis_masks` of the shared data say where the object is.
Every row goes to a journal as it is measured, so that the same command goes on where it was stopped. With
`--platform cuda` both sides run on the same GPU; set XLA_PYTHON_CLIENT_PREALLOCATE=false, so that JAX leaves room.
"""

import functools
import pickle
from typing import Any

import jax
import numpy as np
import tyro

import xaijax
from benchmarks.common.record import RESULTS
from benchmarks.peers.contest import Subject, timed
from benchmarks.peers.figures import Figures
from benchmarks.peers.findings import explained, gather
from benchmarks.peers.journal import Journal
from benchmarks.peers.memory import Job, peak_memory
from benchmarks.peers.options import Options
from benchmarks.peers.original import Original, Source, fastest
from benchmarks.peers.own import explain_together, own_methods
from benchmarks.peers.packages import peers
from benchmarks.peers.protocol import Protocol
from benchmarks.peers.report import write_report
from benchmarks.peers.subjects import subjects as read_subjects

PARITY = {"cpu": 1e-3, "cuda": 5e-2}
"""How far the logits of both sides may differ; on a GPU convolutions may round their inputs."""


def main(options: Options) -> None:
    if (jax.default_backend() == "gpu") != (options.platform == "cuda"):
        raise SystemExit(
            f"JAX runs on {jax.default_backend()}, the peers on {options.platform}; both must be the same."
        )
    classifier = xaijax.models.load(options.model, options.weights)
    journal = Journal(RESULTS / f"{options.stem}.jsonl", options.measured)
    subjects = read_subjects(classifier, options)
    source = Source(options.model, options.weights, classifier.mean, classifier.std, options.platform)
    found = journal.once(lambda: _tune(source, subjects[0]), kind="tuning")
    documented, tuned = Original(source), Original(source, **found["best"])
    parity = max(check_parity(classifier, original, subjects, options) for original in (documented, tuned))
    settings = {name: getattr(options, name) for name in ("samples", "captum_samples", "coalitions", "seed")}
    contestants = [
        *own_methods(classifier, options),
        *peers(documented, tuned, **settings),
    ]
    contestants = [each for each in contestants if not options.methods or each.method in options.methods]
    quoted = Protocol(classifier, journal, options).run(contestants, subjects)
    journal.once(lambda: _together(classifier, subjects, options), kind="together")
    told = [each for each in contestants if quoted.get(each.method, each.setting) == each.setting]
    firsts = {each.method: each for each in reversed(told)}  # at its lowest budget: the micro-batch bounds the memory
    for each in firsts.values() if options.memory else ():
        job = Job(each.key, each.side, subjects[0], source, found["best"], settings, pickle.dumps(options))
        journal.once(functools.partial(peak_memory, job), kind="memory", **each.key)
    figures = Figures(explained(journal, contestants, subjects), quoted, options.judged_by)
    findings = gather(figures, journal, contestants, subjects, options, quoted=quoted) | {"parity": parity}
    write_report(options.stem, figures, findings)


def check_parity(classifier: xaijax.Classifier, original: Original, subjects: list[Subject], options: Options) -> float:
    """Returns the largest difference of the logits of both sides, which must be next to none."""
    differences = []
    for subject in subjects:
        images = subject.pixels[None]
        differences.append(np.abs(np.asarray(classifier(images.astype(np.float32) / 255)) - original.logits(images)))
    largest = float(np.max(differences))
    if largest > PARITY[options.platform]:
        raise SystemExit(f"The logits of both sides differ by {largest:.1e}; the weights are not of the same network.")
    return float(f"{largest:.1e}")


def _tune(source: Source, subject: Subject) -> dict[str, Any]:
    best, times = fastest(source, subject.pixels)
    return {"best": best, "times": times}


def _together(classifier: xaijax.Classifier, subjects: list[Subject], options: Options) -> dict[str, Any]:
    batch = subjects[: options.batch]
    first, *later = (timed(lambda _: explain_together(classifier, batch, options), batch[0])[1] for _ in range(3))
    return {"images": len(batch), "first call": first, "seconds an image": sum(later) / len(later) / len(batch)}


if __name__ == "__main__":
    main(tyro.cli(Options))
