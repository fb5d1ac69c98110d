"""Checkpoints of PyTorch, read without it, and what is refused."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from xaijax.models.pickled import MAGIC, read_checkpoint

FOLDER = Path(__file__).parent / "checkpoints"
EXPECTED = dict(np.load(FOLDER / "expected.npz"))


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("zip.pth", "sd."),
        ("legacy.pth", "sd."),
        ("training.pth.tar", "sd."),
        ("views.pth", "v."),
        ("views_legacy.pth", "v."),
    ],
)
def test_tensors_are_those_that_pytorch_saved(name, prefix):
    found = read_checkpoint(FOLDER / name)
    assert [f"{prefix}{key}" for key in found] == [key for key in EXPECTED if key.startswith(prefix)]
    for key, array in found.items():
        expected = EXPECTED[f"{prefix}{key}"]
        assert array.dtype == expected.dtype or array.dtype.name == "bfloat16"
        np.testing.assert_array_equal(array.astype(expected.dtype), expected)
        assert array.flags.owndata


def test_a_module_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"asks to make torch\.nn\.modules\.container\.Sequential, which is not done"):
        read_checkpoint(FOLDER / "module.pth")


class Runs:
    """Pickled, it asks for a function to be called."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def saved(path, value):
    """Writes a pickle as PyTorch's archive holds it."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps(value, protocol=2))
    return path


def test_what_would_be_run_is_refused_by_its_name_and_not_run(tmp_path):
    victim = tmp_path / "there"
    for value in (Runs(open, str(victim), "w"), {"a": Runs(exec, "raise SystemExit")}, [Runs(__import__, "os")]):
        with pytest.raises(ValueError, match=r"asks to run .*, which is not done"):
            read_checkpoint(saved(tmp_path / "x.pth", value))
    assert not victim.exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"weight": 3}, "it holds a table of 'weight' and no table of tensors"),
        ({}, "no table of tensors"),
        ([1, 2], "it holds list and no table of tensors"),
        ({1, 2}, "asks to run (builtins|__builtin__).set"),
    ],
)
def test_what_is_no_table_of_tensors_is_said(tmp_path, value, message):
    with pytest.raises(ValueError, match=message):
        read_checkpoint(saved(tmp_path / "x.pth", value))


def changed(name, old, new):
    """Returns a checkpoint whose pickle has other bytes in the place of some."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(FOLDER / name) as source, zipfile.ZipFile(buffer, "w") as target:
        for entry in source.namelist():
            content = source.read(entry)
            if entry.endswith("data.pkl"):
                assert old in content
                content = content.replace(old, new, 1)
            target.writestr(entry, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"K\x04K\x03K\x03K\x03", b"K\x04K\x03K\x03K\x7f", "in a storage of 108 numbers"),  # a larger shape
        (b"FloatStorage", b"QUIntStorage", "a storage of torch.QUIntStorage"),
        (b"_rebuild_tensor_v2", b"_rebuild_qtensor!!", "asks to run torch._utils._rebuild_qtensor!!"),
        (b"Kl", b"M\xff\xff", "are no checkpoint of tensors"),  # a longer storage than there is
    ],
)
def test_tensors_that_cannot_be_are_said(tmp_path, old, new, message):
    path = tmp_path / "x.pth"
    path.write_bytes(changed("zip.pth", old, new))
    with pytest.raises(ValueError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle at all",
        b"\x80\x02" + b"(" * 100_000,
        b"\x80\x02" + b"]" * 100_000 + b".",
        b"\x80\x02\x8a\xff" + b"\x01" * 255 + b".",
        b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62),
        pickle.dumps(MAGIC, 2) + pickle.dumps(1000, 2),
        pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": False}, 2),
        (FOLDER / "legacy.pth").read_bytes()[:-20],
        (FOLDER / "zip.pth").read_bytes()[:-20],
        (FOLDER / "zip.pth").read_bytes()[500:],
    ],
)
def test_a_damaged_file_is_said(tmp_path, content):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^weights 'x\.pth' are (no checkpoint of tensors|a damaged archive) \("):
        read_checkpoint(path)
