"""One potential for all tests of engines."""

import pytest
import torch
from linear_potentials import linear_potential


@pytest.fixture(scope="session")
def potential():
    """A potential with a committee."""
    found = linear_potential()
    generator = torch.Generator().manual_seed(3)
    for values in (found.committee.coefficients, found.committee.references):
        values.copy_(0.1 * torch.randn(values.shape, generator=generator).double())
    found.committee.calibration.copy_(torch.tensor([0.3, 0.4, 0.5]))
    return found
