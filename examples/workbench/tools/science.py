"""Tools for physics and chemistry, in SI units."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from examples.workbench.numeric import FiniteResult, NonNegative, Number, Positive, finite

Formula = Annotated[str, Field(min_length=1, max_length=100)]
Gravity = Annotated[float, Field(gt=0, le=1_000)]
Resistances = Annotated[list[Positive], Field(min_length=1, max_length=1_000)]

_GAS_CONSTANT: Final = 8.31446261815324
_LIGHT: Final = 299_792_458
_PLANCK: Final = 6.62607015e-34
_ELECTRON_VOLT: Final = 1.602176634e-19
_GRAVITATION: Final = 6.6743e-11
_STANDARD_GRAVITY: Final = 9.80665
_TABLE: Final = """
H 1.008 He 4.003 Li 6.94 Be 9.012 B 10.81 C 12.011 N 14.007 O 15.999 F 18.998 Ne 20.18 Na 22.99 Mg
24.305 Al 26.982 Si 28.085 P 30.974 S 32.06 Cl 35.45 Ar 39.95 K 39.098 Ca 40.078 Sc 44.956 Ti 47.867 V
50.941 Cr 51.996 Mn 54.938 Fe 55.845 Co 58.933 Ni 58.693 Cu 63.546 Zn 65.38 Ga 69.723 Ge 72.63 As 74.922
Se 78.971 Br 79.904 Kr 83.798 Rb 85.468 Sr 87.62 Y 88.906 Zr 91.224 Nb 92.906 Mo 95.95 Tc 98 Ru 101.07
Rh 102.905 Pd 106.42 Ag 107.868 Cd 112.414 In 114.818 Sn 118.71 Sb 121.76 Te 127.6 I 126.904 Xe 131.293
Cs 132.905 Ba 137.327 La 138.905 Ce 140.116 Pr 140.908 Nd 144.242 Pm 145 Sm 150.36 Eu 151.964 Gd 157.25
Tb 158.925 Dy 162.5 Ho 164.93 Er 167.259 Tm 168.934 Yb 173.045 Lu 174.967 Hf 178.486 Ta 180.948 W 183.84
Re 186.207 Os 190.23 Ir 192.217 Pt 195.084 Au 196.967 Hg 200.592 Tl 204.38 Pb 207.2 Bi 208.98 Po 209 At
210 Rn 222 Fr 223 Ra 226 Ac 227 Th 232.038 Pa 231.036 U 238.029 Np 237 Pu 244 Am 243 Cm 247 Bk 247 Cf
251 Es 252 Fm 257 Md 258 No 259 Lr 262
"""
_ATOMIC_WEIGHTS: Final = {symbol: float(weight) for symbol, weight in re.findall(r"(\S+)\s+(\S+)", _TABLE)}
_TOKEN = re.compile(r"([A-Z][a-z]?)([0-9]{0,4})|([(\[])|[)\]]([0-9]{0,4})")
_MAX_ATOMS = 1_000_000


@dataclass(frozen=True)
class Gas(FiniteResult):
    pressure: float
    volume: float
    moles: float
    temperature: float


@dataclass(frozen=True)
class Flight(FiniteResult):
    range: float
    max_height: float
    flight_time: float


@dataclass(frozen=True)
class Fall(FiniteResult):
    time: float
    impact_speed: float


@dataclass(frozen=True)
class Circuit(FiniteResult):
    voltage: float
    current: float
    resistance: float
    power: float


@dataclass(frozen=True)
class Decay(FiniteResult):
    remaining: float
    remaining_percent: float
    half_lives: float


@dataclass(frozen=True)
class MolarMass(FiniteResult):
    molar_mass: float
    atoms: dict[str, int]


@dataclass(frozen=True)
class Photon(FiniteResult):
    energy_joules: float
    energy_ev: float
    frequency_hz: float
    wavelength_m: float


@dataclass(frozen=True)
class Density(FiniteResult):
    density: float
    mass: float
    volume: float


@dataclass(frozen=True)
class Motion(FiniteResult):
    speed: float
    distance: float
    time: float


@dataclass(frozen=True)
class Acidity(FiniteResult):
    ph: float
    poh: float
    nature: Literal["acidic", "neutral", "basic"]


def _one_missing(**quantities: float | None) -> str:
    missing = [name for name, value in quantities.items() if value is None]
    if len(missing) != 1:
        given = [name for name in quantities if name not in missing]
        raise ValueError(f"give all but one of {', '.join(quantities)}, got {', '.join(given) or 'none'}")
    return missing[0]


def _count_atoms(formula: str) -> Counter[str]:
    stack: list[Counter[str]] = [Counter()]
    position = 0
    while position < len(formula):
        token = _TOKEN.match(formula, position)
        if not token or (token[1] and token[1] not in _ATOMIC_WEIGHTS):
            raise ValueError(
                f"formula must be of element symbols, counts and brackets, got {formula[position:]!r} in it"
            )
        position = token.end()
        if token[3]:
            stack.append(Counter())
            continue
        group = Counter({token[1]: 1}) if token[1] else stack.pop()
        if not stack:
            raise ValueError(f"formula must open each bracket that it closes, got {formula!r}")
        times = int(token[2] or token[4] or 1)
        stack[-1].update({element: count * times for element, count in group.items()})
    if len(stack) > 1:
        raise ValueError(f"formula must close each bracket that it opens, got {formula!r}")
    return stack[0]


def kinetic_energy(mass: NonNegative, speed: NonNegative) -> float:
    """Compute the kinetic energy of a moving body, in joules (not relativistic).

    Args:
        mass: The mass in kilograms.
        speed: The speed in metres per second.
    """
    return finite(mass * speed * speed / 2)


def potential_energy(mass: NonNegative, height: Number, gravity: Gravity = _STANDARD_GRAVITY) -> float:
    """Compute the gravitational potential energy of a raised body, in joules.

    Args:
        mass: The mass in kilograms.
        height: The height in metres.
        gravity: The acceleration of free fall, in metres per second squared.
    """
    return finite(mass * height * gravity)


def gravitational_force(first_mass: NonNegative, second_mass: NonNegative, distance: Positive) -> float:
    """Compute the gravitational attraction between two masses, in newtons.

    Args:
        first_mass: The first mass in kilograms.
        second_mass: The second mass in kilograms.
        distance: The distance of their centers in metres.
    """
    return finite(_GRAVITATION * first_mass / distance * second_mass / distance)


def ideal_gas(
    pressure: Positive | None = None,
    volume: Positive | None = None,
    moles: Positive | None = None,
    temperature: Positive | None = None,
) -> Gas:
    """Solve the ideal gas law, PV = nRT, for the one quantity that is left out.

    Args:
        pressure: The pressure in pascals.
        volume: The volume in cubic metres.
        moles: The amount in moles.
        temperature: The temperature in kelvins.
    """
    _one_missing(pressure=pressure, volume=volume, moles=moles, temperature=temperature)
    work = None if pressure is None or volume is None else pressure * volume
    heat = None if moles is None or temperature is None else moles * temperature * _GAS_CONSTANT
    p = pressure or (heat or 0) / (volume or 1)
    v = volume or (heat or 0) / (pressure or 1)
    n = moles or (work or 0) / (_GAS_CONSTANT * (temperature or 1))
    t = temperature or (work or 0) / (_GAS_CONSTANT * (moles or 1))
    return Gas(p, v, n, t)


def projectile_motion(
    speed: NonNegative,
    angle: Annotated[float, Field(ge=0, le=90)],
    height: NonNegative = 0,
    gravity: Gravity = _STANDARD_GRAVITY,
) -> Flight:
    """Compute how far and how high a projectile flies, and for how long, without air resistance.

    Args:
        speed: The launch speed in metres per second.
        angle: The launch angle above the horizontal, in degrees.
        height: The launch height above the ground, in metres.
        gravity: The acceleration of free fall, in metres per second squared.
    """
    up, forward = speed * math.sin(math.radians(angle)), speed * math.cos(math.radians(angle))
    time = (up + math.sqrt(up * up + 2 * gravity * height)) / gravity
    return Flight(forward * time, height + up * up / (2 * gravity), time)


def free_fall(height: NonNegative, gravity: Gravity = _STANDARD_GRAVITY) -> Fall:
    """Compute how long a body falls from a height and how fast it hits the ground, without air resistance.

    Args:
        height: The height in metres.
        gravity: The acceleration of free fall, in metres per second squared.
    """
    return Fall(math.sqrt(2 * height / gravity), math.sqrt(2 * height * gravity))


def speed_distance_time(
    speed: Positive | None = None, distance: Positive | None = None, time: Positive | None = None
) -> Motion:
    """Compute speed, distance or travel time at constant speed, whichever is left out.

    Args:
        speed: The speed, in units of distance for each unit of time.
        distance: The distance.
        time: The time.
    """
    _one_missing(speed=speed, distance=distance, time=time)
    if speed and distance:
        return Motion(speed, distance, distance / speed)
    if speed and time:
        return Motion(speed, speed * time, time)
    return Motion((distance or 0) / (time or 1), distance or 0, time or 0)


def ohms_law(
    voltage: Positive | None = None, current: Positive | None = None, resistance: Positive | None = None
) -> Circuit:
    """Solve Ohm's law, V = I * R, for the one quantity that is left out, and compute the power.

    Args:
        voltage: The voltage in volts.
        current: The current in amperes.
        resistance: The resistance in ohms.
    """
    _one_missing(voltage=voltage, current=current, resistance=resistance)
    v = voltage or (current or 0) * (resistance or 0)
    i = current or v / (resistance or 1)
    return Circuit(v, i, resistance or v / i, v * i)


def combined_resistance(resistances: Resistances, connection: Literal["series", "parallel"]) -> float:
    """Compute the total resistance of resistors in series or in parallel.

    Args:
        resistances: The resistance of each, in ohms.
        connection: How they are connected.
    """
    if connection == "series":
        return finite(math.fsum(resistances))
    return finite(1 / math.fsum(1 / resistance for resistance in resistances))


def radioactive_decay(amount: NonNegative, half_life: Positive, time: NonNegative) -> Decay:
    """Compute how much of a substance remains after a time, from its half-life.

    Args:
        amount: The amount at the start, in any unit.
        half_life: The half-life.
        time: The time that passed, in the same unit as the half-life.
    """
    half_lives = time / half_life
    share = 0.5**half_lives
    return Decay(amount * share, share * 100, half_lives)


def molar_mass(formula: Formula) -> MolarMass:
    """Compute the molar mass of a chemical formula, such as Ca(OH)2, in grams per mole.

    Args:
        formula: Element symbols with counts and brackets; no charges, hydrate dots or leading numbers.
    """
    atoms = _count_atoms(formula)
    if not 0 < atoms.total() <= _MAX_ATOMS:
        raise ValueError(f"formula must have 1 to {_MAX_ATOMS:,} atoms, got {atoms.total():,}: shorten it")
    mass = math.fsum(_ATOMIC_WEIGHTS[element] * count for element, count in atoms.items())
    return MolarMass(round(mass, 6), dict(atoms))


def photon_energy(wavelength_nm: Positive) -> Photon:
    """Compute the energy and frequency of light from its wavelength.

    Args:
        wavelength_nm: The wavelength in a vacuum, in nanometres.
    """
    wavelength = wavelength_nm * 1e-9
    energy = _PLANCK * _LIGHT / wavelength
    return Photon(energy, energy / _ELECTRON_VOLT, _LIGHT / wavelength, wavelength)


def doppler_shift(
    frequency: Positive,
    source_speed: Annotated[float, Field(ge=-1e6, le=1e6)] = 0,
    observer_speed: Annotated[float, Field(ge=-1e6, le=1e6)] = 0,
    wave_speed: Annotated[float, Field(gt=0, le=1e6)] = 343,
) -> float:
    """Compute the frequency that an observer hears from a moving source (Doppler effect of sound).

    Args:
        frequency: The frequency that is sent out, in hertz.
        source_speed: How fast the source moves towards the observer, in metres per second.
        observer_speed: How fast the observer moves towards the source, in metres per second.
        wave_speed: The speed of sound, in metres per second.
    """
    if source_speed >= wave_speed or observer_speed <= -wave_speed:
        raise ValueError(
            f"both must be slower than the wave, got {source_speed} and {observer_speed} at {wave_speed}"
        )
    return finite(frequency * (wave_speed + observer_speed) / (wave_speed - source_speed))


def density_mass_volume(
    density: Positive | None = None, mass: Positive | None = None, volume: Positive | None = None
) -> Density:
    """Compute density, mass or volume, whichever is left out.

    Args:
        density: The density, in units of mass for each unit of volume.
        mass: The mass.
        volume: The volume.
    """
    _one_missing(density=density, mass=mass, volume=volume)
    if density and mass:
        return Density(density, mass, mass / density)
    if density and volume:
        return Density(density, density * volume, volume)
    return Density((mass or 0) / (volume or 1), mass or 0, volume or 0)


def ph_from_concentration(
    concentration: Annotated[float, Field(ge=1e-15, le=100)],
    ion: Literal["hydrogen", "hydroxide"] = "hydrogen",
) -> Acidity:
    """Compute the pH and pOH of a solution at 25 degrees Celsius from its ion concentration.

    Args:
        concentration: The concentration in moles per litre.
        ion: Whether it is of hydrogen ions (H+) or hydroxide ions (OH-).
    """
    exponent = -math.log10(concentration)
    ph = exponent if ion == "hydrogen" else 14 - exponent
    nature: Literal["acidic", "neutral", "basic"] = "neutral"
    if not math.isclose(ph, 7, abs_tol=1e-9):
        nature = "acidic" if ph < 7 else "basic"
    return Acidity(ph, 14 - ph, nature)


def dilution_volume(
    stock_concentration: Positive, target_concentration: Positive, target_volume: Positive
) -> float:
    """Compute how much stock solution to take for a dilution (C1 * V1 = C2 * V2).

    Args:
        stock_concentration: The concentration of the stock solution.
        target_concentration: The concentration wanted, in the same unit.
        target_volume: The volume wanted; the result is in its unit.
    """
    if target_concentration > stock_concentration:
        raise ValueError(
            f"target_concentration must be <= stock_concentration, got {target_concentration} from "
            f"{stock_concentration}: dilution only lowers it"
        )
    return finite(target_concentration * target_volume / stock_concentration)
