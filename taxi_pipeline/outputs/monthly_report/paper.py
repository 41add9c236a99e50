"""The monthly report on paper: a PDF of its page, with contents, page numbers, its font and the CSV of its numbers.

The PDF is made of the page's own HTML, so both say the same; `paper.css` has what only paper has. Equal pages give
equal bytes, on every machine: the font is the one that matplotlib ships.
"""

import logging
import re
from datetime import UTC, date, datetime
from pathlib import Path

from taxi_pipeline.errors import TaxiPipelineError

_FONTS = (("DejaVuSans.ttf", 400), ("DejaVuSans-Bold.ttf", 700))
_SECTION = re.compile(r'<section id="(\w+)">\s*<h2>(.*?)</h2>')
_DRAWING = re.compile(r"<svg [^>]*>")
_PRINT_COLORS = re.compile(r"@media print \{\s*:root \{(.*?)\}", re.DOTALL)
_ELSEWHERE = re.compile(r'<use href="#(\w+)" />')
_ON_PAPER = ".map .place { stroke: none; }"
"""The library draws a text's outline over the text, and not below it."""


class NoPdfError(TaxiPipelineError):
    """No PDF can be made on this machine."""


def pdf_of(page: str, numbers: str, month: date) -> bytes:
    """Make a PDF of a monthly report.

    Args:
        page: the report's HTML, as `page.page_of` makes it.
        numbers: its CSV, as `page.csv_of` makes it; it is attached to the PDF.
        month: first day of the month.

    Raises:
        NoPdfError: Pango, which sets the text, is not installed.
    """
    try:
        from weasyprint import HTML, Attachment
        from weasyprint.urls import URLFetcher
    except OSError as error:
        raise NoPdfError(
            f"The PDF can't be made: a library of this machine is missing ({str(error).splitlines()[0]}). Install "
            "Pango: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0, or brew install pango"
        ) from error
    # It warns of each rule of the page that is for browsers only.
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)
    fonts_alone = URLFetcher(allowed_protocols={"file"})
    date_in_pdf = datetime(
        month.year, month.month, 1, tzinfo=UTC
    )  # the library's default is now: other bytes each time
    csv = Attachment(
        string=numbers,
        name=f"{month:%Y-%m}.csv",
        description="The numbers of the report",
        created=date_in_pdf,
        modified=date_in_pdf,
    )
    pdf = HTML(string=on_paper(page), url_fetcher=fonts_alone).write_pdf(pdf_tags=True, attachments=[csv])
    if pdf is None:
        raise TypeError("write_pdf returns bytes where it is given no file")
    return pdf


def _font_faces() -> str:
    import matplotlib as mpl

    folder = Path(mpl.get_data_path(), "fonts", "ttf")
    return "".join(
        f'@font-face {{ font-family: "DejaVu Sans"; font-weight: {weight}; src: url({(folder / name).as_uri()}); }}\n'
        for name, weight in _FONTS
    )


def on_paper(page: str) -> str:
    """The page's HTML with contents, and with what the library does not do: styles and others' shapes in drawings."""
    style = f"<style>{_drawing_rules(page)}{_ON_PAPER}</style>"
    shapes = {name: _group(page, name) for name in _ELSEWHERE.findall(page)}
    page = _DRAWING.sub(lambda drawing: drawing[0] + style, _ELSEWHERE.sub(lambda use: shapes[use[1]], page))
    entries = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in _SECTION.findall(page))
    page = page.replace("</header>", f'<nav class="contents"><h2>Contents</h2><ol>{entries}</ol></nav></header>', 1)
    paper = Path(__file__).with_name("paper.css").read_text()
    return page.replace("</head>", f"<style>{_font_faces()}{paper}</style></head>", 1)


def _group(page: str, name: str) -> str:
    """The shapes of a drawing's group."""
    return page.partition(f'<g id="{name}">')[2].partition("</g>")[0]


def _drawing_rules(page: str) -> str:
    """The page's style rules, with the colours of paper for the variables: drawings know neither the page nor them."""
    rules = page.partition("<style>")[2].partition("</style>")[0]
    colors = dict(re.findall(r"--([\w-]+): ([^;]+);", " ".join(_PRINT_COLORS.findall(rules))))
    return re.sub(r"var\(--([\w-]+)\)", lambda variable: colors.get(variable[1], "inherit"), rules)
