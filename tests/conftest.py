"""Options of the whole test suite."""

from __future__ import annotations

import os

import pytest

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")  # the tests run side by side; threads of small products would wait for one another


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew; refused for an answer that the numbers do not confirm",
    )
    parser.addoption("--fuzz", default="1", help="how many times as many random texts to run")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
