"""What soak tests share: a budget of time, and a seed that the last line of a failure tells."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest


@dataclass
class Budget:
    """So many seconds for one test, and the seed of its first trial."""

    seconds: float
    seed: int
    began: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.began)


@pytest.fixture
def budget(request: pytest.FixtureRequest) -> Budget:
    """The time of one soak test, from ``--soak-seconds``, and where its seeds begin, from ``--soak-seed``."""
    return Budget(request.config.getoption("--soak-seconds"), request.config.getoption("--soak-seed"))
