"""Tools that encode text in another notation and decode it again. Bytes are those of UTF-8."""

import base64
import codecs
import quopri
import re
from typing import Annotated, Literal
from urllib.parse import quote, unquote_to_bytes

from pydantic import Field

Text = Annotated[str, Field(max_length=100_000)]
Encoded = Annotated[str, Field(max_length=200_000)]
Host = Annotated[str, Field(min_length=1, max_length=253)]
Output = Literal["text", "hex"]

_MORSE_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,?'!/()&:;=+-_\"$@"
_MORSE_CODES = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- "
    "--.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----. .-.-.- --..-- ..--.. .----. -.-.-- "
    "-..-. -.--. -.--.- .-... ---... -.-.-. -...- .-.-. -....- ..--.- .-..-. ...-..- .--.-."
)
_MORSE = dict(zip(_MORSE_CHARACTERS, _MORSE_CODES.split(), strict=True))
_FROM_MORSE = {code: character for character, code in _MORSE.items()}


def _shown(data: bytes, output: Output) -> str:
    if output == "hex":
        return data.hex()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"decoded bytes must be UTF-8 text, byte {error.start} is not: ask for hex output"
        ) from error


def _compact(text: str) -> bytes:
    try:
        return "".join(text.split()).encode("ascii")
    except UnicodeEncodeError as error:
        raise ValueError(f"encoded text must be ASCII, got {text[error.start]!r}") from error


def base64_encode(text: Text, alphabet: Literal["standard", "url"] = "standard") -> str:
    """Encode text as Base64.

    Args:
        text: The text to encode.
        alphabet: `url` uses `-` and `_` in place of `+` and `/`, for addresses and file names.
    """
    return base64.b64encode(text.encode(), b"-_" if alphabet == "url" else None).decode()


def base64_decode(text: Encoded, output: Output = "text") -> str:
    """Decode Base64 text, in the standard or the URL-safe alphabet, with or without padding.

    Args:
        text: The Base64 text; spaces and line breaks are ignored.
        output: Whether to return the bytes as UTF-8 text or in hexadecimal.
    """
    data = _compact(text).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    return _shown(base64.b64decode(data + b"=" * (-len(data) % 4), validate=True), output)


def base32_encode(text: Text) -> str:
    """Encode text as Base32.

    Args:
        text: The text to encode.
    """
    return base64.b32encode(text.encode()).decode()


def base32_decode(text: Encoded, output: Output = "text") -> str:
    """Decode Base32 text, in upper or lower case, with or without padding.

    Args:
        text: The Base32 text; spaces and line breaks are ignored.
        output: Whether to return the bytes as UTF-8 text or in hexadecimal.
    """
    data = _compact(text).rstrip(b"=")
    return _shown(base64.b32decode(data + b"=" * (-len(data) % 8), casefold=True), output)


def base85_encode(text: Text) -> str:
    """Encode text as Base85, in the alphabet of Git patches (RFC 1924).

    Args:
        text: The text to encode.
    """
    return base64.b85encode(text.encode()).decode()


def base85_decode(text: Encoded, output: Output = "text") -> str:
    """Decode Base85 text, in the alphabet of Git patches (RFC 1924).

    Args:
        text: The Base85 text; spaces and line breaks are ignored.
        output: Whether to return the bytes as UTF-8 text or in hexadecimal.
    """
    return _shown(base64.b85decode(_compact(text)), output)


def ascii85_encode(text: Text) -> str:
    """Encode text as Ascii85, as PostScript and PDF use it.

    Args:
        text: The text to encode.
    """
    return base64.a85encode(text.encode()).decode()


def ascii85_decode(text: Encoded, output: Output = "text") -> str:
    """Decode Ascii85 text, with or without the marks `<~` and `~>` of Adobe's form.

    Args:
        text: The Ascii85 text; spaces and line breaks are ignored.
        output: Whether to return the bytes as UTF-8 text or in hexadecimal.
    """
    return _shown(base64.a85decode(_compact(text).removeprefix(b"<~").removesuffix(b"~>")), output)


def hex_encode(text: Text, separator: Literal["", " ", ":", "-"] = "") -> str:
    """Write the bytes of a text in hexadecimal.

    Args:
        text: The text to encode.
        separator: What to put between the bytes.
    """
    return text.encode().hex(separator) if separator else text.encode().hex()


def hex_decode(text: Encoded) -> str:
    """Decode bytes in hexadecimal to text.

    Args:
        text: Hexadecimal digits; spaces, colons and hyphens between bytes are ignored.
    """
    return _shown(bytes.fromhex(re.sub("[:-]", " ", text)), "text")


def quoted_printable_encode(text: Text) -> str:
    """Encode text as quoted-printable, as e-mail bodies use it.

    Args:
        text: The text to encode.
    """
    return quopri.encodestring(text.encode()).decode()


def quoted_printable_decode(text: Encoded) -> str:
    """Decode quoted-printable text, as found in e-mail bodies.

    Args:
        text: The encoded text, such as `caf=C3=A9`.
    """
    return _shown(quopri.decodestring(text.encode()), "text")


def percent_encode(text: Text, safe: Annotated[str, Field(pattern="^[ -~]*$", max_length=50)] = "") -> str:
    """Percent-encode text for a web address, such as `a b/é` to `a%20b%2F%C3%A9`.

    Args:
        text: The text to encode.
        safe: Further characters to leave as they are, such as `/`.
    """
    return quote(text, safe=safe)


def percent_decode(text: Encoded, *, plus_is_space: bool = False) -> str:
    """Decode percent-encoded text from a web address, such as `caf%C3%A9` to `café`.

    Args:
        text: The encoded text.
        plus_is_space: Whether `+` stands for a space, as in form data.
    """
    return _shown(unquote_to_bytes(text.replace("+", " ") if plus_is_space else text), "text")


def idna_encode(domain: Host) -> str:
    """Encode an international domain name in ASCII (Punycode), such as `bücher.example`.

    Args:
        domain: The domain name.
    """
    try:
        return domain.encode("idna").decode()
    except UnicodeError as error:
        raise ValueError(f"domain must be a name that IDNA can encode, got {domain!r}: {error}") from error


def idna_decode(domain: Host) -> str:
    """Decode a domain name in Punycode, such as `xn--bcher-kva.example`, to its real letters.

    Args:
        domain: The domain name in ASCII.
    """
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError as error:
        raise ValueError(
            f"domain must be a name in ASCII that IDNA can decode, got {domain!r}: {error}"
        ) from error


def morse_encode(text: Annotated[str, Field(max_length=10_000)]) -> str:
    """Write a text in Morse code, with ` / ` between words.

    Args:
        text: Letters A to Z, digits and common punctuation.
    """
    unknown = sorted({c for c in text.upper() if c not in _MORSE and not c.isspace()})
    if unknown:
        raise ValueError(f"text must hold only characters that Morse code has, got {''.join(unknown)[:40]!r}")
    return " / ".join(" ".join(_MORSE[c] for c in word) for word in text.upper().split())


def morse_decode(text: Annotated[str, Field(max_length=50_000)]) -> str:
    """Decode Morse code, written with dots and hyphens, to text.

    Args:
        text: Codes with spaces between letters and `/` between words.
    """
    unknown = [code for code in text.replace("/", " ").split() if code not in _FROM_MORSE]
    if unknown:
        raise ValueError(f"text must hold only Morse codes, got {unknown[0][:40]!r}")
    return " ".join("".join(_FROM_MORSE[code] for code in word.split()) for word in text.split("/"))


def rot13(text: Text) -> str:
    """Apply ROT13, which moves each letter by 13 places; applying it again undoes it.

    Args:
        text: The text to change; only the letters A to Z move.
    """
    return codecs.encode(text, "rot13")


def binary_encode(text: Annotated[str, Field(max_length=10_000)]) -> str:
    """Write the bytes of a text in binary, eight zeros and ones for each.

    Args:
        text: The text to encode.
    """
    return " ".join(f"{byte:08b}" for byte in text.encode())


def binary_decode(text: Encoded) -> str:
    """Decode bytes written as zeros and ones to text.

    Args:
        text: Groups of eight zeros and ones; spaces are ignored.
    """
    digits = "".join(text.split())
    if set(digits) - {"0", "1"} or len(digits) % 8:
        raise ValueError(
            f"text must be groups of eight zeros and ones, got {len(digits)} characters: {text[:40]!r}"
        )
    return _shown(bytes(int(digits[i : i + 8], 2) for i in range(0, len(digits), 8)), "text")
