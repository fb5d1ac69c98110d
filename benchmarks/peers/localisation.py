"""Whether maps lie on the object: pointing game and overlap, of methods and packages, paired by photograph.

    python -m benchmarks.peers.localisation .../imagenet_val_boxes .../davis_masks --weights FILE --count 200

Both folders say where the object is, the first by a box, the second by its pixels. Each map is judged by its highest
score, on the object or at most 15 pixels beside it, by the share of its positive scores on the object, and by the
overlap of as many highest scores as the object has pixels. Packages run as they are documented. Rows go to a journal,
so that the same command goes on where it was stopped; differences are from E-LIME with its default fill at the largest
budget.
"""

import dataclasses
from typing import Any

import numpy as np
import tyro

import xaijax
from benchmarks.common.compare import less, mean_of, verdict
from benchmarks.common.record import RESULTS, plain_options, write_record
from benchmarks.peers import options as peer_options
from benchmarks.peers.contest import DOCUMENTED, Contestant, Subject, timed
from benchmarks.peers.journal import Journal, Row
from benchmarks.peers.judge import highest
from benchmarks.peers.original import Original, Source
from benchmarks.peers.own import ELIME, own_methods
from benchmarks.peers.packages import peers
from benchmarks.peers.subjects import subjects
from xaijax.metrics import energy_pointing_game, overlap, pointing_game

METRICS = {
    "pointing": "pointing game, 15 pixels",
    "on object": "pointing game, on the object",
    "energy": "share of positive scores on the object",
    "iou": "IoU at the object's area",
}
PACKAGES = ("lime", "shap partition", "captum occlusion", "grad-cam")
"""That run beside xaijax's methods."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(peer_options.Options):
    """Measures where maps lie."""

    budgets: tuple[int, ...] = (250,)
    count: int = 200
    samples: int = 1000

    @property
    def stem(self) -> str:
        """Name of what is written."""
        return self.name or f"localisation_{self.model}"


def located(score: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """Returns the figures of a map `[H, W]` on an object `[H, W]` bool."""
    scores, objects = score[None], seen[None]
    figures = {
        "pointing": pointing_game(scores, objects),
        "on object": pointing_game(scores, objects, tolerance=0),
        "energy": energy_pointing_game(scores, objects),
        "iou": overlap(highest(score, int(seen.sum()))[None], objects).iou,
    }
    return {name: round(float(values[0]), 6) for name, values in figures.items()}


def measure(contestant: Contestant, subject: Subject) -> Row:
    """Returns the row of a contestant on a subject."""
    answer: Any
    answer, seconds = timed(contestant.explain, subject)
    assert subject.object is not None
    told = {"passes": answer.passes, "seconds": round(seconds, 3)}
    return told | located(np.asarray(answer.score, np.float32), subject.object)


def figures(rows: list[Row]) -> list[dict[str, Any]]:
    """Returns a line for each method: means with intervals, and differences from E-LIME's, paired by photograph."""
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        by_method.setdefault(row["method"], []).append(row)
    found = []
    for method, own in by_method.items():
        entry: dict[str, Any] = {"method": method, "images": len(own)}
        entry["passes"] = round(float(np.mean([row["passes"] for row in own])), 1)
        for name in METRICS:
            here, there = ({row["image"]: row[name] for row in each} for each in (own, by_method.get(ELIME, [])))
            difference = mean_of(less(here, there))
            entry[name] = {"mean": mean_of(here)}
            if method != ELIME:
                entry[name] |= {"less elime's": difference, "than elime's": verdict(difference, 1, len(own))}
        found.append(entry)
    return found


def table(entries: list[dict[str, Any]]) -> str:
    """Returns Markdown: a line for each method."""
    lines = [["method", "photographs", "passes", *METRICS.values()], ["---"] * (3 + len(METRICS))]
    for entry in entries:
        cells = [entry["method"], str(entry["images"]), f"{entry['passes']:.0f}"]
        for name in METRICS:
            cell = "{:.3f} ({:.3f} to {:.3f})".format(*entry[name]["mean"])
            said = entry[name].get("than elime's")
            cells.append(cell if said is None else f"{cell}: {said}")
        lines.append(cells)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main(options: Options) -> None:
    classifier = xaijax.models.load(options.model, options.weights)
    journal = Journal(RESULTS / f"{options.stem}.jsonl", options.measured)
    chosen = [subject for subject in subjects(classifier, options) if subject.object is not None]
    original = Original(Source(options.model, options.weights, classifier.mean, classifier.std, options.platform))
    settings = {name: getattr(options, name) for name in ("samples", "captum_samples", "coalitions", "seed")}
    packages = [each for each in peers(original, original, **settings) if each.setting == DOCUMENTED]
    contestants = [*own_methods(classifier, options), *(each for each in packages if each.method in PACKAGES)]
    contestants = [each for each in contestants if not options.methods or each.method in options.methods]
    for subject in chosen:
        for contestant in contestants:
            journal.once(
                lambda contestant=contestant, subject=subject: measure(contestant, subject),
                kind="located",
                image=subject.name,
                **contestant.key,
            )
    names = {subject.name for subject in chosen}
    entries = figures([row for row in journal.all(kind="located") if row["image"] in names])
    write_record(options.stem, {"settings": plain_options(options), "figures": entries}, show=False)
    heading = (
        f"# Where maps lie: {options.model}\n\nBetter, worse or no difference seen: than E-LIME's, by photograph.\n"
    )
    (RESULTS / f"{options.stem}.md").write_text(f"{heading}\n{table(entries)}")
    print(table(entries))


if __name__ == "__main__":
    main(tyro.cli(Options))
