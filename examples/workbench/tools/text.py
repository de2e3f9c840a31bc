"""Tools that count, reshape, compare and search plain text."""

import difflib
import itertools
import re
import textwrap
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Text = Annotated[str, Field(max_length=100_000)]
ShortText = Annotated[str, Field(max_length=1_000)]
Phrase = Annotated[str, Field(min_length=1, max_length=200)]

_MAX_RESULT = 1_000_000
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+(?=[^a-z\s])")
_CASE_EDGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SOUNDEX = {
    letter: digit
    for digit, letters in enumerate(("bfpv", "cgjkqsxz", "dt", "l", "mn", "r"), start=1)
    for letter in letters
}


@dataclass(frozen=True)
class TextStatistics:
    characters: int
    characters_without_spaces: int
    words: int
    sentences: int
    lines: int
    paragraphs: int


@dataclass(frozen=True)
class ReadingTime:
    words: int
    minutes: float


@dataclass(frozen=True)
class Found:
    count: int
    positions: list[int]


@dataclass(frozen=True)
class Frequency:
    item: str
    count: int


def _bounded(size: int) -> None:
    if size > _MAX_RESULT:
        raise ValueError(
            f"the result must be at most {_MAX_RESULT:,} characters, got {size:,}: use shorter text"
        )


def _name_parts(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", _CASE_EDGE.sub(" ", text))


def _literal(phrase: str, *, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(re.escape(phrase), re.IGNORECASE if ignore_case else 0)


def _most_common(items: list[str], top: int) -> list[Frequency]:
    counts = Counter(items)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [Frequency(item, count) for item, count in ranked[:top]]


def count_words(text: Text) -> int:
    """Count the words in a text.

    Args:
        text: The text to count; `don't` and `well-known` are one word each.
    """
    return len(_WORD.findall(text))


def text_statistics(text: Text) -> TextStatistics:
    """Count the characters, words, sentences, lines and paragraphs of a text.

    Args:
        text: The text to measure.
    """
    return TextStatistics(
        characters=len(text),
        characters_without_spaces=sum(not character.isspace() for character in text),
        words=count_words(text),
        sentences=len(extract_sentences(text)),
        lines=len(text.splitlines()),
        paragraphs=sum(bool(part.strip()) for part in re.split(r"\n\s*\n", text)),
    )


def reading_time(text: Text, words_per_minute: Annotated[int, Field(ge=50, le=1_000)] = 200) -> ReadingTime:
    """Estimate how many minutes it takes to read a text.

    Args:
        text: The text that will be read.
        words_per_minute: The reader's speed.
    """
    words = count_words(text)
    return ReadingTime(words, round(words / words_per_minute, 2))


def title_case(text: Text) -> str:
    """Write Each Word Of A Text With A Capital First Letter, the rest in lower case.

    Args:
        text: The text to convert; its spacing is kept.
    """
    return re.sub(r"\w[\w'\u2019]*", lambda match: match[0][0].upper() + match[0][1:].lower(), text)


def snake_case(text: ShortText) -> str:
    """Convert a name or phrase to snake_case, such as `HTTPServer name` to `http_server_name`.

    Args:
        text: A name in any case style, or a few words.
    """
    return "_".join(part.lower() for part in _name_parts(text))


def kebab_case(text: ShortText) -> str:
    """Convert a name or phrase to kebab-case, such as `backgroundColor` to `background-color`.

    Args:
        text: A name in any case style, or a few words.
    """
    return "-".join(part.lower() for part in _name_parts(text))


def camel_case(text: ShortText, first_letter: Literal["lower", "upper"] = "lower") -> str:
    """Convert a name or phrase to camelCase or PascalCase, such as `user id` to `userId`.

    Args:
        text: A name in any case style, or a few words.
        first_letter: `lower` gives camelCase, `upper` gives PascalCase.
    """
    pascal = "".join(part[0].upper() + part[1:].lower() for part in _name_parts(text))
    return pascal if first_letter == "upper" else pascal[:1].lower() + pascal[1:]


def wrap_text(text: Text, width: Annotated[int, Field(ge=10, le=500)] = 80) -> str:
    """Break the lines of a text so that none is longer than a width, paragraph by paragraph.

    Args:
        text: The text; blank lines separate its paragraphs, other line breaks are rearranged.
        width: The most characters on one line.
    """
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(textwrap.fill(paragraph, width, break_on_hyphens=False) for paragraph in paragraphs)


def indent_text(text: Text, prefix: Annotated[str, Field(min_length=1, max_length=40)] = "    ") -> str:
    """Put spaces or another prefix, such as `> ` for a quotation, before each line of a text.

    Args:
        text: The text to indent; blank lines stay as they are.
        prefix: What to put before each line.
    """
    return textwrap.indent(text, prefix)


def dedent_text(text: Text) -> str:
    """Remove the indentation that all lines of a text have in common.

    Args:
        text: The indented text.
    """
    return textwrap.dedent(text)


def truncate_text(
    text: Text,
    length: Annotated[int, Field(ge=1, le=100_000)],
    ending: Annotated[str, Field(max_length=20)] = "…",
) -> str:
    """Shorten a text to a number of characters, at the end of a word where one is near.

    Args:
        text: The text to shorten; a text that fits is returned unchanged.
        length: The most characters in the result, the ending included.
        ending: What shows that something was cut off.
    """
    if len(text) <= length:
        return text
    kept = text[: max(length - len(ending), 0)]
    at_word = kept.rsplit(maxsplit=1)[0] if not text[len(kept)].isspace() and " " in kept else kept
    shortened = at_word if len(at_word) >= len(kept) // 2 else kept
    return (shortened.rstrip() + ending)[:length]


def align_text(
    text: Text,
    width: Annotated[int, Field(ge=1, le=500)],
    side: Literal["left", "right", "center"] = "left",
    fill: Annotated[str, Field(min_length=1, max_length=1)] = " ",
) -> str:
    """Pad each line of a text to a width, aligned left, right or in the centre.

    Args:
        text: The lines to pad; longer lines stay as they are.
        width: How many characters a line shall have.
        side: Where the text stands within the width.
        fill: The one character to pad with.
    """
    lines = text.splitlines()
    _bounded(len(text) + len(lines) * width)
    pad = {"left": str.ljust, "right": str.rjust, "center": str.center}[side]
    return "\n".join(pad(line, width, fill) for line in lines)


def reverse_text(text: Text, unit: Literal["characters", "words", "lines"] = "characters") -> str:
    """Turn a text around: its characters, its words or its lines in reverse order.

    Args:
        text: The text to reverse.
        unit: What is put in reverse order.
    """
    if unit == "characters":
        return text[::-1]
    return " ".join(reversed(text.split())) if unit == "words" else "\n".join(reversed(text.splitlines()))


def slugify(text: ShortText) -> str:
    """Make a slug for a web address or file name, such as `Crème brûlée!` to `creme-brulee`.

    Args:
        text: The title to convert; accents are dropped, letters of all scripts are kept.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "-", plain.casefold()).strip("-")


def find_text(text: Text, phrase: Phrase, *, ignore_case: bool = False) -> Found:
    """Find where a word or phrase occurs in a text, and count how often.

    Args:
        text: The text to search.
        phrase: What to look for, literally.
        ignore_case: Whether `A` and `a` are the same.
    """
    positions = [match.start() for match in _literal(phrase, ignore_case=ignore_case).finditer(text)]
    return Found(len(positions), positions[:1_000])


def replace_text(text: Text, phrase: Phrase, replacement: ShortText, *, ignore_case: bool = False) -> str:
    """Replace every occurrence of a word or phrase in a text.

    Args:
        text: The text to change.
        phrase: What to replace, literally.
        replacement: What to put in its place; empty removes the phrase.
        ignore_case: Whether `A` and `a` are the same.
    """
    pattern = _literal(phrase, ignore_case=ignore_case)
    _bounded(len(text) + len(replacement) * sum(1 for _ in pattern.finditer(text)))
    return pattern.sub(lambda _: replacement, text)


def split_text(text: Text, separator: Phrase = ",", *, strip: bool = True) -> list[str]:
    """Split a text into pieces at a separator.

    Args:
        text: The text to split.
        separator: What stands between the pieces.
        strip: Whether to remove the spaces around each piece.
    """
    return [piece.strip() if strip else piece for piece in text.split(separator)]


def join_text(
    parts: Annotated[list[ShortText], Field(max_length=1_000)],
    separator: Annotated[str, Field(max_length=100)] = ", ",
) -> str:
    """Join pieces of text into one, with a separator between them.

    Args:
        parts: The pieces in order.
        separator: What to put between the pieces.
    """
    return separator.join(parts)


def text_similarity(first: ShortText, second: ShortText) -> float:
    """Rate how similar two texts are, from 0 (nothing in common) to 1 (the same).

    Args:
        first: One text.
        second: The other text.
    """
    return round(difflib.SequenceMatcher(None, first, second).ratio(), 4)


def text_diff(before: Text, after: Text, context: Annotated[int, Field(ge=0, le=20)] = 3) -> str:
    """Show the lines that differ between two versions of a text as a unified diff.

    Args:
        before: The old version, at most 1,000 lines.
        after: The new version, at most 1,000 lines.
        context: How many unchanged lines to show around each change.
    """
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > 1_000:
        raise ValueError(f"a text must have at most 1,000 lines, got {max(len(old), len(new)):,}")
    return "\n".join(difflib.unified_diff(old, new, "before", "after", n=context, lineterm=""))


def closest_matches(
    word: Annotated[str, Field(min_length=1, max_length=100)],
    candidates: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=500)],
    limit: Annotated[int, Field(ge=1, le=50)] = 3,
    cutoff: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.6,
) -> list[str]:
    """Find the words of a list that are spelled most like a given word, the best first.

    Args:
        word: The word as written, perhaps with a typing mistake.
        candidates: The words to choose from.
        limit: The most words to return.
        cutoff: How similar a word must be, from 0 to 1.
    """
    return difflib.get_close_matches(word, candidates, n=limit, cutoff=cutoff)


def levenshtein_distance(first: ShortText, second: ShortText) -> int:
    """Count the single-character edits (insert, delete, replace) between two texts.

    Args:
        first: One text.
        second: The other text.
    """
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(second, start=1):
            diagonal, row[j] = row[j], min(diagonal + (left != right), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def sort_lines(text: Text, *, descending: bool = False, ignore_case: bool = False) -> str:
    """Sort the lines of a text alphabetically.

    Args:
        text: The lines to sort.
        descending: Whether to sort from Z to A.
        ignore_case: Whether `A` and `a` sort as the same.
    """
    key = str.casefold if ignore_case else None
    return "\n".join(sorted(text.splitlines(), key=key, reverse=descending))


def unique_lines(text: Text, *, ignore_case: bool = False) -> str:
    """Remove repeated lines from a text and keep the first of each, in order.

    Args:
        text: The lines.
        ignore_case: Whether `A` and `a` are the same.
    """
    first: dict[str, str] = {}
    for line in text.splitlines():
        first.setdefault(line.casefold() if ignore_case else line, line)
    return "\n".join(first.values())


def number_lines(
    text: Text,
    start: Annotated[int, Field(ge=0, le=1_000_000)] = 1,
    separator: Annotated[str, Field(max_length=10)] = ": ",
) -> str:
    """Put a line number before each line of a text.

    Args:
        text: The lines to number.
        start: The number of the first line.
        separator: What stands between the number and the line.
    """
    lines = text.splitlines()
    width = len(str(start + len(lines) - 1))
    return "\n".join(f"{number:>{width}}{separator}{line}" for number, line in enumerate(lines, start))


def word_frequencies(
    text: Text,
    top: Annotated[int, Field(ge=1, le=1_000)] = 20,
    min_length: Annotated[int, Field(ge=1, le=50)] = 1,
) -> list[Frequency]:
    """Count how often each word is used in a text, the most frequent first.

    Args:
        text: The text to count; upper and lower case are the same.
        top: The most words to return.
        min_length: Leave out words with fewer letters.
    """
    return _most_common([word for word in _WORD.findall(text.lower()) if len(word) >= min_length], top)


def text_ngrams(
    text: Text,
    size: Annotated[int, Field(ge=1, le=10)] = 2,
    unit: Literal["words", "characters"] = "words",
    top: Annotated[int, Field(ge=1, le=1_000)] = 20,
) -> list[Frequency]:
    """Count the n-grams of a text: its sequences of neighbouring words or characters.

    Args:
        text: The text to count; upper and lower case are the same.
        size: How many words or characters make one n-gram.
        unit: Whether to count sequences of words or of characters.
        top: The most n-grams to return.
    """
    items = _WORD.findall(text.lower()) if unit == "words" else list(text.lower())
    glue = " " if unit == "words" else ""
    return _most_common([glue.join(items[i : i + size]) for i in range(len(items) - size + 1)], top)


def extract_sentences(text: Text) -> list[str]:
    """Split a text into its sentences.

    Args:
        text: The text; a sentence ends with `.`, `!`, `?` or `…` unless a small letter follows.
    """
    return [" ".join(sentence.split()) for sentence in _SENTENCE_END.split(text) if sentence.strip()]


def extract_quotes(text: Text) -> list[str]:
    """Find the passages of a text that stand in double quotation marks, straight or curly.

    Args:
        text: The text to search.
    """
    return [straight or curly for straight, curly in re.findall(r'"([^"]+)"|“([^“”]+)”', text)]


def caesar_cipher(text: Text, shift: Annotated[int, Field(ge=-25, le=25)]) -> str:
    """Encrypt or decrypt a text with the Caesar cipher, which shifts each letter in the alphabet.

    Args:
        text: The text; only the letters A to Z change.
        shift: How far to shift; the negative number decrypts.
    """
    lower = "abcdefghijklmnopqrstuvwxyz"
    moved = lower[shift % 26 :] + lower[: shift % 26]
    return text.translate(str.maketrans(lower + lower.upper(), moved + moved.upper()))


def is_palindrome(text: Text) -> bool:
    """Check whether a text reads the same backwards, ignoring spaces, punctuation and case.

    Args:
        text: The word or sentence to check.
    """
    letters = [character for character in text.casefold() if character.isalnum()]
    return bool(letters) and letters == letters[::-1]


def are_anagrams(first: ShortText, second: ShortText) -> bool:
    """Check whether two words or phrases are anagrams: the same letters in another order.

    Args:
        first: One word or phrase; spaces, punctuation and case are ignored.
        second: The other word or phrase.
    """
    left, right = (Counter(c for c in text.casefold() if c.isalnum()) for text in (first, second))
    return bool(left) and left == right


def common_prefix(texts: Annotated[list[ShortText], Field(min_length=1, max_length=1_000)]) -> str:
    """Find the longest beginning that all texts of a list share.

    Args:
        texts: The texts to compare.
    """
    low, high = min(texts), max(texts)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
    return "".join(character for character, _ in same)


def soundex_code(word: Annotated[str, Field(min_length=1, max_length=100)]) -> str:
    """Compute the American Soundex code of a name, so that names that sound alike compare equal.

    Args:
        word: A name that starts with a letter from A to Z.
    """
    letters = [c for c in word.lower() if "a" <= c <= "z"]
    if not letters:
        raise ValueError(f"word must hold letters from A to Z, got {word!r}")
    digits, previous = "", _SOUNDEX.get(letters[0], 0)
    for letter in letters[1:]:
        digit = _SOUNDEX.get(letter, 0)
        if digit and digit != previous:
            digits += str(digit)
        if letter not in "hw":
            previous = digit
    return (letters[0].upper() + digits + "000")[:4]
