"""Inputs: what each kind stands for, and that an image is the same however it is named."""

import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.sources import Source, find_source, find_sources

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3)).astype(np.uint8)


@pytest.fixture
def photos(tmp_path):
    """A folder with three images and what is none."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name, pixels in zip(("a.png", "b.PNG", "deep/c.png"), PIXELS, strict=True):
        Image.fromarray(pixels).save(folder / name, "PNG")
    (folder / "notes.txt").write_text("no image")
    (folder / "odd.dat").write_bytes((folder / "a.png").read_bytes())
    (folder / "no-file.png").mkdir()
    (folder / "loop.png").symlink_to(folder / "loop.png")
    return folder


def pixels_of(sources):
    return [np.asarray(source.read()[0]) for source in sources]


def names_of(sources):
    return [source.name for source in sources]


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


def test_the_digest_is_that_of_the_file(photos):
    assert Source(str(photos / "a.png")).read()[1].sha256 == hashlib.sha256((photos / "a.png").read_bytes()).hexdigest()


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


def test_a_shard_stands_for_its_members(photos, tmp_path):
    shard = tmp_path / "shard-0.tar"
    with tarfile.open(shard, "w") as tar:
        for name in ("deep/c.png", "notes.txt", "a.png"):
            tar.add(photos / name, name)
        tar.addfile(tarfile.TarInfo("empty.png"), io.BytesIO())
    found = find_sources([shard])
    assert names_of(found) == [f"{shard}/{name}" for name in ("deep/c.png", "a.png", "empty.png")]
    np.testing.assert_array_equal(pixels_of(found[:2]), PIXELS[[2, 0]])
    assert found[1].read()[1].sha256 == Source(str(photos / "a.png")).read()[1].sha256
    assert found[0].stem == "c"
    assert found[0].container == str(shard)
    with pytest.raises(UnreadableImageError, match=r"empty\.png is empty"):
        found[2].read()


@pytest.mark.parametrize("kind", ["npy", "npz", "one in an npz", "floats", "grey"])
def test_an_array_stands_for_its_rows(tmp_path, kind):
    path, pixels = tmp_path / "images.npz", PIXELS
    if kind == "npy":
        path = tmp_path / "images.npy"
        np.save(path, PIXELS)
    elif kind == "npz":
        np.savez(path, labels=np.arange(3), images=PIXELS)
    elif kind == "one in an npz":
        np.savez(path, PIXELS)
    elif kind == "floats":
        np.savez(path, images=PIXELS.astype(np.float32) / 255)
    else:
        np.savez(path, images=PIXELS[..., 0])
        pixels = np.repeat(PIXELS[..., :1], 3, axis=3)
    found = find_sources([path])
    assert names_of(found) == [f"{path}[{row}]" for row in range(3)]
    assert [source.stem for source in found] == ["images_0", "images_1", "images_2"]
    np.testing.assert_array_equal(pixels_of(found), pixels)
    assert len({source.read()[1] for source in found}) == 3
    assert np.asarray(found[0].read(channels=1)[0]).shape == (6, 8)


def test_urls_are_fetched(photos):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name in ("a.png", "deep/c.png", "notes.txt"):
        memory.pipe(f"/photos/{name}", (photos / name).read_bytes())
    found = find_sources(["memory:///photos"])
    np.testing.assert_array_equal(pixels_of(found), PIXELS[[0, 2]])
    np.testing.assert_array_equal(pixels_of(find_sources([found[1].name])), PIXELS[[2]])
    with pytest.raises(ValueError, match="does not exist"):
        find_sources(["memory:///gone.png"])
    memory.rm("/photos/a.png")
    with pytest.raises(UnreadableImageError, match="cannot be fetched"):
        found[0].read()


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


def test_pixels_that_are_none_are_refused(tmp_path):
    np.save(tmp_path / "images.npy", np.full((2, 4, 4, 3), 1.5))
    with pytest.raises(UnreadableImageError, match=r"is float64 \(4, 4, 3\); give uint8"):
        find_sources([tmp_path / "images.npy"])[0].read()
