"""Tools that read, search and write XML and HTML text.

XML with a DOCTYPE is refused, because entities can expand without end; HTML is read leniently.
"""

import html
import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Annotated
from urllib.parse import urljoin
from xml.parsers import expat

from pydantic import Field, JsonValue

XmlText = Annotated[str, Field(min_length=1, max_length=200_000)]
HtmlText = Annotated[str, Field(max_length=50_000)]
Path = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=100)]
Limit = Annotated[int, Field(ge=1, le=1_000)]

_MAX_DEPTH = 64
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_BLOCK_TAGS = (
    "address article aside blockquote br dd div dl dt footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol "
    "p pre section table td th title tr ul"
)
_BLOCKS = frozenset(_BLOCK_TAGS.split())


@dataclass(frozen=True)
class Link:
    url: str
    text: str


def _refuse_traps(text: str) -> None:
    """Read the text once without building anything: no DOCTYPE, no nesting that exhausts the stack."""
    depth = 0

    def start(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"XML must nest at most {_MAX_DEPTH} levels")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_: object) -> None:
        raise ValueError("XML must have no DOCTYPE, because its entities can expand without end: remove it")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(text, True)


def _parse(text: str) -> ET.Element:
    try:
        _refuse_traps(text)
        return ET.fromstring(text)  # noqa: S314 - what makes it unsafe was refused in the line above
    except (expat.ExpatError, ET.ParseError) as error:
        raise ValueError(f"text must be well-formed XML: {error}") from error


def _find(text: str, path: str, limit: int) -> list[ET.Element]:
    if path.count("//") > 2:
        raise ValueError(f"path must hold `//` at most twice, got {path!r}")
    try:
        return list(itertools.islice(_parse(text).iterfind(path), limit))
    except (SyntaxError, LookupError, TypeError, AttributeError, StopIteration, RuntimeError) as error:
        raise ValueError(f"path must be in ElementTree's XPath subset, got {path!r}: {error}") from error


def _text(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _plain(element: ET.Element) -> dict[str, JsonValue]:
    """Return an element as JSON; text between child elements is joined in `text`."""
    own = " ".join(" ".join([element.text or "", *(child.tail or "" for child in element)]).split())
    plain: dict[str, JsonValue] = {"tag": element.tag}
    if element.attrib:
        plain["attributes"] = dict(element.attrib)
    if own:
        plain["text"] = own
    if len(element):
        plain["children"] = [_plain(child) for child in element]
    return plain


@contextmanager
def _lenient() -> Iterator[None]:
    """Turn what Python's HTML parser asserts about broken declarations into a clear error."""
    try:
        yield
    except AssertionError as error:
        raise ValueError(f"text must be HTML, got a broken declaration: {error}") from error


class _Reader(HTMLParser):
    """Collects visible text, links and tables in one pass."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.links: list[tuple[str, list[str]]] = []
        self.tables: list[list[list[list[str]]]] = []  # tables of rows of cells of text pieces
        self._open_tables: list[list[list[list[str]]]] = []
        self._hidden: str | None = None
        self._in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag in {"script", "style", "template"}:
            self._hidden = self._hidden or tag
        elif tag == "a" and href is not None:
            self.links.append((href, []))
            self._in_link = True
        elif tag == "table":
            self._open_tables.append([])
            self.tables.append(self._open_tables[-1])
        elif tag == "tr" and self._open_tables:
            self._open_tables[-1].append([])
        elif tag in {"td", "th"} and self._open_tables and self._open_tables[-1]:
            self._open_tables[-1][-1].append([])
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = None
        elif tag == "a":
            self._in_link = False
        elif tag == "table" and self._open_tables:
            self._open_tables.pop()
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        self.pieces.append(data)
        if self._in_link:
            self.links[-1][1].append(data)
        if self._open_tables and self._open_tables[-1] and self._open_tables[-1][-1]:
            self._open_tables[-1][-1][-1].append(data)


def _read(text: str) -> _Reader:
    reader = _Reader()
    with _lenient():
        reader.feed(text)
    if not re.match(
        "<[a-zA-Z/!?]", reader.rawdata
    ):  # `close` would try a tag that never ends from each `<` in it
        reader.handle_data(html.unescape(reader.rawdata))
    return reader


def xml_parse(text: XmlText) -> dict[str, JsonValue]:
    """Parse XML into JSON: each element with its tag, attributes, text and children.

    Args:
        text: The XML document, without a DOCTYPE.
    """
    return _plain(_parse(text))


def xml_find(text: XmlText, path: Path, limit: Limit = 100) -> list[dict[str, JsonValue]]:
    """Find the elements of an XML document that match a path, such as `.//book[@lang='en']/title`.

    Args:
        text: The XML document, without a DOCTYPE.
        path: A path in ElementTree's subset of XPath, relative to the root element.
        limit: The most elements to return.
    """
    return [_plain(element) for element in _find(text, path, limit)]


def xml_text(text: XmlText, path: Path = ".") -> list[str]:
    """Extract the text content of the elements of an XML document, without tags.

    Args:
        text: The XML document, without a DOCTYPE.
        path: Which elements, in ElementTree's subset of XPath; `.` is the root.
    """
    return [_text(element) for element in _find(text, path, 1_000)]


def xml_attributes(text: XmlText, path: Path = ".") -> list[dict[str, str]]:
    """List the attributes of the elements of an XML document that match a path.

    Args:
        text: The XML document, without a DOCTYPE.
        path: Which elements, in ElementTree's subset of XPath; `.` is the root.
    """
    return [dict(element.attrib) for element in _find(text, path, 1_000)]


def xml_format(text: XmlText, indent: Annotated[int, Field(ge=1, le=8)] = 2) -> str:
    """Format (pretty print) XML with line breaks and indentation.

    Args:
        text: The XML document, without a DOCTYPE; comments are dropped.
        indent: How many spaces to indent each level.
    """
    root = _parse(text)
    ET.indent(root, " " * indent)
    return ET.tostring(root, encoding="unicode")


def xml_build_element(
    name: Name,
    text: Annotated[str, Field(max_length=10_000)] = "",
    attributes: Annotated[dict[Name, Annotated[str, Field(max_length=1_000)]], Field(max_length=50)]
    | None = None,
) -> str:
    """Write one XML element with its attributes and text, properly escaped.

    Args:
        name: The element's name.
        text: What stands inside the element.
        attributes: The names and values of its attributes.
    """
    element = ET.Element(name, attributes or {})
    element.text = text or None
    written = ET.tostring(element, encoding="unicode")
    if _NOT_XML.search(written):
        raise ValueError("text and attributes must hold no control characters, which XML cannot carry")
    return written


def html_escape(text: HtmlText) -> str:
    """Escape `<`, `>`, `&` and quotation marks in a text for use in HTML.

    Args:
        text: The plain text.
    """
    return html.escape(text)


def html_unescape(text: HtmlText) -> str:
    """Turn HTML entities such as `&eacute;` and `&#8364;` into their characters.

    Args:
        text: The text with entities.
    """
    return html.unescape(text)


def html_to_text(text: HtmlText) -> str:
    """Strip the tags from HTML and return its visible text, without scripts and styles.

    Args:
        text: The HTML.
    """
    lines = "".join(_read(text).pieces).split("\n")
    return "\n".join(filter(None, (" ".join(line.split()) for line in lines)))


def html_links(text: HtmlText, base_url: Annotated[str, Field(max_length=2_000)] = "") -> list[Link]:
    """Extract the links from HTML: the address and the text of each.

    Args:
        text: The HTML.
        base_url: The page's own address, to complete relative links.
    """
    return [
        Link(urljoin(base_url, url), " ".join("".join(parts).split()))
        for url, parts in _read(text).links[:1_000]
    ]


def html_table(text: HtmlText, number: Annotated[int, Field(ge=1, le=1_000)] = 1) -> list[list[str]]:
    """Extract the rows and cells of a table from HTML.

    Args:
        text: The HTML.
        number: Which of its tables, counted from 1.
    """
    tables = _read(text).tables
    if number > len(tables):
        raise ValueError(f"number must be at most {len(tables)}, the tables in the text, got {number}")
    return [[" ".join("".join(cell).split()) for cell in row] for row in tables[number - 1]]
