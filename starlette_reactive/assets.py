"""The live script's file, for applications that bundle their scripts.

``{{ live_scripts() }}`` in a template loads the script without a bundle. It uses Idiomorph 0.8, which a bundle has to
load before it.
"""

from __future__ import annotations

from ._pages.scripts import LIVE_SCRIPT

__all__ = ["LIVE_SCRIPT"]
