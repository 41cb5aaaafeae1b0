"""For tests of tiny tensors: threads that wait for each other cost more than they give.

A module that imports the fixture has it without asking for it. On a machine that has other work
to do as well, two threads are ten times slower than one.
"""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)
