"""Memory of tensors, counted."""

import weakref

import torch
from torch.utils._pytree import tree_leaves


class LiveBytes(torch.utils._python_dispatch.TorchDispatchMode):
    """The most bytes that tensors used meanwhile have held at one time, whoever made them."""

    def __init__(self):
        super().__init__()
        self.live = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in filter(is_tensor, tree_leaves((args, kwargs, result))):
            storage = tensor.untyped_storage()
            if id(storage) not in self.live:
                self.live[id(storage)] = storage.nbytes()
                weakref.finalize(storage, self.live.pop, id(storage))
        self.peak = max(self.peak, sum(self.live.values()))
        return result


def is_tensor(value):
    return isinstance(value, torch.Tensor)
