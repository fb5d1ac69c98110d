"""Inputs: which images each kind stands for."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
    (tmp_path / "folder").mkdir()
    for name, message in {
        "folder": r"folder .* holds no image; the suffixes are \.avif, \.bmp, .*\.webp\.$",
        "gone.png": r"gone\.png' does not exist; check the path\.$",
        "*.gif": "does not exist; check the path",
        "empty.txt": "list .* holds no image",
    }.items():
        with pytest.raises(ValueError, match=message):
            find_sources([tmp_path / name])


BAD_LINES = {
    b'["a.png"]': "is no JSON object with a path; correct or remove it",
    b'{"path": 7}': "has the path 7, which no file can have",
    b'{"path": "a\\u0000.png"}': ".*which no file can have",
    b'{"path": "a\\ud800.png"}': ".*which no file can have",
    b'{"path": ""}': ".*which no file can have",
    b'{"path": "a.png", "id": "seven"}': "has the id 'seven', which is no integer",
    b'{"path": "a.png", "target": ["cat"]}': r"has the target \['cat'\], which is no class",
    b'{"path": "a.png", "target": true}': "has the target True, which is no class",
    b"[" * 100_000: "is no JSON object",
    b'{"path": ' + b"9" * 5000 + b"}": "is no JSON object",
}


@pytest.mark.parametrize("line", BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_of_a_list_costs_no_other_its_image(photos, line):
    (photos / "list.jsonl").write_bytes(b'{"path": "a.png"}\n' + line + b'\r\n{"path": "deep/c.png"}\n')
    first, bad, last = find_sources([photos / "list.jsonl"])
    assert (first.name, last.name) == (str(photos / "a.png"), str(photos / "deep/c.png"))
    assert bad.name == f"{photos / 'list.jsonl'}:2"
    for read in (bad.read, lambda: bad.identify(by_content=True)):
        with pytest.raises(UnreadableImageError, match=rf"^line 2 of '.*list\.jsonl' {BAD_LINES[line]}"):
            read()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_may_begin_with_a_byte_order_mark(photos, encoding):
    (photos / "list.txt").write_bytes("a.png\r\nb.PNG\r\n".encode(encoding))
    assert names_of(find_sources([photos / "list.txt"])) == [str(photos / "a.png"), str(photos / "b.PNG")]


def test_a_list_in_another_encoding_names_the_files_of_these_bytes(photos):
    name = "Z\u00fcrich.png".encode("latin-1")
    try:
        os.rename(photos / "a.png", os.fsencode(photos) + b"/" + name)
    except OSError:
        pytest.skip("this file system takes no names in Latin-1")
    (photos / "list.txt").write_bytes(name + b"\nb.PNG\n")
    first, second = find_sources([photos / "list.txt"])
    np.testing.assert_array_equal(first.read()[0], PIXELS[0])
    assert second.name == str(photos / "b.PNG")


def make_tar(path, *names):
    """Writes a tar file with an image of each name."""
    content = io.BytesIO()
    Image.fromarray(PIXELS[0]).save(content, "png")
    with tarfile.open(path, "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(content.getvalue())
            tar.addfile(member, io.BytesIO(content.getvalue()))
    return path


def test_a_damaged_archive_costs_no_other_image_its_result(photos, tmp_path):
    whole = make_tar(tmp_path / "whole.tar", "a.png", "b.png", "a.png").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:1000])
    (tmp_path / "garbled.tar").write_bytes(whole[:1024] + b"x" * 512 + whole[1536:])
    (tmp_path / "no.tar").write_bytes(b"no tar" * 200)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    with open(tmp_path / "pax.tar", "wb") as file:  # sparse: it takes no room
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.truncate(1 << 40)
    np.savez(tmp_path / "whole.npz", PIXELS)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:300])
    (tmp_path / "no.npy").write_bytes(b"no array")
    np.save(tmp_path / "flat.npy", np.zeros(4))
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as bomb, bomb.open("images.npy", "w") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (1 << 16, 224, 448, 3)}
        np.lib.format.write_array_header_1_0(file, header)
    expected = {
        "cut.tar": "is no uncompressed tar file (unexpected end of data)",
        "garbled.tar": "",
        "no.tar": "is no uncompressed tar file",
        "pax.tar": "is no uncompressed tar file (a header of more than",
        "cut.npz": "holds no array of images",
        "no.npy": "holds no array of images",
        "bomb.npz": "holds no array of images",
        "flat.npy": "shape (4,)",
        "short.npy": "ends after 2 of its 3 rows",
        "endless.npy": "ends after 0 of its 1,000,000,000,000 rows",
        "nothing.npy": "shape (1000000000000, 0, 4)",
    }
    np.save(tmp_path / "short.npy", PIXELS)
    os.truncate(tmp_path / "short.npy", 128 + 2 * PIXELS[0].size)
    for name, shape in {"endless.npy": (10**12, 224, 224, 3), "nothing.npy": (10**12, 0, 4)}.items():
        with open(tmp_path / name, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    found = find_sources([photos / "a.png", *(tmp_path / name for name in expected), photos / "b.PNG"])
    np.testing.assert_array_equal(pixels_of([found[0], found[-1]]), PIXELS[:2])
    errors = {Path(source.name).name: source.error for source in found if source.error}
    for name, message in expected.items():
        assert message in errors.get(name, ""), name


def test_of_two_members_of_one_name_the_first_is_taken(tmp_path):
    shard = make_tar(tmp_path / "SHARD.TAR", "deep/a.png", "two\nlines.png", "deep/a.png")
    first, second, again = find_sources([shard])
    assert (first.name, second.name) == (f"{shard}/deep/a.png", f"{shard}/two\nlines.png")
    assert "has two members of this name, of which the first is taken" in again.error
    for source in (first, second):
        np.testing.assert_array_equal(source.read()[0], PIXELS[0])
        assert find_source(source.name) == source


def test_a_folder_may_be_named_like_a_tar_file(tmp_path):
    folder = tmp_path / "dir.tar"
    folder.mkdir()
    shard = make_tar(folder / "shard.tar", "a.png")
    Image.fromarray(PIXELS[1]).save(folder / "b.png")
    (inside,), (beside,) = find_sources([shard]), find_sources([folder])
    np.testing.assert_array_equal(inside.read()[0], PIXELS[0])
    np.testing.assert_array_equal(beside.read()[0], PIXELS[1])
    assert find_source(inside.name) == inside
    with pytest.raises(UnreadableImageError, match="does not exist"):
        find_source(str(folder / "gone.png")).read()
