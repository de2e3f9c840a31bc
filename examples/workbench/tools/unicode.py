"""Tools for characters: code points, names, scripts, accents and what a text looks like."""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Text = Annotated[str, Field(max_length=100_000)]
ShortText = Annotated[str, Field(max_length=1_000)]

_CODE_POINT = re.compile(r"(?:U\+|0x|\\u)?([0-9A-F]{1,8})", re.IGNORECASE)
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|N\{([^{}]{1,100})\}|([nrt\\\"']))"
)
_SIMPLE_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
# Letters that look like a Latin letter, as they come in most spoofed names.
_LOOKALIKES = dict(
    zip(
        "авеікмнорстухѕјԁԛԝһАВЕЅІЈКМНОРСТУХαορυνικΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "abeikmhopctyxsjdqwhABESIJKMHOPCTYXaopuvikABEZHIKMNOPTYX",
        strict=True,
    )
)


@dataclass(frozen=True)
class Character:
    character: str
    code_point: str
    name: str
    category: str


@dataclass(frozen=True)
class Lookalike:
    position: int
    character: str
    name: str
    looks_like: str


@dataclass(frozen=True)
class Utf8Length:
    characters: int
    utf8_bytes: int
    utf16_units: int


def _name(character: str) -> str:
    return unicodedata.name(
        character, "<control>" if unicodedata.category(character) == "Cc" else "<unnamed>"
    )


def _character(code: int) -> str:
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"a code point must be at most 10FFFF and no surrogate, got {code:X}")
    return chr(code)


def unicode_normalize(text: Text, form: Literal["NFC", "NFD", "NFKC", "NFKD"] = "NFC") -> str:
    """Normalise a text to a Unicode form, so that equal-looking texts compare equal.

    Args:
        text: The text to normalise.
        form: NFC composes accents, NFD splits them off; the K forms also replace compatibility characters.
    """
    return unicodedata.normalize(form, text)


def unicode_describe(text: Annotated[str, Field(min_length=1, max_length=200)]) -> list[Character]:
    """Name each character of a text: its code point, Unicode name and category.

    Args:
        text: The characters to describe, also invisible ones.
    """
    return [Character(c, f"U+{ord(c):04X}", _name(c), unicodedata.category(c)) for c in text]


def find_character_by_name(name: Annotated[str, Field(min_length=1, max_length=100)]) -> Character:
    """Look up a character by its exact Unicode name, such as `GREEK SMALL LETTER PI`.

    Args:
        name: The Unicode name, in upper or lower case.
    """
    try:
        found = unicodedata.lookup(name)
    except (KeyError, UnicodeError) as error:
        raise ValueError(f"name must be a Unicode character name, got {name!r}") from error
    if len(found) != 1:
        raise ValueError(f"name must be that of one character, got the sequence {name!r}")
    return unicode_describe(found)[0]


def text_to_code_points(text: ShortText) -> list[str]:
    """List the Unicode code points of a text, such as `U+00E9`.

    Args:
        text: The text to take apart.
    """
    return [f"U+{ord(character):04X}" for character in text]


def code_points_to_text(
    code_points: Annotated[list[Annotated[str, Field(max_length=12)]], Field(max_length=1_000)],
) -> str:
    """Build a text from Unicode code points in hexadecimal.

    Args:
        code_points: Code points such as `U+00E9`, `0xE9` or `E9`.
    """
    matches = [_CODE_POINT.fullmatch(code_point) for code_point in code_points]
    wrong = [code_point for code_point, match in zip(code_points, matches, strict=True) if not match]
    if wrong:
        raise ValueError(f"a code point must be hexadecimal such as U+00E9, got {wrong[0]!r}")
    return "".join(_character(int(match[1], 16)) for match in matches if match)


def unicode_categories(text: Text) -> dict[str, int]:
    """Count the characters of a text by Unicode category, such as `Lu` for capital letters.

    Args:
        text: The text to count.
    """
    return dict(sorted(Counter(unicodedata.category(character) for character in text).items()))


def strip_accents(text: Text) -> str:
    """Remove accents and other marks from letters, such as `naïve café` to `naive cafe`.

    Args:
        text: The text to simplify.
    """
    kept = (c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", "".join(kept))


def detect_scripts(text: Text) -> dict[str, int]:
    """Count the letters of a text by writing system, such as LATIN, CYRILLIC or CJK.

    Args:
        text: The text to examine; the first word of a letter's Unicode name counts as its script.
    """
    names = (unicodedata.name(character, "UNNAMED") for character in text if character.isalpha())
    return dict(Counter(name.split()[0].split("-")[0] for name in names).most_common())


def find_lookalikes(text: ShortText) -> list[Lookalike]:
    """Find Cyrillic, Greek and compatibility letters that look like Latin letters, as in spoofed names.

    Args:
        text: A name, address or short text to check; common lookalikes are known, not all.
    """
    plain = ((i, c, _LOOKALIKES.get(c) or unicodedata.normalize("NFKC", c)) for i, c in enumerate(text))
    return [Lookalike(i, c, _name(c), latin) for i, c, latin in plain if not c.isascii() and latin.isascii()]


def unicode_escape(text: ShortText) -> str:
    r"""Write a text in ASCII with `\u` escapes for all other characters.

    Args:
        text: The text to escape; line breaks become `\n`, a backslash is doubled.
    """
    return text.encode("unicode_escape").decode("ascii")


def unicode_unescape(text: ShortText) -> str:
    r"""Turn escapes such as `\u00e9`, `\x41`, `\N{BULLET}` and `\n` in a text into their characters.

    Args:
        text: The text with escapes; a surrogate pair of two `\u` escapes becomes one character.
    """

    def character(match: re.Match[str]) -> str:
        short, four, eight, name, simple = match.groups()
        if name:
            return find_character_by_name(name).character
        code = short or four or eight
        return chr(min(int(code, 16), 0x110000 - 1)) if code else _SIMPLE_ESCAPES.get(simple, simple)

    too_high = [code for *_, code, _, _ in _ESCAPE.findall(text) if code and int(code, 16) > 0x10FFFF]
    if too_high:
        raise ValueError(f"a code point must be at most 10FFFF, got {too_high[0]}")
    pairs_joined = _ESCAPE.sub(character, text).encode("utf-16", "surrogatepass")
    try:
        return pairs_joined.decode("utf-16")
    except UnicodeDecodeError as error:
        raise ValueError("a surrogate escape must come in a pair, got half of one") from error


def utf8_length(text: Text) -> Utf8Length:
    """Measure a text in characters, in UTF-8 bytes and in UTF-16 units.

    Args:
        text: The text to measure.
    """
    return Utf8Length(len(text), len(text.encode()), len(text.encode("utf-16-le")) // 2)


def remove_control_characters(text: Text, *, keep_line_breaks: bool = True) -> str:
    """Remove invisible control and format characters from a text, such as NUL or zero-width spaces.

    Args:
        text: The text to clean.
        keep_line_breaks: Whether line breaks and tabs stay.
    """
    kept = "\n\r\t" if keep_line_breaks else ""
    return "".join(c for c in text if c in kept or unicodedata.category(c) not in {"Cc", "Cf"})


def display_width(text: Text) -> int:
    """Count the columns a text takes in a terminal, where East Asian wide characters take two.

    Args:
        text: One line of text.
    """
    shown = (c for c in text if not unicodedata.combining(c) and unicodedata.category(c) not in {"Cc", "Cf"})
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in shown)
