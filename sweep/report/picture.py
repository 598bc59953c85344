"""A chart as a file: PNG, SVG, PDF, or an HTML page that needs nothing but a browser.

What kind of file is asked for is known from its name, before anything is read or drawn. Nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from sweep.errors import Problem, UsageError
from sweep.store.durable import write_bytes


class PictureKind(StrEnum):
    PNG = "png"
    SVG = "svg"
    PDF = "pdf"
    HTML = "html"


@dataclass(frozen=True)
class Picture:
    """A file that a chart is drawn into."""

    path: Path
    kind: PictureKind

    @classmethod
    def parse(cls, path: Path) -> Picture:
        """The picture that `path` asks for by how it ends, in capitals or not.

        Raises:
            UsageError: it ends otherwise.
        """
        try:
            return cls(path, PictureKind(path.suffix[1:].lower()))
        except ValueError:
            endings = ", ".join(f".{kind}" for kind in PictureKind)
            problem = Problem(f"{path} is no kind of picture", where="--plot", fix=f"end the name in one of {endings}")
            raise UsageError(problem) from None

    def write(self, chart: alt.LayerChart) -> None:
        """Draw it: the file is replaced as a whole, or left as it was.

        Raises:
            MachineError: the disk is full or the folder cannot be written.
        """
        write_bytes(self.path, rendered(chart, self.kind))


def rendered(chart: alt.LayerChart, kind: PictureKind) -> bytes:
    """The content of the file."""
    specification = chart.to_dict()
    match kind:
        case PictureKind.PNG:
            return vl_convert.vegalite_to_png(specification, allowed_base_urls=[])
        case PictureKind.SVG:
            return vl_convert.vegalite_to_svg(specification, allowed_base_urls=[]).encode()
        case PictureKind.PDF:
            return vl_convert.vegalite_to_pdf(specification, allowed_base_urls=[])
        case PictureKind.HTML:
            return _page(specification).encode()


def script_json(value: Any) -> str:
    """JSON that can stand in a page's script: no text in it ends the script."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


# Of the menu, only what saves the picture works without a network. Expressions are interpreted: nothing is evaluated.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<script>{libraries}</script>
</head>
<body>
<div id="chart"></div>
<script>{script}</script>
</body>
</html>
"""
_SCRIPT = """vegaEmbed("#chart", {specification}, {{mode: "vega-lite", renderer: "svg", ast: true, \
actions: {{export: true, source: false, compiled: false, editor: false}}}});"""


def script_policy(*scripts: str) -> str:
    """A page's policy: these scripts may run, styles and pictures be the page's own, and nothing else be loaded."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii") for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _page(specification: dict[str, Any]) -> str:
    # vl_convert's own page puts the specification in as it is: a name with </script> in it would end the script.
    title = html.escape(" ".join(specification["title"]["text"]))
    libraries = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    script = _SCRIPT.format(specification=script_json(specification))
    return _PAGE.format(policy=script_policy(libraries, script), title=title, libraries=libraries, script=script)
