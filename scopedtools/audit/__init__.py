"""An append-only trail of who asked what, in which context, with which view, and how it ended.

Needs the extra ``audit``; `scopedtools.audit.reader`, which reads it, is imported by whoever uses it.
"""

from scopedtools.audit.errors import AuditError
from scopedtools.audit.event import ContextSummary, Event
from scopedtools.audit.redaction import Redact, mask_secrets
from scopedtools.audit.trail import AuditTrail

__all__ = ["AuditError", "AuditTrail", "ContextSummary", "Event", "Redact", "mask_secrets"]
