"""URLs that settings of authorization name."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

from scopedtools.exceptions import DefinitionError

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def checked(setting: str, url: str, *, allow_http: bool = False) -> SplitResult:
    """Split an ``https`` URL; on this machine it may be ``http``.

    Raises:
        DefinitionError: It is anything else, or names a user, or has a fragment.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except (ValueError, TypeError, AttributeError) as error:
        raise DefinitionError(f"{setting} must be an absolute URL, got {url!r}") from error
    if not host or not url.isascii() or any(not "!" <= char <= "~" or char in '"\\' for char in url):
        raise DefinitionError(f"{setting} must be an absolute URL, got {url!r}")
    if parts.scheme != "https" and not (parts.scheme == "http" and (allow_http or host in _LOOPBACK)):
        raise DefinitionError(f"{setting} must begin with https://, got {url!r}")
    if "@" in parts.netloc or "#" in url:
        raise DefinitionError(f"{setting} must have neither a user nor a fragment, got {url!r}")
    return parts
