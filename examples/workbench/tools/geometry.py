"""Tools for shapes in the plane, solids, and distances on the Earth."""

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from examples.workbench.numeric import FiniteResult, NonNegative, Number, Positive, finite

_EARTH_RADIUS_KM = 6371.0088


@dataclass(frozen=True)
class Point(FiniteResult):
    x: Number
    y: Number


@dataclass(frozen=True)
class Place(FiniteResult):
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


@dataclass(frozen=True)
class Circle(FiniteResult):
    area: float
    circumference: float
    diameter: float


@dataclass(frozen=True)
class Triangle(FiniteResult):
    area: float
    perimeter: float
    angles: list[float]


@dataclass(frozen=True)
class Polygon(FiniteResult):
    area: float
    perimeter: float
    centroid: Point


@dataclass(frozen=True)
class Rectangle(FiniteResult):
    area: float
    perimeter: float
    diagonal: float


@dataclass(frozen=True)
class Box(FiniteResult):
    min_x: float
    min_y: float
    max_x: float
    max_y: float
    width: float
    height: float


@dataclass(frozen=True)
class Solid(FiniteResult):
    volume: float
    surface_area: float


@dataclass(frozen=True)
class Polar(FiniteResult):
    radius: float
    angle: float


Points = Annotated[list[Point], Field(min_length=1, max_length=10_000)]
Corners = Annotated[list[Point], Field(min_length=3, max_length=10_000)]
Coordinates3 = Annotated[list[Number], Field(min_length=3, max_length=3)]


_ORIGIN = Point(0.0, 0.0)


def _cross(origin: Point, a: Point, b: Point) -> float:
    """Return twice the area of a triangle, positive where it turns left."""
    return (a.x - origin.x) * (b.y - origin.y) - (a.y - origin.y) * (b.x - origin.x)


def _half_hull(points: list[Point]) -> list[Point]:
    hull: list[Point] = []
    for point in points:
        while len(hull) > 1 and _cross(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return hull[:-1]


def _on_segment(point: Point, start: Point, end: Point) -> bool:
    across = min(start.x, end.x) <= point.x <= max(start.x, end.x)
    along = min(start.y, end.y) <= point.y <= max(start.y, end.y)
    return across and along and _cross(start, end, point) == 0


def distance_2d(first: Point, second: Point) -> float:
    """Compute the straight-line distance between two points in the plane.

    Args:
        first: The first point.
        second: The second point.
    """
    return finite(math.hypot(second.x - first.x, second.y - first.y))


def distance_3d(first: Coordinates3, second: Coordinates3) -> float:
    """Compute the straight-line distance between two points in space.

    Args:
        first: The first point, as x, y, z.
        second: The second point, as x, y, z.
    """
    return finite(math.dist(first, second))


def midpoint(first: Point, second: Point) -> Point:
    """Find the point halfway between two points in the plane.

    Args:
        first: The first point.
        second: The second point.
    """
    return Point((first.x + second.x) / 2, (first.y + second.y) / 2)


def circle_properties(radius: NonNegative) -> Circle:
    """Compute the area, circumference and diameter of a circle.

    Args:
        radius: The radius.
    """
    return Circle(math.pi * radius * radius, 2 * math.pi * radius, 2 * radius)


def rectangle_properties(width: NonNegative, height: NonNegative) -> Rectangle:
    """Compute the area, perimeter and diagonal of a rectangle.

    Args:
        width: The width.
        height: The height.
    """
    return Rectangle(width * height, 2 * (width + height), math.hypot(width, height))


def triangle_from_sides(a: Positive, b: Positive, c: Positive) -> Triangle:
    """Compute the area, perimeter and angles (in degrees, opposite a, b and c) of a triangle from its sides.

    Args:
        a: The first side.
        b: The second side.
        c: The third side.
    """
    short, middle, long = sorted((a, b, c))
    if short + middle <= long:
        raise ValueError(
            f"each side must be shorter than the others together, got {a}, {b}, {c}: correct one"
        )
    # Kahan's form of Heron's formula keeps the digits of thin triangles.
    excess = (short - (long - middle)) * (short + (long - middle))
    area = math.sqrt((long + (middle + short)) * excess * (long + (middle - short))) / 4
    sides = ((b, c, a), (c, a, b), (a, b, c))
    angles = [
        math.degrees(math.atan2(4 * area, one * one + two * two - side * side)) for one, two, side in sides
    ]
    return Triangle(area, a + b + c, angles)


def polygon_properties(corners: Corners) -> Polygon:
    """Compute the area, perimeter and centroid of a polygon whose sides do not cross.

    Args:
        corners: The corners in order, either way round.
    """
    first = corners[0]
    sides = list(zip(corners, corners[1:] + corners[:1], strict=True))
    doubled = math.fsum(_cross(first, a, b) for a, b in sides)
    if doubled == 0:
        raise ValueError("corners must enclose an area, got none: give at least 3 that are not on a line")
    x = math.fsum((a.x + b.x - 2 * first.x) * _cross(first, a, b) for a, b in sides) / (3 * doubled)
    y = math.fsum((a.y + b.y - 2 * first.y) * _cross(first, a, b) for a, b in sides) / (3 * doubled)
    perimeter = math.fsum(math.hypot(b.x - a.x, b.y - a.y) for a, b in sides)
    return Polygon(abs(doubled) / 2, perimeter, Point(first.x + x, first.y + y))


def regular_polygon_area(sides: Annotated[int, Field(ge=3, le=1_000_000)], side_length: Positive) -> float:
    """Compute the area of a regular polygon, such as a hexagon, from the length of a side.

    Args:
        sides: How many sides it has.
        side_length: The length of each.
    """
    return finite(sides * side_length * side_length / (4 * math.tan(math.pi / sides)))


def point_in_polygon(point: Point, corners: Corners) -> Literal["inside", "outside", "on the edge"]:
    """Tell whether a point lies inside a polygon, outside it or on its edge.

    Args:
        point: The point.
        corners: The polygon's corners, in order.
    """
    inside = False
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        if _on_segment(point, start, end):
            return "on the edge"
        if (start.y > point.y) != (end.y > point.y):
            inside ^= (_cross(start, end, point) > 0) == (end.y > start.y)
    return "inside" if inside else "outside"


def convex_hull(points: Points) -> list[Point]:
    """Find the convex hull of points: the corners of the smallest convex polygon around them.

    Args:
        points: The points.
    """
    ordered = sorted(set(points), key=lambda point: (point.x, point.y))
    if len(ordered) < 3:
        return ordered
    return _half_hull(ordered) + _half_hull(ordered[::-1])


def line_intersection(first_start: Point, first_end: Point, second_start: Point, second_end: Point) -> Point:
    """Find where two straight lines, each through two points, cross; parallel lines are refused.

    Args:
        first_start: A point of the first line.
        first_end: Another point of the first line.
        second_start: A point of the second line.
        second_end: Another point of the second line.
    """
    dx, dy = first_end.x - first_start.x, first_end.y - first_start.y
    ex, ey = second_end.x - second_start.x, second_end.y - second_start.y
    if (turn := dx * ey - dy * ex) == 0:
        raise ValueError("the lines must cross, got parallel ones or a line of one point: give other points")
    share = ((second_start.x - first_start.x) * ey - (second_start.y - first_start.y) * ex) / turn
    return Point(first_start.x + share * dx, first_start.y + share * dy)


def point_to_line_distance(point: Point, line_start: Point, line_end: Point) -> float:
    """Compute the shortest distance from a point to a straight line through two points.

    Args:
        point: The point.
        line_start: A point of the line.
        line_end: Another point of the line.
    """
    length = distance_2d(line_start, line_end)
    if length == 0:
        raise ValueError(
            f"line_start and line_end must differ, got {line_start.x}, {line_start.y} twice: move one"
        )
    return finite(abs(_cross(line_start, line_end, point)) / length)


def bounding_box(points: Points) -> Box:
    """Find the smallest upright rectangle around points.

    Args:
        points: The points.
    """
    xs, ys = [point.x for point in points], [point.y for point in points]
    return Box(min(xs), min(ys), max(xs), max(ys), max(xs) - min(xs), max(ys) - min(ys))


def rotate_points(points: Points, degrees: Number, center: Point = _ORIGIN) -> list[Point]:
    """Rotate points around a center, counterclockwise.

    Args:
        points: The points.
        degrees: How far to turn them; negative for clockwise.
        center: The point to turn around.
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    moved = [(point.x - center.x, point.y - center.y) for point in points]
    return [Point(center.x + x * cosine - y * sine, center.y + x * sine + y * cosine) for x, y in moved]


def path_length(points: Points) -> float:
    """Compute the length of a path through points in the plane, in order.

    Args:
        points: The points.
    """
    return finite(math.fsum(distance_2d(start, end) for start, end in itertools.pairwise(points)))


def to_polar_coordinates(point: Point) -> Polar:
    """Convert a point from Cartesian to polar coordinates: radius, and angle in degrees from the x axis.

    Args:
        point: The point.
    """
    return Polar(math.hypot(point.x, point.y), math.degrees(math.atan2(point.y, point.x)))


def from_polar_coordinates(radius: NonNegative, angle: Number) -> Point:
    """Convert polar coordinates to a point with x and y.

    Args:
        radius: The distance from the origin.
        angle: The angle from the x axis, in degrees.
    """
    return Point(radius * math.cos(math.radians(angle)), radius * math.sin(math.radians(angle)))


def sphere_properties(radius: NonNegative) -> Solid:
    """Compute the volume and surface area of a sphere.

    Args:
        radius: The radius.
    """
    return Solid(4 / 3 * math.pi * radius * radius * radius, 4 * math.pi * radius * radius)


def cylinder_properties(radius: NonNegative, height: NonNegative) -> Solid:
    """Compute the volume and surface area of a closed cylinder.

    Args:
        radius: The radius of the base.
        height: The height.
    """
    return Solid(math.pi * radius * radius * height, 2 * math.pi * radius * (radius + height))


def cone_properties(radius: NonNegative, height: NonNegative) -> Solid:
    """Compute the volume and surface area of a cone with its base.

    Args:
        radius: The radius of the base.
        height: The height.
    """
    slant = math.hypot(radius, height)
    return Solid(math.pi * radius * radius * height / 3, math.pi * radius * (radius + slant))


def great_circle_distance(
    start: Place, end: Place, unit: Literal["km", "mi", "nautical mile"] = "km"
) -> float:
    """Compute the distance between two places on the Earth by latitude and longitude (haversine formula).

    Args:
        start: The first place, in degrees.
        end: The second place, in degrees.
        unit: The unit of the result.
    """
    one, two = math.radians(start.latitude), math.radians(end.latitude)
    east = math.radians(end.longitude - start.longitude)
    square = math.sin((two - one) / 2) ** 2 + math.cos(one) * math.cos(two) * math.sin(east / 2) ** 2
    length = {"km": 1.0, "mi": 1.609344, "nautical mile": 1.852}[unit]
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, square))) / length


def compass_bearing(start: Place, end: Place) -> float:
    """Compute the initial compass bearing from one place on the Earth to another, in degrees from north.

    Args:
        start: The place to leave from, in degrees.
        end: The place to go to, in degrees.
    """
    one, two = math.radians(start.latitude), math.radians(end.latitude)
    east = math.radians(end.longitude - start.longitude)
    x = math.sin(east) * math.cos(two)
    y = math.cos(one) * math.sin(two) - math.sin(one) * math.cos(two) * math.cos(east)
    return math.degrees(math.atan2(x, y)) % 360
