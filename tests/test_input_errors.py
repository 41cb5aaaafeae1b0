import pickle

import numpy as np

from atomplete.errors import InputError


def test_an_error_is_one_line_whatever_it_names():
    error = InputError(f"a.xyz: center is {np.eye(2)!r}, or 'a\r\nb'")
    assert str(error) == "a.xyz: center is array([[1., 0.], [0., 1.]]), or 'a b'"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
