"""Inputs: which images each kind stands for."""

import json
import tarfile

import numpy as np
import pytest

from tests.runtime.input.photographs import PIXELS, names_of, pixels_of
from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.listing import find_source, find_sources
from xaijax.runtime.input.sources import Source


def test_folders_stand_for_the_images_in_them_and_globs_for_what_matches(photos):
    inside = [str(photos / name) for name in ("a.png", "b.PNG", "deep/c.png")]
    found = find_sources([photos / "odd.dat", photos])
    assert names_of(found) == [str(photos / "odd.dat"), *inside]
    np.testing.assert_array_equal(pixels_of(found), PIXELS[[0, 0, 1, 2]])
    assert names_of(find_sources([f"{photos}/**/[a-c].*"])) == inside
    assert names_of(find_sources([f"{photos}/?.png"])) == inside[:1]
    assert [source.stem for source in found] == ["odd", "a", "b", "c"]


def test_an_image_is_listed_once_and_the_pictures_of_the_run_are_not(photos):
    for kind in ("masks", "overlays"):
        (photos / "run" / kind).mkdir(parents=True)
        (photos / "run" / kind / "000000_a.png").write_bytes((photos / "a.png").read_bytes())
    assert len(find_sources([photos])) == 5
    found = find_sources([photos, photos / "a.png", f"{photos}/**/*.png"], out=photos / "run")
    assert names_of(found) == [str(photos / name) for name in ("a.png", "b.PNG", "deep/c.png", "loop.png")]
    with pytest.raises(ValueError, match="holds no image but the run's own pictures"):
        find_sources([photos / "run"], out=photos / "run")
    (photos / "two.jsonl").write_text('{"path": "a.png", "target": 1}\n{"path": "a.png", "target": 2}\n')
    with pytest.raises(ValueError, match="is named twice, with another class or id"):
        find_sources([photos / "two.jsonl"])


def test_lists_name_images_beside_them_with_class_and_id(photos):
    (photos / "some.txt").write_text(f"deep/c.png\n\n{photos / 'a.png'}\ngone.png\n")
    found = find_sources([photos / "some.txt"])
    assert names_of(found) == [str(photos / name) for name in ("deep/c.png", "a.png", "gone.png")]
    with pytest.raises(UnreadableImageError, match=r"gone\.png does not exist"):
        found[2].read()
    lines = [{"path": "a.png"}, {"path": "deep/c.png", "target": 3, "id": -5}, {"path": "b.PNG", "target": "dog"}]
    (photos / "some.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert find_sources([photos / "some.jsonl"]) == [
        Source(str(photos / "a.png")),
        Source(str(photos / "deep/c.png"), target="3", id=-5),
        Source(str(photos / "b.PNG"), target="dog"),
    ]


def test_every_name_leads_back_to_its_image(photos, tmp_path):
    np.save(tmp_path / "images.npy", PIXELS)
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        tar.add(photos / "a.png", "deep/a.png")
    for source in find_sources([photos, tmp_path / "images.npy", tmp_path / "shard.tar"]):
        assert find_source(source.name) == source


def test_what_holds_no_image_is_refused(tmp_path):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "bad.jsonl").write_text('{"path": "a.png"}\n["a.png"]\n')
    (tmp_path / "id.jsonl").write_text('{"path": "a.png", "id": "seven"}\n')
    (tmp_path / "bad.tar").write_bytes(b"no tar" * 200)
    (tmp_path / "bad.npy").write_bytes(b"no array")
    np.save(tmp_path / "flat.npy", np.zeros(4))
    (tmp_path / "folder").mkdir()
    for name, message in {
        "folder": r"folder .* holds no image; the suffixes are \.bmp, .*\.webp\.$",
        "gone.png": r"gone\.png' does not exist; check the path\.$",
        "*.gif": "does not exist; check the path",
        "empty.txt": "list .* holds no image",
        "bad.jsonl": "line 2 of .* is no JSON object with a path",
        "id.jsonl": "id 'seven' in line 1",
        "bad.tar": "is no uncompressed tar file",
        "bad.npy": "holds no array of images",
        "flat.npy": r"shape \(4,\)",
    }.items():
        with pytest.raises(ValueError, match=message):
            find_sources([tmp_path / name])
