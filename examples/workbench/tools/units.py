"""Tools that convert quantities between units, each exactly rounded once."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final, Literal

from examples.workbench.numeric import NonNegative, Number, Positive

LengthUnit = Literal[
    "nm", "um", "mm", "cm", "m", "km", "in", "ft", "yd", "mi", "nautical mile", "light-year"
]  # fmt: skip
MassUnit = Literal["mg", "g", "kg", "t", "oz", "lb", "stone", "US ton", "carat"]
VolumeUnit = Literal[
    "ml", "cl", "l", "m3", "cm3", "teaspoon", "tablespoon", "US fl oz", "cup", "US pint", "US quart",
    "US gallon", "UK pint", "UK gallon", "ft3",
]  # fmt: skip
AreaUnit = Literal["mm2", "cm2", "m2", "km2", "hectare", "in2", "ft2", "yd2", "acre", "mi2"]
TemperatureUnit = Literal["C", "F", "K", "R"]
SpeedUnit = Literal["m/s", "km/h", "mph", "knot", "ft/s"]
PressureUnit = Literal["Pa", "hPa", "kPa", "MPa", "bar", "mbar", "atm", "psi", "mmHg"]
EnergyUnit = Literal["J", "kJ", "MJ", "cal", "kcal", "Wh", "kWh", "BTU", "eV"]
PowerUnit = Literal["W", "kW", "MW", "hp", "PS", "BTU/h"]
ForceUnit = Literal["N", "kN", "lbf", "kgf", "dyn"]
DataUnit = Literal["bit", "B", "kB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB", "PiB"]
DataRateUnit = Literal[
    "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "B/s", "kB/s", "MB/s", "GB/s", "KiB/s", "MiB/s", "GiB/s"
]
AngleUnit = Literal["degree", "radian", "gradian", "turn", "arcminute", "arcsecond"]
TimeUnit = Literal["ns", "us", "ms", "s", "min", "h", "day", "week", "year"]
FuelUnit = Literal["l/100km", "km/l", "US mpg", "UK mpg"]

_FOOT: Final = Fraction("0.3048")
_POUND: Final = Fraction("0.45359237")
_GALLON: Final = Fraction("3.785411784")
_UK_GALLON: Final = Fraction("4.54609")
_BTU: Final = Fraction("1055.05585262")
_LIGHT: Final = 299_792_458
_PI: Final = Fraction(math.pi)

_LENGTH: Final[Mapping[LengthUnit, Fraction | int]] = {
    "nm": Fraction(1, 10**9), "um": Fraction(1, 10**6), "mm": Fraction(1, 1000), "cm": Fraction(1, 100),
    "m": 1, "km": 1000, "in": _FOOT / 12, "ft": _FOOT, "yd": _FOOT * 3, "mi": _FOOT * 5280,
    "nautical mile": 1852, "light-year": _LIGHT * 31_557_600,
}  # fmt: skip
_MASS: Final[Mapping[MassUnit, Fraction | int]] = {
    "mg": Fraction(1, 10**6), "g": Fraction(1, 1000), "kg": 1, "t": 1000, "oz": _POUND / 16,
    "lb": _POUND, "stone": _POUND * 14, "US ton": _POUND * 2000, "carat": Fraction(1, 5000),
}  # fmt: skip
_VOLUME: Final[Mapping[VolumeUnit, Fraction | int]] = {
    "ml": Fraction(1, 1000), "cl": Fraction(1, 100), "l": 1, "m3": 1000, "cm3": Fraction(1, 1000),
    "teaspoon": _GALLON / 768, "tablespoon": _GALLON / 256, "US fl oz": _GALLON / 128, "cup": _GALLON / 16,
    "US pint": _GALLON / 8, "US quart": _GALLON / 4, "US gallon": _GALLON, "UK pint": _UK_GALLON / 8,
    "UK gallon": _UK_GALLON, "ft3": _FOOT**3 * 1000,
}  # fmt: skip
_AREA: Final[Mapping[AreaUnit, Fraction | int]] = {
    "mm2": Fraction(1, 10**6), "cm2": Fraction(1, 10**4), "m2": 1, "km2": 10**6,
    "hectare": 10**4, "in2": _FOOT**2 / 144, "ft2": _FOOT**2, "yd2": _FOOT**2 * 9,
    "acre": _FOOT**2 * 43_560, "mi2": (_FOOT * 5280) ** 2,
}  # fmt: skip
_SPEED: Final[Mapping[SpeedUnit, Fraction | int]] = {
    "m/s": 1, "km/h": Fraction(1000, 3600), "mph": _FOOT * 5280 / 3600, "knot": Fraction(1852, 3600),
    "ft/s": _FOOT,
}  # fmt: skip
_FORCE: Final[Mapping[ForceUnit, Fraction | int]] = {
    "N": 1, "kN": 1000, "lbf": _POUND * Fraction("9.80665"), "kgf": Fraction("9.80665"),
    "dyn": Fraction(1, 10**5),
}  # fmt: skip
_PRESSURE: Final[Mapping[PressureUnit, Fraction | int]] = {
    "Pa": 1, "hPa": 100, "kPa": 1000, "MPa": 10**6, "bar": 10**5,
    "mbar": 100, "atm": 101_325, "psi": _FORCE["lbf"] / (_FOOT / 12) ** 2,
    "mmHg": Fraction("133.322387415"),
}  # fmt: skip
_ENERGY: Final[Mapping[EnergyUnit, Fraction | int]] = {
    "J": 1, "kJ": 1000, "MJ": 10**6, "cal": Fraction("4.184"), "kcal": 4184,
    "Wh": 3600, "kWh": 3_600_000, "BTU": _BTU,
    "eV": Fraction("1.602176634e-19"),
}  # fmt: skip
_POWER: Final[Mapping[PowerUnit, Fraction | int]] = {
    "W": 1, "kW": 1000, "MW": 10**6, "hp": _FORCE["lbf"] * _FOOT * 550,
    "PS": Fraction("735.49875"), "BTU/h": _BTU / 3600,
}  # fmt: skip
_DATA: Final[Mapping[DataUnit, Fraction | int]] = {
    "bit": Fraction(1, 8), "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9,
    "TB": 10**12, "PB": 10**15, "KiB": 2**10, "MiB": 2**20,
    "GiB": 2**30, "TiB": 2**40, "PiB": 2**50,
}  # fmt: skip
_DATA_RATE: Final[Mapping[DataRateUnit, Fraction | int]] = {
    "bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9,
    "B/s": 8, "kB/s": 8 * 10**3, "MB/s": 8 * 10**6, "GB/s": 8 * 10**9,
    "KiB/s": 2**13, "MiB/s": 2**23, "GiB/s": 2**33,
}  # fmt: skip
_ANGLE: Final[Mapping[AngleUnit, Fraction | int]] = {
    "degree": 1, "radian": 180 / _PI, "gradian": Fraction(9, 10), "turn": 360,
    "arcminute": Fraction(1, 60), "arcsecond": Fraction(1, 3600),
}  # fmt: skip
_TIME: Final[Mapping[TimeUnit, Fraction | int]] = {
    "ns": Fraction(1, 10**9), "us": Fraction(1, 10**6), "ms": Fraction(1, 1000), "s": 1,
    "min": 60, "h": 3600, "day": 86_400, "week": 604_800,
    "year": 31_557_600,
}  # fmt: skip
_TEMPERATURE: Final[Mapping[TemperatureUnit, tuple[Fraction, Fraction]]] = {
    "C": (Fraction(1), Fraction("273.15")), "F": (Fraction(5, 9), Fraction("459.67") * 5 / 9),
    "K": (Fraction(1), Fraction(0)), "R": (Fraction(5, 9), Fraction(0)),
}  # fmt: skip
"""Kelvin = scale * value + offset."""

_KM_PER_LITRE: Final[Mapping[str, Fraction]] = {
    "km/l": Fraction(1),
    "US mpg": _FOOT * 5280 / 1000 / _GALLON,
    "UK mpg": _FOOT * 5280 / 1000 / _UK_GALLON,
}


def _exact(value: float) -> Fraction:
    return Fraction(repr(value))


def _convert(value: float, source: Fraction | int, target: Fraction | int) -> float:
    return float(_exact(value) * source / target)


def convert_length(value: Number, from_unit: LengthUnit, to_unit: LengthUnit) -> float:
    """Convert a length or distance between metric and imperial units, such as miles to kilometres.

    Args:
        value: The length.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    return _convert(value, _LENGTH[from_unit], _LENGTH[to_unit])


def convert_mass(value: Number, from_unit: MassUnit, to_unit: MassUnit) -> float:
    """Convert a mass or weight between units, such as pounds to kilograms.

    Args:
        value: The mass.
        from_unit: The unit that it is in; t is the metric tonne.
        to_unit: The unit to convert to.
    """
    return _convert(value, _MASS[from_unit], _MASS[to_unit])


def convert_volume(value: Number, from_unit: VolumeUnit, to_unit: VolumeUnit) -> float:
    """Convert a volume between units, such as gallons to litres, or cups to millilitres for a recipe.

    Args:
        value: The volume.
        from_unit: The unit that it is in; cup and spoons are the US ones.
        to_unit: The unit to convert to.
    """
    return _convert(value, _VOLUME[from_unit], _VOLUME[to_unit])


def convert_area(value: Number, from_unit: AreaUnit, to_unit: AreaUnit) -> float:
    """Convert an area between units, such as acres to hectares or square feet to square metres.

    Args:
        value: The area.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    return _convert(value, _AREA[from_unit], _AREA[to_unit])


def convert_temperature(value: Number, from_unit: TemperatureUnit, to_unit: TemperatureUnit) -> float:
    """Convert a temperature between Celsius, Fahrenheit, Kelvin and Rankine.

    Args:
        value: The temperature.
        from_unit: The scale that it is on.
        to_unit: The scale to convert to.
    """
    scale, offset = _TEMPERATURE[from_unit]
    kelvin = scale * _exact(value) + offset
    if kelvin < 0:
        raise ValueError(f"value must not be below absolute zero, got {value} {from_unit}: correct it")
    scale, offset = _TEMPERATURE[to_unit]
    return float((kelvin - offset) / scale)


def convert_speed(value: Number, from_unit: SpeedUnit, to_unit: SpeedUnit) -> float:
    """Convert a speed between units, such as miles per hour to kilometres per hour, or knots.

    Args:
        value: The speed.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    return _convert(value, _SPEED[from_unit], _SPEED[to_unit])


def convert_force(value: Number, from_unit: ForceUnit, to_unit: ForceUnit) -> float:
    """Convert a force between units, such as newtons to pounds-force.

    Args:
        value: The force.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    return _convert(value, _FORCE[from_unit], _FORCE[to_unit])


def convert_pressure(value: Number, from_unit: PressureUnit, to_unit: PressureUnit) -> float:
    """Convert a pressure between units, such as psi to bar, or hectopascals to millimetres of mercury.

    Args:
        value: The pressure.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    return _convert(value, _PRESSURE[from_unit], _PRESSURE[to_unit])


def convert_energy(value: Number, from_unit: EnergyUnit, to_unit: EnergyUnit) -> float:
    """Convert an energy between units, such as kilocalories to kilojoules, or kilowatt-hours to megajoules.

    Args:
        value: The energy.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    return _convert(value, _ENERGY[from_unit], _ENERGY[to_unit])


def convert_power(value: Number, from_unit: PowerUnit, to_unit: PowerUnit) -> float:
    """Convert a power between units, such as horsepower to kilowatts.

    Args:
        value: The power.
        from_unit: The unit that it is in; hp is mechanical, PS metric horsepower.
        to_unit: The unit to convert to.
    """
    return _convert(value, _POWER[from_unit], _POWER[to_unit])


def convert_data_size(value: NonNegative, from_unit: DataUnit, to_unit: DataUnit) -> float:
    """Convert an amount of data between bits, bytes, decimal units (MB) and binary units (MiB).

    Args:
        value: The amount.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    return _convert(value, _DATA[from_unit], _DATA[to_unit])


def convert_data_rate(value: NonNegative, from_unit: DataRateUnit, to_unit: DataRateUnit) -> float:
    """Convert a data rate (bandwidth) between units, such as megabits per second to megabytes per second.

    Args:
        value: The rate.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    return _convert(value, _DATA_RATE[from_unit], _DATA_RATE[to_unit])


def convert_angle(value: Number, from_unit: AngleUnit, to_unit: AngleUnit) -> float:
    """Convert an angle between degrees, radians, gradians, turns, arcminutes and arcseconds.

    Args:
        value: The angle.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    return _convert(value, _ANGLE[from_unit], _ANGLE[to_unit])


def convert_time_duration(value: Number, from_unit: TimeUnit, to_unit: TimeUnit) -> float:
    """Convert a length of time between units, from nanoseconds to years.

    Args:
        value: The length of time.
        from_unit: The unit that it is in; a year has 365.25 days.
        to_unit: The unit to convert to.
    """
    return _convert(value, _TIME[from_unit], _TIME[to_unit])


def convert_fuel_economy(value: Positive, from_unit: FuelUnit, to_unit: FuelUnit) -> float:
    """Convert fuel consumption between litres per 100 km, kilometres per litre and miles per gallon.

    Args:
        value: The consumption or economy.
        from_unit: The unit that it is in.
        to_unit: The unit to convert to.
    """
    exact = _exact(value)
    economy = 100 / exact if from_unit == "l/100km" else exact * _KM_PER_LITRE[from_unit]
    return float(100 / economy if to_unit == "l/100km" else economy / _KM_PER_LITRE[to_unit])


def frequency_to_wavelength(frequency_hz: Positive, wave_speed: Positive = _LIGHT) -> float:
    """Convert a frequency to the wavelength in metres, of light unless another wave speed is given.

    Args:
        frequency_hz: The frequency in hertz.
        wave_speed: The speed of the wave in metres per second; 343 for sound in air.
    """
    return float(_exact(wave_speed) / _exact(frequency_hz))


def wavelength_to_frequency(wavelength_m: Positive, wave_speed: Positive = _LIGHT) -> float:
    """Convert a wavelength to the frequency in hertz, of light unless another wave speed is given.

    Args:
        wavelength_m: The wavelength in metres.
        wave_speed: The speed of the wave in metres per second; 343 for sound in air.
    """
    return float(_exact(wave_speed) / _exact(wavelength_m))
