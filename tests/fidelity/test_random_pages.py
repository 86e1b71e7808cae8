"""Random pages under all clients: after each update, a page is what a reload shows.

Differences that a client is known for are in ``kinds``. ``--fidelity-pages=2000`` looks at more pages, and
``--fidelity-seed=…`` at others.
"""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from .conftest import Site
from .kinds import CLIENTS
from .pages import random_page


@pytest.mark.parametrize("client", CLIENTS)
def test_a_page_is_what_a_reload_shows_after_each_update(site: Site, client: str, pytestconfig: pytest.Config) -> None:
    base = pytestconfig.getoption("fidelity_seed")
    count: int = pytestconfig.getoption("fidelity_pages")
    different = {}
    for number in range(count):
        seed = f"{base}-{number}"
        page = random_page(seed)
        found = page.unknown(client, site.drive(client, page.declared, page.steps)["found"])
        if found or site.complaints:
            different[seed] = found, list(site.complaints)
            site.complaints.clear()
    assert not different, f"{len(different)} of {count} pages: {different}"
