"""A picture is of the kind that its name asks for, whole or not there, and needs nothing from anywhere."""

import re
import struct
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import altair as alt
import pytest
from tables import make_frame

from sweep.errors import MachineError, UsageError
from sweep.report.chart import findings_chart
from sweep.report.findings import Findings
from sweep.report.picture import Picture, PictureKind, rendered

HOSTILE = "x[/y] <b> ${} datum.x \x1b </script><script src='http://localhost/x.js'></script>"


@pytest.fixture(scope="module")
def chart() -> alt.LayerChart:
    rows = [
        {"recipe": recipe, "ratio": ratio, "train_seconds": 100 * ratio, "accuracy": 0.9 + ratio / 100, "seed": seed}
        for recipe in (HOSTILE, "plain")
        for ratio in (0.25, 0.5, 1.0)
        for seed in (0, 1)
    ]
    return findings_chart(Findings(HOSTILE, make_frame(*rows), 0.5))


@pytest.mark.parametrize("name", ["a.png", "b.SVG", "c.d.pdf", "e.Html"])
def test_the_kind_is_known_from_the_name(name: str) -> None:
    assert Picture.parse(Path(name)).kind == name.lower().rpartition(".")[2]


@pytest.mark.parametrize("name", ["a", "a.jpg", "png", ".png", "a.png/b", "a.png.gz", ""])
def test_another_name_is_refused_with_the_four_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(".png, .svg, .pdf, .html")):
        Picture.parse(Path(name))


def test_a_png_is_800_pixels_wide(chart: alt.LayerChart) -> None:
    content = rendered(chart, PictureKind.PNG)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert width == 800
    assert height > 400


def test_an_svg_is_xml_with_the_names_as_text_and_nothing_to_load(chart: alt.LayerChart) -> None:
    root = ET.fromstring(rendered(chart, PictureKind.SVG))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("width") == "800"
    texts = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("x[/y] <b> ${} datum.x \\x1b") for text in texts)
    assert not {element.tag.rpartition("}")[2] for element in root.iter()} & {"script", "image", "a", "foreignObject"}


def test_a_pdf_has_its_header_and_its_end(chart: alt.LayerChart) -> None:
    content = rendered(chart, PictureKind.PDF)
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")


class Tags(HTMLParser):
    """All tags of a page, and the text of its title."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_a_page_loads_nothing_and_a_name_does_not_end_its_script(chart: alt.LayerChart) -> None:
    page = rendered(chart, PictureKind.HTML).decode()
    parser = Tags()
    parser.feed(page)
    assert [tag for tag, _ in parser.tags] == [
        *("html", "head", "meta", "meta", "title", "script", "body", "div", "script")
    ]
    assert not [attributes for _, attributes in parser.tags if {"src", "href"} & set(attributes)]
    policy = parser.tags[3][1]["content"] or ""
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert "vegaEmbed(" in page


def test_the_file_is_replaced_as_a_whole(chart: alt.LayerChart, tmp_path: Path) -> None:
    path = tmp_path / "curve.svg"
    path.write_text("old")
    Picture.parse(path).write(chart)
    assert ET.fromstring(path.read_bytes()).get("width") == "800"
    assert [found.name for found in tmp_path.iterdir()] == ["curve.svg"]


def test_a_place_that_cannot_be_written_is_said(chart: alt.LayerChart, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.svg", tmp_path / "none" / "a.svg"):
        with pytest.raises(MachineError, match=r"a\.svg: cannot be written: .* \(.*choose another place"):
            Picture.parse(path).write(chart)
