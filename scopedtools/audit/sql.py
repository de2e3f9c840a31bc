"""SQLAlchemy, or an error that names the extra which brings it."""

from scopedtools.exceptions import MissingDependencyError

try:
    import sqlalchemy as sa
except ImportError as error:
    raise MissingDependencyError(
        'SQLAlchemy is not installed; run pip install "scopedtools[audit]"'
    ) from error

__all__ = ["sa"]
