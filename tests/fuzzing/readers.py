"""What reads the files of others, as functions of their bytes: each returns, or raises one of the errors that a person
gets as a sentence. Anything else that comes out is a find.
"""

import contextlib
import functools
import re
import resource
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from xaijax import Classifier
from xaijax.cli.explained_run import read_boxes
from xaijax.models.class_names import read_labels
from xaijax.models.hub import fetch
from xaijax.models.pickled import read_checkpoint
from xaijax.models.weights import read_file
from xaijax.models.zoo import load, save
from xaijax.runtime.input.decode import UnreadableImageError, decode_image
from xaijax.runtime.input.listing import find_sources
from xaijax.runtime.output.in_flight import InFlight
from xaijax.runtime.output.record import read_record
from xaijax.runtime.output.result_lines import parse_line

READ = 20
"""Images of a list, an archive or an array that are read at most."""


class NamelessError(AssertionError):
    """A sentence that tells neither what is wrong nor what to do."""


@contextlib.contextmanager
def one_sentence():
    """Takes the errors that a person gets as a sentence, and raises where it is none."""
    try:
        yield
    except (ValueError, UnreadableImageError) as error:
        check_sentence(str(error))


def check_sentence(text):
    """Raises unless a text names a cause and, after a semicolon, a remedy, or is a whole sentence."""
    if len(text.split()) < 4 or not re.search(r"[.:\]}]\s*$|; ", text, re.DOTALL) or "Traceback" in text:
        raise NamelessError(repr(text))


def image(content):
    with one_sentence():
        decoded = decode_image(content, "x.png", 3)
        assert decoded.mode == "RGB"
        assert np.asarray(decoded).shape == (decoded.height, decoded.width, 3)


def _file(suffix, read):
    """Returns a reader of files with a suffix; `read` takes the path."""

    def run(content):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"x{suffix}"
            path.write_bytes(content)
            with one_sentence():
                read(path)

    return run


def _sources(path):
    for source in find_sources([path])[:READ]:
        with contextlib.suppress(UnreadableImageError):
            if "://" not in source.name:
                source.read()
        if source.error:
            check_sentence(source.error)


def _record(path):
    path.rename(path.with_name("run.json"))
    read_record(path.parent)


def _config(path):
    """Reads it as that of a repository on the hub, which is not asked."""
    with mock.patch("huggingface_hub.hf_hub_download", return_value=path):
        published = fetch("owner/repo")
    Classifier.from_function(str, None, **{"num_classes": published.num_classes or 3} | published.facts)


def _saved(path):
    """Reads it as that of a model that was saved."""
    path.rename(path.with_name("config.json"))
    shutil.copy(_weights(), path.parent / "model.safetensors")
    load("scenes-resnet", path.parent)


@functools.cache
def _weights():
    """Returns the weights of a small model that was saved."""
    folder = Path(tempfile.mkdtemp())
    save(load("scenes-resnet"), folder)
    return folder / "model.safetensors"


def _line(content):
    row = parse_line(content)
    assert row is None or isinstance(row["path"], str)


def _in_flight(path):
    notes = InFlight(path, readers=1)
    assert not notes.suspects & notes.set_aside


READERS: dict[str, Callable[[bytes], None]] = {
    "image": image,
    "tar": _file(".tar", _sources),
    "npy": _file(".npy", _sources),
    "npz": _file(".npz", _sources),
    "txt": _file(".txt", _sources),
    "jsonl": _file(".jsonl", _sources),
    "weights": _file(".safetensors", read_file),
    "pth": _file(".pth", read_checkpoint),
    "labels": _file(".txt", lambda path: read_labels(path, 3)),
    "labels-json": _file(".json", lambda path: read_labels(path, 3)),
    "config": _file(".json", _config),
    "saved": _file(".json", _saved),
    "boxes": _file(".csv", read_boxes),
    "record": _file(".json", _record),
    "line": _line,
    "in-flight": _file(".reading", _in_flight),
}
"""By name; a file of the corpus begins with the name and a dot."""


def bound_memory(size=6 << 30):
    """Makes the process fail, rather than the machine, where a reader asks for more memory than `size` bytes."""
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
