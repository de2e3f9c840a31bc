"""Tools for vectors and matrices: products, decompositions, systems of equations and polynomials."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from examples.workbench.numeric import FiniteResult, finite, same_length

# LAPACK prints to standard output, which may be the transport, when numbers overflow inside it.
Entry = Annotated[float, Field(ge=-1e100, le=1e100)]
Vector = Annotated[list[Entry], Field(min_length=1, max_length=1_000)]
Matrix = Annotated[
    list[Annotated[list[Entry], Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=100)
]
Rows: TypeAlias = list[list[float]]

_quiet = np.errstate(all="ignore")


@dataclass(frozen=True)
class Complex(FiniteResult):
    re: float
    im: float


@dataclass(frozen=True)
class LeastSquares(FiniteResult):
    solution: list[float]
    residual_norm: float
    rank: int


@dataclass(frozen=True)
class Qr(FiniteResult):
    q: Rows
    r: Rows


@dataclass(frozen=True)
class Svd(FiniteResult):
    u: Rows
    singular_values: list[float]
    v_transposed: Rows


def _matrix(rows: Rows, name: str = "matrix") -> NDArray[np.float64]:
    for row in rows[1:]:
        same_length(f"the first row of {name}", rows[0], "each other row", row)
    return np.array(rows, dtype=float)


def _square(rows: Rows) -> NDArray[np.float64]:
    array = _matrix(rows)
    if array.shape[0] != array.shape[1]:
        raise ValueError(
            f"matrix must be square, got {array.shape[0]} x {array.shape[1]}: give n rows of n numbers"
        )
    return array


def _rows(array: NDArray[np.floating[Any]]) -> Rows:
    rows: Rows = array.tolist()
    return finite(rows)


def _complex(values: NDArray[np.inexact[Any]]) -> list[Complex]:
    ordered = sorted(values.astype(complex).tolist(), key=lambda value: (-value.real, -value.imag))
    return [Complex(value.real, value.imag) for value in ordered]


@_quiet
def matrix_add(left: Matrix, right: Matrix) -> Rows:
    """Add two matrices of one shape, element by element.

    Args:
        left: The first matrix, as rows.
        right: The second matrix, as rows.
    """
    a, b = _matrix(left, "left"), _matrix(right, "right")
    if a.shape != b.shape:
        raise ValueError(f"left and right must have one shape, got {a.shape} and {b.shape}: make them alike")
    return _rows(a + b)


@_quiet
def matrix_scale(matrix: Matrix, factor: Entry) -> Rows:
    """Multiply every element of a matrix by a number.

    Args:
        matrix: The matrix, as rows.
        factor: The number.
    """
    return _rows(_matrix(matrix) * factor)


@_quiet
def matrix_multiply(left: Matrix, right: Matrix) -> Rows:
    """Multiply two matrices.

    Args:
        left: The left matrix, as rows.
        right: The right matrix, with as many rows as the left has columns.
    """
    a, b = _matrix(left, "left"), _matrix(right, "right")
    if a.shape[1] != b.shape[0]:
        raise ValueError(
            f"right must have one row for each column of left, got {b.shape[0]} for {a.shape[1]}: fix one"
        )
    return _rows(a @ b)


@_quiet
def matrix_power(matrix: Matrix, exponent: Annotated[int, Field(ge=-100, le=100)]) -> Rows:
    """Raise a square matrix to a whole power, by repeated multiplication.

    Args:
        matrix: The matrix, as rows.
        exponent: The power; a negative one inverts the matrix.
    """
    return _rows(np.linalg.matrix_power(_square(matrix), exponent))


@_quiet
def matrix_determinant(matrix: Matrix) -> float:
    """Compute the determinant of a square matrix.

    Args:
        matrix: The matrix, as rows.
    """
    return finite(float(np.linalg.det(_square(matrix))))


@_quiet
def matrix_inverse(matrix: Matrix) -> Rows:
    """Invert a square matrix that is not singular.

    Args:
        matrix: The matrix, as rows.
    """
    return _rows(np.linalg.inv(_square(matrix)))


def matrix_transpose(matrix: Matrix) -> Rows:
    """Transpose a matrix of numbers: make its rows columns.

    Args:
        matrix: The matrix, as rows.
    """
    return _rows(_matrix(matrix).T)


@_quiet
def matrix_trace(matrix: Matrix) -> float:
    """Compute the trace of a square matrix, the sum of its diagonal.

    Args:
        matrix: The matrix, as rows.
    """
    return finite(float(np.trace(_square(matrix))))


@_quiet
def matrix_rank(matrix: Matrix) -> int:
    """Find the rank of a matrix, how many of its rows are linearly independent.

    Args:
        matrix: The matrix, as rows.
    """
    return int(np.linalg.matrix_rank(_matrix(matrix)))


@_quiet
def matrix_norm(
    matrix: Matrix, kind: Literal["frobenius", "spectral", "one", "infinity"] = "frobenius"
) -> float:
    """Compute a norm of a matrix, a measure of its size.

    Args:
        matrix: The matrix, as rows.
        kind: Root of the sum of squares, largest singular value, largest column sum or largest row sum.
    """
    orders: dict[str, Literal["fro"] | float] = {
        "frobenius": "fro",
        "spectral": 2,
        "one": 1,
        "infinity": np.inf,
    }
    return finite(float(np.linalg.norm(_matrix(matrix), orders[kind])))


@_quiet
def matrix_condition_number(matrix: Matrix) -> float:
    """Compute the condition number of a matrix, how much solving with it magnifies errors.

    Args:
        matrix: The matrix, as rows; a nearly singular one has a huge number, a singular one may be refused.
    """
    return finite(float(np.linalg.cond(_matrix(matrix))))


@_quiet
def matrix_eigenvalues(matrix: Matrix) -> list[Complex]:
    """Compute the eigenvalues of a square matrix as complex numbers, largest real part first.

    Args:
        matrix: The matrix, as rows.
    """
    return _complex(np.linalg.eigvals(_square(matrix)))


@_quiet
def singular_value_decomposition(matrix: Matrix) -> Svd:
    """Decompose a matrix into U, singular values and V transposed (SVD).

    Args:
        matrix: The matrix, as rows.
    """
    u, values, v = np.linalg.svd(_matrix(matrix), full_matrices=False)
    return Svd(u.tolist(), values.tolist(), v.tolist())


@_quiet
def qr_decomposition(matrix: Matrix) -> Qr:
    """Decompose a matrix into an orthogonal Q and an upper triangular R.

    Args:
        matrix: The matrix, as rows.
    """
    q, r = np.linalg.qr(_matrix(matrix))
    return Qr(q.tolist(), r.tolist())


@_quiet
def cholesky_decomposition(matrix: Matrix) -> Rows:
    """Find the lower triangular L with L times its transpose equal to a positive definite matrix.

    Args:
        matrix: The symmetric matrix, as rows.
    """
    array = _square(matrix)
    if not np.allclose(array, array.T):
        raise ValueError("matrix must be symmetric, got one that differs from its transpose: mirror it")
    return _rows(np.linalg.cholesky(array))


@_quiet
def solve_linear_system(matrix: Matrix, right_side: Vector) -> list[float]:
    """Solve a system of linear equations with as many unknowns as equations.

    Args:
        matrix: The coefficients, one row for each equation.
        right_side: The constant of each equation.
    """
    array = _square(matrix)
    same_length("matrix", matrix, "right_side", right_side)
    return finite(np.linalg.solve(array, np.array(right_side)).tolist())


@_quiet
def least_squares_solution(matrix: Matrix, right_side: Vector) -> LeastSquares:
    """Find the least-squares solution of a linear system with more or fewer equations than unknowns.

    Args:
        matrix: The coefficients, one row for each equation.
        right_side: The constant of each equation.
    """
    array, target = _matrix(matrix), np.array(right_side)
    same_length("matrix", matrix, "right_side", right_side)
    solution, _, rank, _ = np.linalg.lstsq(array, target, rcond=None)
    return LeastSquares(solution.tolist(), float(np.linalg.norm(array @ solution - target)), int(rank))


@_quiet
def polynomial_fit(x: Vector, y: Vector, degree: Annotated[int, Field(ge=0, le=20)]) -> list[float]:
    """Fit a polynomial curve to points by least squares; coefficients start with the constant term.

    Args:
        x: The points' x coordinates, at least degree + 1 different ones.
        y: The points' y coordinates, in the same order.
        degree: The polynomial's degree: 1 for a line, 2 for a parabola.
    """
    same_length("x", x, "y", y)
    if len(set(x)) <= degree:
        raise ValueError(
            f"x must have at least {degree + 1} different values, got {len(set(x))}: lower the degree"
        )
    if degree > 0 and max(x) - min(x) < 1e-100:
        raise ValueError(f"x must be spread over more than 1e-100, got {max(x) - min(x)}: scale it up")
    domain = [min(x), max(x)] if degree > 0 else [-1, 1]
    polynomial, (_, rank, _, _) = np.polynomial.Polynomial.fit(x, y, degree, domain=domain, full=True)
    if rank <= degree:
        raise ValueError(
            f"x must be spread enough for degree {degree}, got points too close: lower the degree"
        )
    return finite(polynomial.convert().coef.tolist())


@_quiet
def polynomial_roots(
    coefficients: Annotated[list[Entry], Field(min_length=2, max_length=50)],
) -> list[Complex]:
    """Find all roots of a polynomial, real and complex, such as the solutions of a quadratic equation.

    Args:
        coefficients: The coefficients, from the highest power down to the constant.
    """
    if coefficients[0] == 0:
        raise ValueError("the first coefficient must not be 0, got 0: leave out leading zeros")
    return _complex(np.roots(coefficients))


@_quiet
def dot_product(first: Vector, second: Vector) -> float:
    """Compute the dot product (scalar product) of two vectors.

    Args:
        first: The first vector.
        second: The second vector, of the same length.
    """
    same_length("first", first, "second", second)
    return finite(float(np.dot(first, second)))


@_quiet
def cross_product(
    first: Annotated[list[Entry], Field(min_length=3, max_length=3)],
    second: Annotated[list[Entry], Field(min_length=3, max_length=3)],
) -> list[float]:
    """Compute the cross product of two vectors in three dimensions.

    Args:
        first: The first vector.
        second: The second vector.
    """
    return finite(np.cross(first, second).tolist())


@_quiet
def vector_norm(vector: Vector, kind: Literal["euclidean", "manhattan", "maximum"] = "euclidean") -> float:
    """Compute the length (norm) of a vector.

    Args:
        vector: The vector.
        kind: Root of the sum of squares, sum of absolute values or largest absolute value.
    """
    order = {"euclidean": 2, "manhattan": 1, "maximum": np.inf}[kind]
    return finite(float(np.linalg.norm(vector, order)))


@_quiet
def angle_between_vectors(first: Vector, second: Vector) -> float:
    """Compute the angle between two vectors, in degrees.

    Args:
        first: The first vector.
        second: The second vector, of the same length.
    """
    same_length("first", first, "second", second)
    lengths = finite(float(np.linalg.norm(first) * np.linalg.norm(second)))
    if lengths == 0:
        raise ValueError("both vectors must have a direction, got one of length 0: give a nonzero vector")
    return finite(float(np.degrees(np.arccos(np.clip(np.dot(first, second) / lengths, -1, 1)))))
