"""Two machines for all tests of a module; each test leaves them as it found them."""

import pytest
from network import Network, missing

WHY_NOT = missing()


def pytest_collection_modifyitems(items):
    if WHY_NOT:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=WHY_NOT))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with Network(tmp_path_factory.mktemp("network"), ("node1", "node2", "stranger")) as made:
        yield made
