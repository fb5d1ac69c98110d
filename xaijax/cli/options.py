"""What the commands of the command line take."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from xaijax.methods.names import MethodName
from xaijax.models.catalogue import is_embedded, names
from xaijax.runtime.layout import Save
from xaijax.runtime.partition import BLOCK

LAUNCH = {
    "slurm": "slurm_array.sh",
    "kubernetes": "kubernetes_indexed_job.yaml",
    "tpu": "tpu_slice.sh",
    "xpk": "xpk.sh",
}
"""The files that start a run on a cluster, in the folder `launch`."""

DEMO_NETWORK = "efficientnet_lite0"
"""The network that the extra `demo` installs."""

FREE = (
    *("images", "out", "save", "batch_size", "cache", "dry_run"),
    *("engine", "processes", "process_index", "block_size", "retry_errors", "log_json", "profile", "prune"),
    "allow_version_change",
)
"""Options of `explain` that another start of a run may change."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What to explain of each image, and with which classifier.

    Attributes:
        model: a name that `xaijax models` lists.
        weights: safetensors or .pth file of the model, or a folder that xaijax.models.save wrote; embedded models need
            none.
        method: how to explain.
        target: class to explain: predicted, its number, or its label; or top3 (any number), a line each.
        against: what the class is contrasted with: others, runner-up (the most probable other), a number, or a label.
        labels: text file with a class's label a line.
        num_classes: classes of the weights; by default as published.
        mean: per channel, of [0, 1] pixels; by default as published.
        std: per channel, of [0, 1] pixels; by default as published.
        padding: symmetric as in PyTorch, same as in TensorFlow; by default as published.
        dtype: of the forward pass; bfloat16 for GPU and TPU, its logits are float32.
        seed: the same seed gives the same explanation.
        batch_size: images searched at a time, on all devices together; auto takes 8, or 4 a core if these are more, and
            64 a device elsewhere.
    """

    model: str = "mobilenet_v2"
    weights: str | None = None
    method: MethodName = "elime"
    target: str = "predicted"
    against: str = "others"
    labels: Path | None = None
    num_classes: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    padding: Literal["symmetric", "same"] | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    batch_size: int | Literal["auto"] = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainOptions(RunOptions):
    """Explains image files and writes a folder of results; the same command again resumes.

    Attributes:
        images: image files, folders of them, globs, lists (.txt, .jsonl), .tar shards, .npy or .npz arrays, URLs.
        out: folder for the results.
        save: what to write beside results.jsonl: files an image, or for very many images masks and scores packed in
            shards of a thousand; full-size is the whole photograph with its mask.
        dry_run: tell what there is to do and how long it takes, and write nothing.
        cache: keep compiled programs in the user's cache folder, so that a second start does not compile again.
        engine: local explains in this process; ray in actors of a Ray cluster (RAY_ADDRESS, or else this machine's),
            whose nodes may come and go.
        processes: that share the run, started by the same command with the same folder; auto asks the scheduler (a
            SLURM array or srun, Open MPI). The last to end writes results.jsonl. With ray this one command starts them;
            auto, the default there, is one a GPU, or one a node, also of a cluster that grows.
        process_index: number of this process, from 0; by default the scheduler's.
        block_size: images in a row that one of several processes takes.
        prune: drop the explanations of images that are not named now, and their files; they stay otherwise.
        retry_errors: try images again that an earlier start could not explain.
        allow_version_change: go on with a run that another version of xaijax or JAX began; the lines say which made
            them.
        log_json: tell the progress in lines of JSON on standard error.
        profile: folder for a trace by JAX's profiler, to be opened in Perfetto or TensorBoard; the rate is then also
            reported as a share of what the devices can do.
    """

    images: Annotated[tuple[str, ...], tyro.conf.Positional]
    out: Path
    save: tuple[Save, ...] = ("masks", "scores", "overlays")
    dry_run: bool = False
    cache: bool = True
    engine: Literal["local", "ray"] = "local"
    processes: int | Literal["auto"] | None = None
    process_index: int | None = None
    block_size: int = BLOCK
    prune: bool = False
    retry_errors: bool = False
    allow_version_change: bool = False
    log_json: bool = False
    profile: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class WarmupOptions(RunOptions):
    """Compiles what `explain` with the same options needs and keeps it in the cache, for the processes of a cluster."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """Explains photographs with EfficientNet-Lite0 (extra demo), or generated scenes with an embedded classifier.

    Attributes:
        out: folder for the pictures and index.html.
        model: the classifier; auto takes EfficientNet-Lite0 where it is installed, with photographs.
        images: scenes to explain; by default 16. The photographs are three.
        seed: of the scenes and the search.
        cache: keep compiled programs in the user's cache folder, so that a second start does not compile again.
    """

    out: Path = Path("xaijax-demo")
    model: Literal[("auto", DEMO_NETWORK, *(name for name in names() if is_embedded(name)))] = "auto"  # type: ignore[valid-type]
    images: int | None = None
    seed: int = 0
    cache: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Prints the metrics of a finished run and writes them to metrics.json in its folder.

    Attributes:
        folder: of the run.
        steps: of the insertion and deletion curves; 224 as in RISE, 32 is fast.
        fill: what stands where a mask is 0; by default the run's own.
        fills: what maps and masks are judged under, separated by commas: fills as for the methods, and elsewhere, the
            same place in another photograph of the run.
        weights: of the model, where they are no longer where the run found them.
        boxes: CSV file with the columns name, x0, y0, x1, y1 in pixels of the crop, for the localisation metrics.
        batch_size: images measured at a time.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    steps: int = 32
    fill: str | None = None
    fills: str = "black,blur,image-mean,elsewhere"
    weights: str | None = None
    boxes: Path | None = None
    batch_size: int = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Draws index.html of a finished run again.

    Attributes:
        folder: of the run.
    """

    folder: Annotated[Path, tyro.conf.Positional]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """Tells how far a run is: images done, failed and left.

    Attributes:
        folder: of the run.
    """

    folder: Annotated[Path, tyro.conf.Positional]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelsOptions:
    """Lists what can be loaded, and from where."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """Prints a file that starts a run on a cluster, to be changed where it says so: `xaijax launch slurm > job.sh`.

    Attributes:
        where: a SLURM array, an Indexed Job of Kubernetes, the hosts of a TPU slice, or the same by xpk.
    """

    where: Annotated[Literal[tuple(LAUNCH)], tyro.conf.Positional]  # type: ignore[valid-type]
