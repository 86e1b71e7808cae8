"""Rules over templates, live blocks and declarations that find at start-up what cannot work."""

from __future__ import annotations

from .description import AppDescription, DeclaredPage, Sharing, check_contract_data
from .issues import CATEGORIES, Issue, Severity
from .runner import check
from .settings import Settings, find_settings

__all__ = [
    "CATEGORIES",
    "AppDescription",
    "DeclaredPage",
    "Issue",
    "Settings",
    "Severity",
    "Sharing",
    "check",
    "check_contract_data",
    "find_settings",
]
