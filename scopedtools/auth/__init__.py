"""Who is asking: verifiers of bearer tokens, and the OAuth 2.1 resource server around one.

`scopedtools.auth.jwt` needs the extra ``auth``; whoever uses it imports it.
"""

from scopedtools.auth.errors import AuthorizationError, InsufficientScope, Unauthorized, Unavailable
from scopedtools.auth.resource import ResourceServer
from scopedtools.auth.tokens import StaticTokens

__all__ = [
    "AuthorizationError",
    "InsufficientScope",
    "ResourceServer",
    "StaticTokens",
    "Unauthorized",
    "Unavailable",
]
