"""What can't work is said at start-up: rules over the templates, the live blocks and what the application declares."""

from __future__ import annotations

from .model import CATEGORIES, Issue, Severity
from .run import check
from .settings import Settings, find_settings
from .subject import DeclaredPage, Subject, check_contract_data

__all__ = [
    "CATEGORIES",
    "DeclaredPage",
    "Issue",
    "Settings",
    "Severity",
    "Subject",
    "check",
    "check_contract_data",
    "find_settings",
]
