import pytest

import gluon_tricks  # noqa: F401  prepares the process before a test module imports MXNet

pytest.register_assert_rewrite("parity")


@pytest.fixture
def gluoncv_zoo():
    pytest.importorskip("gluoncv", reason="GluonCV is not installed; nothing to compare with")
    from gluoncv import model_zoo
    return model_zoo
