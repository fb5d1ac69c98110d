"""A loss of power: what was not synced is gone, and no line speaks of files that are."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.runtime.run_files import contents
from xaijax import ELIME, Grid
from xaijax.runtime.input.sources import Source
from xaijax.runtime.job import Job
from xaijax.runtime.layout import RESULTS
from xaijax.runtime.output.journal import Journal
from xaijax.runtime.run import run

pytestmark = [
    pytest.mark.quick_compile,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what is synced is found in /proc"),
]


class Disk:
    """What of a folder outlives a loss of power: content as of a file's last sync, names as of their folder's.

    Attributes:
        moments: how often something was synced.
    """

    def __init__(self, folder, monkeypatch):
        self.folder, self.moments = folder, 0
        self._content, self._names = {}, {}
        self._sync = os.fsync
        self._lost_at, self.image = None, None
        monkeypatch.setattr(os, "fsync", self._synced)

    def lose_power_at(self, moment, image):
        """Writes what is left just after the sync of this number to the folder `image`."""
        self._lost_at, self.image = moment, image

    def _synced(self, descriptor):
        self._sync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self._names[path.stat().st_ino] = {
                name.name: (name.lstat().st_ino, name.is_dir()) for name in path.iterdir()
            }
        else:
            self._content[os.fstat(descriptor).st_ino] = path.read_bytes()
        self.moments += 1
        if self.moments == self._lost_at:
            self._restore(self.folder.stat().st_ino, self.image)

    def _restore(self, folder, image):
        image.mkdir()
        for name, (node, is_folder) in self._names.get(folder, {}).items():
            if is_folder:  # empty where it was never synced itself
                self._restore(node, image / name)
            else:
                (image / name).write_bytes(self._content.get(node, b""))  # a name without content


@pytest.fixture(scope="module")
def images(tmp_path_factory, toy_images):
    folder = tmp_path_factory.mktemp("photos")
    for index, image in enumerate(toy_images[:6]):
        Image.fromarray(image).save(folder / f"{index}.png")
    (folder / "3.png").write_bytes(b"damaged")
    return [Source(str(path)) for path in sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def job(toy_classifier):
    method = ELIME(evaluations=30, segmentation=Grid(4, 4), fill="black", max_segments=32)
    save = ("masks", "scores", "packed")
    return Job(classifier=toy_classifier, method=method, target=-1, seed=3, batch_size=2, save=save, settings={})


@pytest.fixture(scope="module")
def expected(images, job, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    run(images, job, out)
    return contents(out)


def check_lines(out, job):
    """Every line that is there has its files, whole, with what was in them."""
    journal = Journal(out, rows_per_image=1)
    assert not journal.damaged
    for rows in journal.rows(list(journal.paths)):
        for row in rows:
            for kind, size in row.get("saved", {}).items():
                folder = out / kind
                file = folder / f"{row['shard']:06d}.jsonl.gz" if kind == "packed" else None
                file = file or next(path for path in folder.iterdir() if path.stem == row["files"])
                assert file.stat().st_size == size > 0
            if "saved" in row and "masks" in row["saved"]:
                with Image.open(out / "masks" / f"{row['files']}.png") as mask:
                    assert np.asarray(mask).mean() == pytest.approx(row["area"], abs=1e-6)
    return set(journal.paths)


@pytest.mark.slow
def test_no_line_outlives_its_files_whenever_power_is_lost(images, job, expected, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        disk = Disk(tmp_path / "counted", patch)
        run(images, job, tmp_path / "counted")
    assert disk.moments > 20
    known = 0
    for moment in range(1, disk.moments + 1):
        out, image = tmp_path / f"run {moment}", tmp_path / f"image {moment}"
        shutil.rmtree(tmp_path / "counted", ignore_errors=True)
        with monkeypatch.context() as patch:
            disk = Disk(out, patch)
            disk.lose_power_at(moment, image)
            run(images, job, out)
        found = check_lines(image, job) if image.exists() else set()
        if moment % 4 == 0 and image.exists():  # each goes on; some are run to their end
            for file in image.glob("blocks/*.alive"):  # of a process of the machine as it was before
                file.unlink()
            run(images, job, image)
            assert contents(image) == expected
        known = max(known, len(found))
        for folder in (out, image):
            shutil.rmtree(folder, ignore_errors=True)
    assert known == len(images)


def test_a_journal_line_is_on_disk_once_it_is_added(images, job, tmp_path, monkeypatch):
    """Between two syncs nothing that was said to be written is lost: the lines of a batch outlive it."""
    disk = Disk(tmp_path / "out", monkeypatch)
    seen, original = [], Journal.add

    def add(journal, block, rows):
        original(journal, block, list(rows))
        image = tmp_path / f"image {len(seen)}"
        disk._restore((tmp_path / "out").stat().st_ino, image)
        seen.append(check_lines(image, job))

    monkeypatch.setattr(Journal, "add", add)
    run(images, job, tmp_path / "out")
    assert [len(paths) for paths in seen] == sorted({len(paths) for paths in seen})
    assert seen[-1] == {source.name for source in images}


def test_the_end_of_a_run_is_on_disk_before_its_journals_go(images, job, tmp_path, monkeypatch):
    disk = Disk(tmp_path / "out", monkeypatch)
    left, original = [], Path.unlink

    def unlink(path, *arguments, **options):
        if path.suffix == ".jsonl":
            image = tmp_path / "image"
            disk._restore((tmp_path / "out").stat().st_ino, image)
            left.append([json.loads(line)["path"] for line in (image / RESULTS).read_text().splitlines()])
            check_lines(image, job)
            shutil.rmtree(image)
        original(path, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", unlink)
    run(images, dataclasses.replace(job, batch_size=2), tmp_path / "out")
    assert left == [[source.name for source in images]]
