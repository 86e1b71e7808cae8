"""The servers of the oracle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ...engines.servers import PostgresServer, postgres_binaries
from ...support import require


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server
