"""What the fuzzing begins with, made here, and the finds that were mended, as files in `finds`."""

import functools
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from xaijax.models.catalogue import EMBEDDED

FINDS = Path(__file__).parent / "finds"
"""A file `READER.NAME` each."""

CHECKPOINTS = Path(__file__).parents[1] / "models" / "checkpoints"
"""Of PyTorch."""

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)


def examples(reader: str) -> dict[str, bytes]:
    """Returns files for a reader by their names."""
    finds = {file.name: file.read_bytes() for file in sorted(FINDS.glob(f"{reader}.*"))}
    return finds | {f"{reader}.made.{name}": content for name, content in _made().get(reader, {}).items()}


def encoded(kind: str, image: Image.Image | None = None, **options) -> bytes:
    """Returns an image in a format."""
    buffer = io.BytesIO()
    (Image.fromarray(PIXELS) if image is None else image).save(buffer, kind, **options)
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in {"a.png": encoded("PNG"), "deep/ü.jpg": encoded("JPEG"), "notes.txt": b"no"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _numpy(save, *arrays, **named) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *arrays, **named)
    return buffer.getvalue()


def _text(value) -> bytes:
    return json.dumps(value).encode()


@functools.cache
def _made() -> dict[str, dict[str, bytes]]:
    deep = Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000)
    number = Image.fromarray(np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8))
    palette = Image.fromarray(PIXELS).convert("P")
    scores = {"original_probability": 0.9, "probability": 0.9, "area": 0.5, "cp_score": 1.8, "evaluations": 3}
    row = {"path": "a.png", "target": 0, "label": "disc", "status": "Done.", "files": "0_a"} | scores
    config = {"architecture": "resnet18", "num_classes": 10, "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    config["pretrained_cfg"] |= {"input_size": [3, 224, 224], "crop_pct": 0.875, "interpolation": "bicubic"}
    record = {"format": "xaijax run 1", "settings": {}, "images": 4, "unlisted": 0, "list": "", "folder": None}
    numbers = np.stack([PIXELS] * 2)
    header = _text({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})
    return {
        "image": {
            **{kind: encoded(kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")},
            "16-bit.png": encoded("PNG", deep),
            "16-bit.tiff": encoded("TIFF", deep, compression="tiff_lzw"),
            "float.tiff": encoded("TIFF", number),
            "palette.gif": encoded("GIF", palette, transparency=3),
            "palette.png": encoded("PNG", palette, transparency=b"\0\x80\xff"),
            "turned.jpg": encoded("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"),
            "cmyk.jpg": encoded("JPEG", Image.fromarray(PIXELS).convert("CMYK")),
            "grey.pgm": encoded("PPM", Image.fromarray(PIXELS).convert("L")),
            "empty": b"",
        },
        "tar": {"tar": _tar(), "cut": _tar()[:700]},
        "npy": {
            "uint8": _numpy(np.save, numbers),
            "columns": _numpy(np.save, np.asfortranarray(numbers)),
            "float": _numpy(np.save, numbers[..., 0] / 255),
            "strings": _numpy(np.save, np.array(["a", "b"])),
        },
        "npz": {"images": _numpy(np.savez, images=numbers), "squeezed": _numpy(np.savez_compressed, numbers)},
        "txt": {"utf-8": "a.png\nü.jpg\r\n\nhttps://host/a.png\n".encode(), "utf-16": "a.png\n".encode("utf-16")},
        "jsonl": {
            "lines": b'{"path": "a.png", "target": 3, "id": 7}\n{"path": "b.png", "target": "dog"}\n',
            "nonsense": b'{"path": 7}\n[]\n{"path": "a", "target": [1]}\n{"path": "a", "id": 1e400}\n',
        },
        "weights": {"one": len(header).to_bytes(8, "little") + header + bytes(8)},
        "pth": {file.name: file.read_bytes() for file in sorted(CHECKPOINTS.glob("*.pth*"))},
        "labels": {"three": "a\nb\nü".encode()},
        "labels-json": {"list": b'["a", "b", "c"]', "object": b'{"0": "a", "1": "b", "2": "c"}'},
        "config": {"timm": _text(config)},
        "saved": {"model": (EMBEDDED / "scenes-resnet" / "config.json").read_bytes()},
        "boxes": {"named": b"name,x0,y0,x1,y1\na.png,0,0,3,4\n", "paths": b"path,x0,y0,x1,y1\na,0,0,1e3,4\n"},
        "record": {"record": _text(record), "merged": _text(record | {"journals": {"000000.jsonl": 3}})},
        "line": {
            "result": _text(row),
            "error": _text({"path": "a", "error": "It is gone."}),
            "again": b'{"path": "a", "again": true}',
        },
        "in-flight": {"two": b'["begun", "a"]\n["read", "a"]\n["suspect", "b"]\n'},
    }
