"""URLs that requests go to."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit

from scopedtools.exceptions import DefinitionError

_PORTS = {"http": 80, "https": 443}


def checked_base(setting: str, url: str) -> str:
    """Return the URL under which an API is reached, without a slash at its end.

    Raises:
        DefinitionError: It is no ``http(s)`` URL, or has a user, a query or a fragment.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise DefinitionError(f"{setting} must be an absolute URL, got {url!r}") from error
    if parts.scheme not in _PORTS or not parts.hostname or any(not "!" <= char <= "~" for char in url):
        raise DefinitionError(f"{setting} must be an absolute http or https URL, got {url!r}")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise DefinitionError(f"{setting} must have no user, query or fragment; use credentials for secrets")
    return url.rstrip("/")


def leads_elsewhere(path: str) -> bool:
    """Tell whether a path has a segment ``.`` or ``..``, also where it is encoded, once or twice."""
    return any(piece in (".", "..") for piece in re.split(r"[/\\]", unquote(unquote(path))))


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL; two URLs of one origin have the same."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, (parts.hostname or "").lower(), port or _PORTS.get(parts.scheme)


def below(base_url: str, reference: str) -> str | None:
    """Return the URL that a relative reference names, or ``None`` where that is at another origin.

    What counts is where it leads, not what it looks like: a parser leaves out tabs, so that ``/<tab>/host``
    is a host.
    """
    try:
        url = urljoin(f"{base_url}/", reference)
        return checked_base("servers", url) if origin_of(url) == origin_of(base_url) else None
    except (ValueError, DefinitionError):
        return None
