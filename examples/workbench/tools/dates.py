"""Tools for dates, times, durations, calendars and time zones.

Time zones need the IANA database: the system's, or the package `tzdata` where the system has none. UTC
always works.
"""

import calendar
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import count, islice
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

Year = Annotated[int, Field(ge=1, le=9_999)]
Month = Annotated[int, Field(ge=1, le=12)]
Steps = Annotated[int, Field(ge=-4_000_000, le=4_000_000)]
Dates = Annotated[list[date], Field(max_length=10_000)]
Zone = Annotated[str, Field(min_length=1, max_length=60)]
Weekday = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
Pattern = Annotated[str, Field(pattern="^([^%]|%[aAbBdjmUwWyYHIMpSfGVu%])+$", max_length=100)]
Duration = Annotated[str, Field(max_length=60)]

_WEEKDAYS: tuple[Weekday, ...] = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)
_DURATION = re.compile(
    r"(?P<sign>[+-]?)P(?=.)(?:(?P<weeks>[0-9]+)W)?(?:(?P<days>[0-9]+)D)?"
    r"(?:T(?=.)(?:(?P<hours>[0-9]+)H)?(?:(?P<minutes>[0-9]+)M)?(?:(?P<seconds>[0-9]+(?:\.[0-9]{1,6})?)S)?)?"
)
_FORMATS = (
    "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%d %B %Y", "%d %b %Y", "%B %d, %Y",
    "%b %d, %Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
)  # fmt: skip
_MAX_DATES = 5_000
_MAX_BUSINESS_DAYS = 50_000


@dataclass(frozen=True)
class Difference:
    days: int
    years: int
    months: int
    remaining_days: int


@dataclass(frozen=True)
class IsoWeek:
    year: int
    week: int
    weekday: int
    text: str


@dataclass(frozen=True)
class Quarter:
    year: int
    quarter: int
    first_day: str
    last_day: str


@dataclass(frozen=True)
class Age:
    years: int
    days_to_birthday: int


@dataclass(frozen=True)
class ParsedDate:
    date: str
    time: str
    format: str


@dataclass(frozen=True)
class Offset:
    zone: str
    abbreviation: str
    utc_offset: str
    daylight_saving: bool


@dataclass(frozen=True)
class Overlap:
    start: str
    end: str
    days: int


def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError(
            f"time zone must be an IANA name such as Europe/Berlin, got {name!r}: fix it, or install tzdata"
        ) from error


def _month_length(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9_999:
        raise ValueError(f"the result must be in the years 1 to 9999, got {year}: add less")
    return date(year, month + 1, min(day.day, _month_length(year, month + 1)))


def _ordered(start: date, end: date) -> None:
    if start > end:
        raise ValueError(f"start must be <= end, got {start} and {end}: swap them")


def _business_days(start: date, step: int, holidays: list[date]) -> Iterator[date]:
    """Yield the business days from `start` on, itself included, forwards or backwards."""
    free = set(holidays)
    days = (start + timedelta(step * index) for index in count())
    return (day for day in days if day.weekday() < 5 and day not in free)


def _aware(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def _clock(seconds: float) -> str:
    sign = "-" if seconds < 0 else "+"
    minutes = round(abs(seconds) / 60)
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def add_to_date(start: date, years: Steps = 0, months: Steps = 0, weeks: Steps = 0, days: Steps = 0) -> str:
    """Add years, months, weeks and days to a date, or subtract them.

    31 January plus a month is the last of February.

    Args:
        start: The date to start from.
        years: Years to add; negative to subtract.
        months: Months to add; negative to subtract.
        weeks: Weeks to add; negative to subtract.
        days: Days to add; negative to subtract.
    """
    return (_add_months(start, years * 12 + months) + timedelta(days=days, weeks=weeks)).isoformat()


def add_to_time(
    moment: datetime,
    hours: Annotated[float, Field(ge=-1e8, le=1e8)] = 0,
    minutes: Annotated[float, Field(ge=-1e9, le=1e9)] = 0,
    seconds: Annotated[float, Field(ge=-1e11, le=1e11)] = 0,
) -> str:
    """Add hours, minutes and seconds to a date and time, or subtract them.

    Args:
        moment: The date and time to start from, ISO 8601; its offset, if any, is kept.
        hours: Hours to add; negative to subtract.
        minutes: Minutes to add; negative to subtract.
        seconds: Seconds to add; negative to subtract.
    """
    return (moment + timedelta(hours=hours, minutes=minutes, seconds=seconds)).isoformat()


def date_difference(start: date, end: date) -> Difference:
    """Compute the time between two dates, in days and in years, months and days.

    Args:
        start: The earlier date.
        end: The later date.
    """
    _ordered(start, end)
    months = (end.year - start.year) * 12 + end.month - start.month
    if _add_months(start, months) > end:
        months -= 1
    return Difference((end - start).days, months // 12, months % 12, (end - _add_months(start, months)).days)


def time_difference(
    start: datetime, end: datetime, unit: Literal["seconds", "minutes", "hours", "days"] = "hours"
) -> float:
    """Compute the time between two moments in seconds, minutes, hours or days, negative if reversed.

    Args:
        start: The first date and time, ISO 8601, in UTC unless it has an offset.
        end: The second date and time, in UTC unless it has an offset.
        unit: The unit of the result.
    """
    length = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}[unit]
    return (_aware(end, UTC) - _aware(start, UTC)).total_seconds() / length


def day_of_week(day: date) -> Weekday:
    """Tell which day of the week a date is.

    Args:
        day: The date.
    """
    return _WEEKDAYS[day.weekday()]


def day_of_year(day: date) -> int:
    """Tell which day of the year a date is, from 1 to 366.

    Args:
        day: The date.
    """
    return day.timetuple().tm_yday


def iso_week(day: date) -> IsoWeek:
    """Find the ISO 8601 week number of a date.

    Args:
        day: The date.
    """
    year, week, weekday = day.isocalendar()
    return IsoWeek(year, week, weekday, f"{year:04d}-W{week:02d}-{weekday}")


def date_from_iso_week(
    year: Year, week: Annotated[int, Field(ge=1, le=53)], weekday: Weekday = "Monday"
) -> str:
    """Find the date of a day in an ISO 8601 week.

    Args:
        year: The week's year.
        week: The week's number.
        weekday: The day in that week.
    """
    return date.fromisocalendar(year, week, _WEEKDAYS.index(weekday) + 1).isoformat()


def month_calendar(year: Year, month: Month, first_weekday: Literal["Monday", "Sunday"] = "Monday") -> str:
    """Draw the calendar of a month as text, one line for each week.

    Args:
        year: The year.
        month: The month's number.
        first_weekday: The day that starts each week.
    """
    return calendar.TextCalendar(_WEEKDAYS.index(first_weekday)).formatmonth(year, month)


def days_in_month(year: Year, month: Month) -> int:
    """Count the days of a month.

    Args:
        year: The year, for February.
        month: The month's number.
    """
    return _month_length(year, month)


def is_leap_year(year: Year) -> bool:
    """Tell whether a year is a leap year of the Gregorian calendar.

    Args:
        year: The year.
    """
    return calendar.isleap(year)


def month_boundaries(day: date) -> Overlap:
    """Find the first and last day of the month that a date is in, and how many days that month has.

    Args:
        day: Any date of the month.
    """
    length = _month_length(day.year, day.month)
    return Overlap(day.replace(day=1).isoformat(), day.replace(day=length).isoformat(), length)


def quarter_of_date(day: date) -> Quarter:
    """Find the calendar quarter of a date, with its first and last day.

    Args:
        day: The date.
    """
    quarter = (day.month + 2) // 3
    last = date(day.year, quarter * 3, _month_length(day.year, quarter * 3))
    return Quarter(day.year, quarter, date(day.year, quarter * 3 - 2, 1).isoformat(), last.isoformat())


def age_on_date(birth: date, day: date) -> Age:
    """Compute somebody's age in years on a date, and the days until the next birthday.

    Args:
        birth: The date of birth.
        day: The date on which to tell the age.
    """
    _ordered(birth, day)
    years = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    following = _add_months(birth, 12 * (years if _add_months(birth, 12 * years) == day else years + 1))
    return Age(years, (following - day).days)


def business_days_between(start: date, end: date, holidays: Dates | None = None) -> int:
    """Count the business days (Monday to Friday) between two dates, both included, without holidays.

    Args:
        start: The first date.
        end: The last date.
        holidays: Dates that do not count.
    """
    _ordered(start, end)
    weeks, rest = divmod((end - start).days + 1, 7)
    days = weeks * 5 + sum((start.weekday() + index) % 7 < 5 for index in range(rest))
    return days - sum(start <= day <= end and day.weekday() < 5 for day in set(holidays or []))


def add_business_days(
    start: date,
    days: Annotated[int, Field(ge=-_MAX_BUSINESS_DAYS, le=_MAX_BUSINESS_DAYS)],
    holidays: Dates | None = None,
) -> str:
    """Find the date a number of business days (Monday to Friday, without holidays) after or before a date.

    Args:
        start: The date to start from, which itself is not counted.
        days: How many business days to go; negative to go back.
        holidays: Dates that do not count.
    """
    if days == 0:
        return start.isoformat()
    step = 1 if days > 0 else -1
    found = _business_days(start + timedelta(step), step, holidays or [])
    return next(islice(found, abs(days) - 1, None)).isoformat()


def easter_date(year: Annotated[int, Field(ge=1583, le=9_999)]) -> str:
    """Find the date of Easter Sunday in the Western churches.

    Args:
        year: The year.
    """
    golden, century = year % 19, year // 100
    # The age of the moon on 1 January by the Gregorian lunar calendar, adjusted as the computus demands.
    epact = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon = epact - (epact // 28) * (1 - (29 // (epact + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    return (date(year, 3, 28) + timedelta(moon - weekday)).isoformat()


def nth_weekday_of_month(
    year: Year,
    month: Month,
    weekday: Weekday,
    position: Literal["first", "second", "third", "fourth", "fifth", "last"],
) -> str:
    """Find a weekday of a month by its position, such as the third Friday or the last Monday.

    Args:
        year: The year.
        month: The month's number.
        weekday: The day of the week.
        position: Which of them in the month.
    """
    length = _month_length(year, month)
    days = [
        day for day in range(1, length + 1) if date(year, month, day).weekday() == _WEEKDAYS.index(weekday)
    ]
    index = ("first", "second", "third", "fourth", "fifth", "last").index(position)
    if index == 4 and len(days) == 4:
        raise ValueError(f"{year}-{month:02d} must have a fifth {weekday}, got four: use last")
    return date(year, month, days[-1 if position == "last" else index]).isoformat()


def next_weekday(start: date, weekday: Weekday, direction: Literal["after", "before"] = "after") -> str:
    """Find the next given weekday after a date, or the last one before it.

    Args:
        start: The date to start from, which itself does not count.
        weekday: The day of the week to find.
        direction: Whether to look after or before.
    """
    distance = _WEEKDAYS.index(weekday) - start.weekday()
    days = (distance - 1) % 7 + 1 if direction == "after" else -((-distance - 1) % 7 + 1)
    return (start + timedelta(days)).isoformat()


def list_dates(
    start: date,
    end: date,
    step: Annotated[int, Field(ge=1, le=1_000)] = 1,
    unit: Literal["days", "weeks", "months", "business days"] = "days",
) -> list[str]:
    """List the dates from a start to an end at regular steps, at most 5,000.

    Args:
        start: The first date.
        end: The limit, which is included where a step meets it.
        step: How many units apart the dates are.
        unit: The unit of the step.
    """
    span, months = (end - start).days, (end.year - start.year) * 12 + end.month - start.month
    found: Iterator[date]
    if unit == "months":
        found = (_add_months(start, offset) for offset in range(0, months + 1, step))
    elif unit == "business days":
        days = (start + timedelta(offset) for offset in range(span + 1))
        found = islice((day for day in days if day.weekday() < 5), 0, None, step)
    else:
        found = (
            start + timedelta(offset) for offset in range(0, span + 1, step * (7 if unit == "weeks" else 1))
        )
    listed = [day.isoformat() for day in islice(found, _MAX_DATES + 1) if day <= end]
    if len(listed) > _MAX_DATES:
        raise ValueError(f"the range must have at most {_MAX_DATES:,} dates, got more: use a longer step")
    return listed


def date_ranges_overlap(
    first_start: date, first_end: date, second_start: date, second_end: date
) -> Overlap | None:
    """Find the overlap of two date ranges, ends included, or null if they have none.

    Args:
        first_start: The first day of one range.
        first_end: The last day of it.
        second_start: The first day of the other range.
        second_end: The last day of it.
    """
    _ordered(first_start, first_end)
    _ordered(second_start, second_end)
    start, end = max(first_start, second_start), min(first_end, second_end)
    return Overlap(start.isoformat(), end.isoformat(), (end - start).days + 1) if start <= end else None


def parse_date(
    text: Annotated[str, Field(min_length=1, max_length=100)],
    formats: Annotated[list[Pattern], Field(min_length=1, max_length=20)] | None = None,
) -> ParsedDate:
    """Read a date, or a date and time, written in one of several formats.

    Args:
        text: The date as written.
        formats: Formats in strptime codes, tried in order; by default the common ones, day before month.
    """
    tried = formats or list(_FORMATS)
    for pattern in tried:
        try:
            found = datetime.strptime(text.strip(), pattern)  # noqa: DTZ007 - the text has no zone
        except (ValueError, re.error):  # re.error: a code that occurs twice
            continue
        return ParsedDate(found.date().isoformat(), found.time().isoformat(), pattern)
    raise ValueError(f"text must be a date in one of {tried}, got {text!r}: correct it or give its format")


def format_date(moment: datetime, pattern: Pattern) -> str:
    """Write a date or a date and time in a format, such as %d.%m.%Y or %A, %d %B %Y.

    Args:
        moment: The date, or date and time, ISO 8601.
        pattern: The format in strftime codes.
    """
    return moment.strftime(pattern)


def convert_time_zone(moment: datetime, to_zone: Zone, from_zone: Zone = "UTC") -> str:
    """Convert a date and time from one time zone to another.

    Args:
        moment: The date and time, ISO 8601.
        to_zone: The IANA name of the zone to convert to, such as Asia/Tokyo.
        from_zone: The IANA name of the zone that the time is in, unless it has an offset of its own.
    """
    return _aware(moment, _zone(from_zone)).astimezone(_zone(to_zone)).isoformat()


def time_zone_offset(moment: datetime, zone: Zone) -> Offset:
    """Find a time zone's offset from UTC at a date and time, and whether daylight saving time holds.

    Args:
        moment: The date and time, ISO 8601, in that zone unless it has an offset.
        zone: The IANA name of the zone, such as America/New_York.
    """
    local = _aware(moment, _zone(zone)).astimezone(_zone(zone))
    offset, saving = local.utcoffset() or timedelta(), local.dst() or timedelta()
    return Offset(zone, local.tzname() or "", _clock(offset.total_seconds()), bool(saving))


def to_unix_timestamp(moment: datetime, zone: Zone = "UTC") -> float:
    """Convert a date and time to a Unix timestamp, the seconds since 1970.

    Args:
        moment: The date and time, ISO 8601.
        zone: The IANA name of the zone that the time is in, unless it has an offset of its own.
    """
    return (_aware(moment, _zone(zone)) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def from_unix_timestamp(
    timestamp: Annotated[float, Field(ge=-1e15, le=1e15)],
    unit: Literal["seconds", "milliseconds"] = "seconds",
    zone: Zone = "UTC",
) -> str:
    """Convert a Unix timestamp to a date and time.

    Args:
        timestamp: The time since 1970.
        unit: The unit of the timestamp.
        zone: The IANA name of the zone to show it in.
    """
    seconds = timestamp / 1_000 if unit == "milliseconds" else timestamp
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(_zone(zone)).isoformat()


def parse_duration(duration: Duration) -> float:
    """Read an ISO 8601 duration, such as P1DT2H30M, as seconds.

    Args:
        duration: The duration in weeks, days, hours, minutes and seconds; years and months vary.
    """
    if not (found := _DURATION.fullmatch(duration)):
        raise ValueError(f"duration must be ISO 8601 without years or months, got {duration!r}: try PT1H30M")
    sign, *parts = found.groups(default="0")
    lengths = (604_800, 86_400, 3_600, 60, 1)
    total = math.fsum(float(part) * length for part, length in zip(parts, lengths, strict=True))
    return -total if sign == "-" else total


def format_duration(
    seconds: Annotated[float, Field(ge=-1e14, le=1e14)], style: Literal["iso", "words", "clock"] = "words"
) -> str:
    """Write a number of seconds as a duration: 1 day 2 hours 30 minutes, P1DT2H30M or 26:30:00.

    Args:
        seconds: How long it is.
        style: In words, in ISO 8601 or as on a clock.
    """
    whole, millis = divmod(round(abs(seconds) * 1_000), 1_000)
    minutes, secs = divmod(whole, 60)
    sign = "-" if seconds < 0 and (whole or millis) else ""
    fraction = f".{millis:03d}".rstrip("0") if millis else ""
    if style == "clock":
        return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{secs:02d}{fraction}"
    days, hours, last = minutes // 1_440, minutes // 60 % 24, f"{secs}{fraction}"
    parts = [(str(days), "day"), (str(hours), "hour"), (str(minutes % 60), "minute"), (last, "second")]
    if style == "words":
        words = [f"{amount} {name}{'' if amount == '1' else 's'}" for amount, name in parts if amount != "0"]
        return sign + (" ".join(words) or "0 seconds")
    day, *times = [amount + name[0].upper() if amount != "0" else "" for amount, name in parts]
    clock = "".join(times)
    return f"{sign}P{day}{'T' + clock if clock else ''}" if day or clock else "PT0S"
