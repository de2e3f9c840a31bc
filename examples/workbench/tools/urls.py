"""Tools that take web addresses apart, build, compare and clean them. Nothing is fetched."""

import base64
import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import (
    SplitResult,
    parse_qsl,
    quote,
    unquote,
    unquote_to_bytes,
    urlencode,
    urljoin,
    urlsplit,
    urlunsplit,
)

from pydantic import Field

Url = Annotated[str, Field(min_length=1, max_length=2_000)]
Part = Annotated[str, Field(max_length=1_000)]
Address = Annotated[str, Field(pattern=r"^[^\s@?&]{1,64}@[^\s@?&]{1,253}$")]
Values = Annotated[dict[Annotated[str, Field(min_length=1, max_length=100)], Part], Field(max_length=100)]

_DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443}
_TRACKING = re.compile(
    r"utm_\w+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|yclid|twclid|ttclid|igshid|mc_[ce]id|_hsenc|_hsmi|"
    r"mkt_tok|vero_id|oly_\w+_id|ref_src|_openstat|li_fat_id",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?!-)[\w-]{1,63}(?<!-)")
_ESCAPED = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile("[A-Za-z0-9._~-]")
_EXPRESSION = re.compile(r"\{([+?&]?)([A-Za-z0-9_.,]{1,200})\}")


@dataclass(frozen=True)
class UrlParts:
    scheme: str
    user: str | None
    host: str | None
    port: int | None
    path: str
    query: dict[str, list[str]]
    fragment: str


@dataclass(frozen=True)
class UrlCheck:
    valid: bool
    problem: str | None


@dataclass(frozen=True)
class DomainParts:
    host: str
    is_ip_address: bool
    labels: list[str]
    top_level: str | None
    parent: str | None


@dataclass(frozen=True)
class UrlComparison:
    equal: bool
    differing_parts: list[str]


@dataclass(frozen=True)
class DataUrl:
    media_type: str
    parameters: list[str]
    is_base64: bool
    bytes: int
    text: str | None
    base64: str


def _host(split: SplitResult) -> str:
    if not split.hostname:
        raise ValueError(f"url must name a host, such as https://example.com/, got {split.geturl()[:200]!r}")
    return split.hostname


def _dots_resolved(path: str) -> str:
    """Return a path without `.` and `..` segments, as RFC 3986 section 5.2.4 has it."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            kept = kept[:-1] if len(kept) > 1 else kept
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept) + ("/" if segments[-1] in {".", ".."} and kept[-1:] != [""] else "")


def _escapes_normalized(text: str) -> str:
    def normal(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if _UNRESERVED.fullmatch(character) else match[0].upper()

    return _ESCAPED.sub(normal, text)


def _authority(split: SplitResult) -> str:
    """Return host and port in normal form, with the user information in front if there is any."""
    host = _host(split)
    host = f"[{host}]" if ":" in host else host
    port = split.port if split.port != _DEFAULT_PORTS.get(split.scheme) else None
    user = split.netloc.rpartition("@")[0]
    return (f"{user}@" if user else "") + host + (f":{port}" if port is not None else "")


def url_parse(url: Url) -> UrlParts:
    """Take a URL apart into scheme, user, host, port, path, query and fragment.

    Args:
        url: The address.
    """
    split = urlsplit(url)
    return UrlParts(
        split.scheme,
        split.username,
        split.hostname,
        split.port,
        split.path,
        query_parse(split.query),
        split.fragment,
    )


def url_build(
    host: Annotated[str, Field(min_length=1, max_length=253)],
    path: Part = "/",
    query: Values | None = None,
    scheme: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9+.-]{0,30}$")] = "https",
    fragment: Part = "",
) -> str:
    """Build a URL from a host, a path and query parameters, with everything escaped.

    Args:
        host: The host name or address, with `:port` if needed.
        path: The path, unescaped.
        query: The query parameters.
        scheme: The scheme, such as `https`.
        fragment: What comes after `#`.
    """
    if re.search(r"[\s/?#@\\]", host):
        raise ValueError(f"host must be a host name or address with an optional port, got {host!r}")
    path = quote("/" + path.removeprefix("/"), safe="/:@!$&'()*+,;=~")
    return urlunsplit((scheme.lower(), host, path, urlencode(query or {}), quote(fragment)))


def url_join(base: Url, reference: Annotated[str, Field(max_length=2_000)]) -> str:
    """Resolve a relative link against the URL of the page it stands on.

    Args:
        base: The address of the page.
        reference: The link, such as `../images/a.png`.
    """
    return urljoin(base, reference)


def query_parse(query: Annotated[str, Field(max_length=10_000)]) -> dict[str, list[str]]:
    """Parse a URL query string into its parameters, each with all its values.

    Args:
        query: The query, such as `a=1&b=2&a=3`, with or without the `?`.
    """
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query.removeprefix("?"), keep_blank_values=True, max_num_fields=1_000):
        values.setdefault(name, []).append(value)
    return values


def query_build(
    parameters: Annotated[
        dict[str, Part | Annotated[list[Part], Field(max_length=100)]], Field(max_length=100)
    ],
) -> str:
    """Build a URL query string from parameters, properly escaped.

    Args:
        parameters: The names and values; a list repeats the name.
    """
    return urlencode(parameters, doseq=True)


def url_set_query(url: Url, parameters: Values) -> str:
    """Set or replace query parameters of a URL and keep the others.

    Args:
        url: The address.
        parameters: The names and values to set.
    """
    split = urlsplit(url)
    kept = [
        (name, value)
        for name, value in parse_qsl(split.query, keep_blank_values=True)
        if name not in parameters
    ]
    return split._replace(query=urlencode([*kept, *parameters.items()])).geturl()


def url_normalize(url: Url, *, sort_query: bool = False) -> str:
    """Normalise a URL: lower-case scheme and host, no default port, no dot segments, tidy escapes.

    Args:
        url: The absolute address.
        sort_query: Whether to sort the query parameters.
    """
    split = urlsplit(url)
    path = _dots_resolved(_escapes_normalized(split.path)) or "/"
    query = _escapes_normalized(split.query)
    query = "&".join(sorted(query.split("&"))) if sort_query else query
    return urlunsplit((split.scheme, _authority(split), path, query, _escapes_normalized(split.fragment)))


def url_strip_tracking(url: Url) -> str:
    """Remove tracking parameters such as `utm_source`, `fbclid` and `gclid` from a URL.

    Args:
        url: The address.
    """
    split = urlsplit(url)
    kept = [pair for pair in split.query.split("&") if not _TRACKING.fullmatch(unquote(pair.split("=")[0]))]
    return split._replace(query="&".join(kept)).geturl()


def url_is_valid(
    url: Annotated[str, Field(max_length=2_000)],
    schemes: Annotated[list[Part], Field(max_length=20)] | None = None,
) -> UrlCheck:
    """Check whether a text is a valid absolute URL, and say what is wrong if it is not.

    Args:
        url: The address to check.
        schemes: The schemes to allow; `http` and `https` when left out.
    """
    allowed = [scheme.lower() for scheme in schemes or ["http", "https"]]
    try:
        split = urlsplit(url)
        host, _ = _host(split), split.port
    except ValueError as error:
        return UrlCheck(valid=False, problem=str(error))
    problems = [
        (split.scheme not in allowed, f"the scheme must be {' or '.join(allowed)}, got {split.scheme!r}"),
        (bool(re.search(r"[\s<>\"{}|\\^`]", url)), "spaces and special characters must be escaped"),
        (bool(re.search("%(?![0-9A-Fa-f]{2})", url)), "a percent sign must begin an escape such as %20"),
        (":" not in host and not all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))),
         f"the host must be a domain name or IP address, got {host!r}"),
    ]  # fmt: skip
    problem = next((text for wrong, text in problems if wrong), None)
    return UrlCheck(valid=problem is None, problem=problem)


def url_domain_parts(url: Url) -> DomainParts:
    """Take the host name of a URL apart into its labels, top-level domain and parent domain.

    Args:
        url: The address, or a bare host name.
    """
    host = _host(urlsplit(url if "//" in url else f"//{url}")).removesuffix(".")
    try:
        ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        labels = host.split(".")
        return DomainParts(host, is_ip_address=False, labels=labels, top_level=labels[-1],
                           parent=".".join(labels[1:]) or None)  # fmt: skip
    return DomainParts(host, is_ip_address=True, labels=[], top_level=None, parent=None)


def url_compare(first: Url, second: Url) -> UrlComparison:
    """Check whether two URLs mean the same address once normalised, and which parts differ.

    Args:
        first: One absolute address.
        second: The other absolute address; the order of query parameters does not matter.
    """
    left, right = (urlsplit(url_normalize(url, sort_query=True)) for url in (first, second))
    differing = [name for name, one, other in zip(left._fields, left, right, strict=True) if one != other]
    return UrlComparison(
        equal=not differing, differing_parts=["host" if n == "netloc" else n for n in differing]
    )


def url_expand_template(template: Url, values: Values) -> str:
    """Fill in a URL template (RFC 6570) such as `/users/{id}{?page,limit}`.

    Args:
        template: The template with `{name}`, `{+name}`, `{?a,b}` and `{&a,b}`.
        values: The values; a name without a value is left out.
    """

    def expanded(match: re.Match[str]) -> str:
        names = [name for name in match[2].split(",") if name in values]
        if match[1] in {"", "+"}:
            return ",".join(
                quote(values[name], safe=":/?#[]@!$&'()*+,;=" if match[1] else "") for name in names
            )
        pairs = "&".join(f"{name}={quote(values[name], safe='')}" for name in names)
        return match[1] + pairs if pairs else ""

    address = _EXPRESSION.sub(expanded, template)
    if re.search("[{}]", _EXPRESSION.sub("", template)):
        raise ValueError(
            f"template must hold only {{name}}, {{+name}}, {{?a,b}} and {{&a,b}}, got {template!r}"
        )
    if len(address) > 100_000:
        raise ValueError(f"the address must be at most 100,000 characters, got {len(address):,}")
    return address


def data_url_parse(url: Annotated[str, Field(max_length=200_000)]) -> DataUrl:
    """Decode a data: URL into its media type and content.

    Args:
        url: The address, such as `data:text/plain;base64,SGk=`.
    """
    head, comma, body = url.partition(",")
    if not comma or not head.lower().startswith("data:"):
        raise ValueError(f"url must look like data:text/plain,hello, got {url[:60]!r}")
    media_type, *parameters = head[5:].split(";")
    is_base64 = bool(parameters) and parameters[-1].lower() == "base64"
    data = unquote_to_bytes(body)
    if is_base64:
        data = base64.b64decode(b"".join(data.split()), validate=True)
        parameters.pop()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    encoded = base64.b64encode(data).decode()
    return DataUrl(media_type or "text/plain", parameters, is_base64, len(data), text, encoded)


def data_url_build(
    text: Annotated[str, Field(max_length=50_000)],
    media_type: Annotated[str, Field(pattern=r"^[\w.+-]{1,60}/[\w.+-]{1,60}$")] = "text/plain",
    encoding: Literal["base64", "percent"] = "base64",
) -> str:
    """Put a text into a data: URL, in Base64 or percent-encoded.

    Args:
        text: The content.
        media_type: What it is, such as `image/svg+xml`.
        encoding: How to write the content.
    """
    if encoding == "percent":
        return f"data:{media_type};charset=utf-8,{quote(text, safe='')}"
    return f"data:{media_type};charset=utf-8;base64,{base64.b64encode(text.encode()).decode()}"


def mailto_build(
    to: Annotated[list[Address], Field(min_length=1, max_length=50)],
    subject: Part = "",
    body: Annotated[str, Field(max_length=10_000)] = "",
    cc: Annotated[list[Address], Field(max_length=50)] | None = None,
) -> str:
    """Build a mailto: link with recipients, subject and body.

    Args:
        to: The recipients' e-mail addresses.
        subject: The subject line.
        body: The text of the message.
        cc: The addresses that get a copy.
    """
    fields = {
        "cc": ",".join(cc or []),
        "subject": subject,
        "body": body.replace("\r\n", "\n").replace("\n", "\r\n"),
    }
    query = "&".join(f"{name}={quote(value, safe=',@')}" for name, value in fields.items() if value)
    return f"mailto:{quote(','.join(to), safe=',@')}" + (f"?{query}" if query else "")
