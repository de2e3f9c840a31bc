"""Tools for colours: conversions, contrast, mixing and palettes."""

import colorsys
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Color = Annotated[str, Field(pattern="^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")]
Byte = Annotated[int, Field(ge=0, le=255)]
Degrees = Annotated[float, Field(ge=0, le=360, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


@dataclass(frozen=True)
class Rgb:
    red: int
    green: int
    blue: int


@dataclass(frozen=True)
class Hsl:
    hue: float
    saturation: float
    lightness: float


@dataclass(frozen=True)
class Hsv:
    hue: float
    saturation: float
    value: float


@dataclass(frozen=True)
class Cmyk:
    cyan: float
    magenta: float
    yellow: float
    key: float


@dataclass(frozen=True)
class Contrast:
    ratio: float
    aa_text: bool
    aa_large_text: bool
    aaa_text: bool


def _channels(color: str) -> tuple[float, float, float]:
    """Return red, green and blue from 0 to 1."""
    digits = color.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def _hex(red: float, green: float, blue: float) -> str:
    return "#" + "".join(f"{round(min(max(channel, 0), 1) * 255):02x}" for channel in (red, green, blue))


def _moved(color: str, *, hue: float = 0, lightness: float = 0) -> str:
    """Turn a colour's hue by a part of the circle, and add to its lightness from 0 to 1."""
    h, light, s = colorsys.rgb_to_hls(*_channels(color))
    return _hex(*colorsys.hls_to_rgb((h + hue) % 1, min(max(light + lightness, 0), 1), s))


def _luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def color_to_rgb(color: Color) -> Rgb:
    """Convert a hex colour to red, green and blue from 0 to 255.

    Args:
        color: A colour such as `#ff8800` or `#f80`.
    """
    red, green, blue = (round(channel * 255) for channel in _channels(color))
    return Rgb(red, green, blue)


def rgb_to_hex(red: Byte, green: Byte, blue: Byte) -> str:
    """Convert red, green and blue to a hex colour.

    Args:
        red: The red channel.
        green: The green channel.
        blue: The blue channel.
    """
    return f"#{red:02x}{green:02x}{blue:02x}"


def color_to_hsl(color: Color) -> Hsl:
    """Convert a hex colour to hue in degrees, saturation and lightness in percent (HSL).

    Args:
        color: A colour such as `#ff8800` or `#f80`.
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(color))
    return Hsl(round(hue * 360, 1), round(saturation * 100, 1), round(lightness * 100, 1))


def hsl_to_hex(hue: Degrees, saturation: Percent, lightness: Percent) -> str:
    """Convert hue, saturation and lightness (HSL) to a hex colour.

    Args:
        hue: The hue in degrees.
        saturation: The saturation in percent.
        lightness: The lightness in percent.
    """
    return _hex(*colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100))


def color_to_hsv(color: Color) -> Hsv:
    """Convert a hex colour to hue in degrees, saturation and value in percent (HSV).

    Args:
        color: A colour such as `#ff8800` or `#f80`.
    """
    hue, saturation, value = colorsys.rgb_to_hsv(*_channels(color))
    return Hsv(round(hue * 360, 1), round(saturation * 100, 1), round(value * 100, 1))


def hsv_to_hex(hue: Degrees, saturation: Percent, value: Percent) -> str:
    """Convert hue, saturation and value (HSV) to a hex colour.

    Args:
        hue: The hue in degrees.
        saturation: The saturation in percent.
        value: The value (brightness) in percent.
    """
    return _hex(*colorsys.hsv_to_rgb(hue / 360, saturation / 100, value / 100))


def color_to_cmyk(color: Color) -> Cmyk:
    """Convert a hex colour to cyan, magenta, yellow and black in percent (CMYK), without a profile.

    Args:
        color: A colour such as `#ff8800` or `#f80`.
    """
    channels = _channels(color)
    light = max(channels)
    cyan, magenta, yellow = (
        round((light - channel) / light * 100, 1) if light else 0.0 for channel in channels
    )
    return Cmyk(cyan, magenta, yellow, round((1 - light) * 100, 1))


def contrast_ratio(first: Color, second: Color) -> Contrast:
    """Compute the WCAG contrast ratio of two colours, and whether text in them is readable.

    Args:
        first: The colour of the text.
        second: The colour of the background.
    """
    dark, light = sorted((_luminance(first), _luminance(second)))
    ratio = (light + 0.05) / (dark + 0.05)
    return Contrast(round(ratio, 2), aa_text=ratio >= 4.5, aa_large_text=ratio >= 3, aaa_text=ratio >= 7)


def readable_text_color(background: Color) -> Literal["#000000", "#ffffff"]:
    """Choose black or white text for a background colour, whichever has more contrast.

    Args:
        background: The colour behind the text.
    """
    return "#000000" if _luminance(background) > 0.179 else "#ffffff"


def mix_colors(first: Color, second: Color, share: Percent = 50) -> str:
    """Mix two colours.

    Args:
        first: One colour.
        second: The other colour.
        share: How much of the second colour to take, in percent.
    """
    part = share / 100
    red, green, blue = (a + (b - a) * part for a, b in zip(_channels(first), _channels(second), strict=True))
    return _hex(red, green, blue)


def lighten_color(color: Color, amount: Percent) -> str:
    """Make a colour lighter.

    Args:
        color: The colour.
        amount: How many percentage points of lightness to add.
    """
    return _moved(color, lightness=amount / 100)


def darken_color(color: Color, amount: Percent) -> str:
    """Make a colour darker.

    Args:
        color: The colour.
        amount: How many percentage points of lightness to take away.
    """
    return _moved(color, lightness=-amount / 100)


def complementary_color(color: Color) -> str:
    """Find the complementary colour, opposite on the colour wheel.

    Args:
        color: The colour.
    """
    return _moved(color, hue=0.5)


def color_palette(
    color: Color,
    scheme: Literal["analogous", "triadic", "tetradic", "split_complementary", "shades"] = "analogous",
) -> list[str]:
    """Make a palette of colours that go with a colour.

    Args:
        color: The colour to start from.
        scheme: How to choose the others on the colour wheel; `shades` varies the lightness instead.
    """
    if scheme == "shades":
        return [_moved(color, lightness=step / 10) for step in (-4, -2, 0, 2, 4)]
    turns = {
        "analogous": (-30, 0, 30),
        "triadic": (0, 120, 240),
        "tetradic": (0, 90, 180, 270),
        "split_complementary": (0, 150, 210),
    }[scheme]
    return [_moved(color, hue=turn / 360) for turn in turns]
