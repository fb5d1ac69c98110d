"""The page of a run: every image in it, nothing run by it."""

import html.parser
from urllib.parse import unquote

import pytest
from PIL import Image

from xaijax.atomic_files import atomic_write, write_json, write_picture
from xaijax.report import html_page
from xaijax.runtime.layout import RESULTS, RUN
from xaijax.runtime.output.page_file import write_page
from xaijax.runtime.output.record import FORMAT
from xaijax.runtime.output.result_lines import json_lines

FIGURES = {"target": 3, "original_probability": 0.6, "area": 0.25, "cp_score": 3.2, "evaluations": 240}
FIGURES |= {"status": "It ended.", "files": "none"}
ROWS = [
    {"path": "photos/a.png", "label": "beagle", "probability": 0.8, **FIGURES},
    {
        "path": "photos/<b>&.png",
        "label": '<script>alert("1")</script>',
        "probability": 0.5,
        **FIGURES,
    },
    {"path": "caf\udce9.png", "error": "caf\udce9.png is <truncated>; fetch it again."},
]


def write_run(folder, rows=ROWS, **figures):
    told = {"images": len(rows), "unlisted": 0, "list": "", "folder": None}
    write_json(folder / RUN, {"format": FORMAT, "settings": {"model": "<resnet>"}, **told, **figures})
    atomic_write(folder / RESULTS, json_lines(rows))


class Reader(html.parser.HTMLParser):
    """Collects the tags, the text and the addresses of a page as a browser reads them."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words, self.sources, self.texts = [], "", [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        self.texts += [value for name, value in attrs if name == "alt"]

    def handle_data(self, data):
        self.words += data


def test_the_page_says_what_the_run_found(tmp_path):
    write_run(tmp_path)
    words = Reader(write_page(tmp_path)).words
    assert "2 of 3 images explained; probability raised in 1; mean area 25%." in words
    assert "beagle: probability 0.600 on the whole image, 0.800 on 25% of its pixels; CP score 3.20" in words
    assert words.count("It ended.") == 2
    assert "0: photos/a.png" in words


def test_a_page_of_a_million_shows_the_first_and_counts_all(tmp_path, monkeypatch):
    monkeypatch.setattr(html_page, "SHOWN", 2)
    write_run(tmp_path, ROWS[:2] + [ROWS[0] | {"path": f"{number}.png"} for number in range(1000)])
    told = Reader(write_page(tmp_path))
    assert "1002 of 1002 images explained; probability raised in 1001; mean area 25%" in told.words
    assert "the first 2 of 1,002 explanations follow" in told.words
    assert told.tags.count("figure") == 2


def test_names_are_shown_and_never_run(tmp_path):
    write_run(tmp_path, [ROWS[0], {**ROWS[1], "files": "000001_b"}, ROWS[2]])
    write_picture(tmp_path / "overlays/000001_b.png", Image.new("RGB", (2, 2)))
    page = Reader(write_page(tmp_path))
    assert page.tags.count("figure") == len(ROWS)
    assert not {"script", "resnet", "truncated"} & set(page.tags)
    assert "What <resnet> saw" in page.words
    assert "photos/<b>&.png" in page.words
    assert '<script>alert("1")</script>: probability' in page.words
    assert page.texts[0].startswith('<script>alert("1")</script>: original')


def test_an_error_stands_beside_its_image(tmp_path):
    write_run(tmp_path)
    words = Reader(write_page(tmp_path)).words
    assert "caf\\udce9.png: caf\\udce9.png is <truncated>; fetch it again." in words


@pytest.mark.parametrize("name", ["000001_b.png", '000001_50% #1? "b".png'])
def test_each_picture_is_found_from_the_page(tmp_path, name):
    write_run(tmp_path, [{**ROWS[0], "files": name.removesuffix(".png")}, *ROWS[1:]])
    write_picture(tmp_path / "overlays" / name, Image.new("RGB", (2, 2)))
    write_picture(tmp_path / "overlays/of the user.png", Image.new("RGB", (2, 2)))
    (source,) = Reader(write_page(tmp_path)).sources
    assert not set(source) & set('#? "')
    assert (tmp_path / unquote(source)).read_bytes() == (tmp_path / "overlays" / name).read_bytes()


def test_a_run_of_errors_alone_has_a_page(tmp_path):
    write_run(tmp_path, ROWS[2:])
    assert "0 of 1 images explained." in Reader(write_page(tmp_path)).words


@pytest.mark.parametrize("missing", [(RUN, RESULTS), (RESULTS,), (RUN,)])
def test_a_folder_without_a_finished_run_is_refused(tmp_path, missing):
    write_run(tmp_path)
    for name in missing:
        (tmp_path / name).unlink()
    with pytest.raises(
        ValueError, match=r"holds no (finished run; run `xaijax explain` to its end|run; name the folder)"
    ):
        write_page(tmp_path)
    assert not (tmp_path / "index.html").exists()
