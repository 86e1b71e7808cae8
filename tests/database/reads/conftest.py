"""What the tests of reads close when they end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .models import dispose_engines


@pytest.fixture(autouse=True, scope="module")
def closed_databases() -> Iterator[None]:
    """Close the databases that the tests of a module have opened."""
    yield
    dispose_engines()
