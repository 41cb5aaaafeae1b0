import pytest

from atomplete.data import read_structures
from atomplete.errors import InputError

HEADER = "Properties=species:S:1:pos:R:3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"1\n{HEADER} energy=-1 energy=-2\nH 0 0 0\n", "its header gives energy twice"),
        (f"1\n{HEADER} {HEADER}\nH 0 0 0\n", "its header gives Properties twice"),
        (f"1\n{HEADER}:energy:R:1 energy=-5\nH 0 0 0 1\n", "its header gives energy twice"),
        (f"1\n{HEADER}:forces:R:3:forces:R:3\nH 0 0 0 1 2 3 4 5 6\n", "gives forces twice"),
        (f'1\n{HEADER} note="abc energy=-1\nH 0 0 0\n', "opens a quote or bracket"),
        (f"1\n{HEADER} note=don't energy=-1\nH 0 0 0\n", "opens a quote or bracket"),
        (f"1\n{HEADER} energy=-1 axes=[1,2\nH 0 0 0\n", "opens a quote or bracket"),
        (f"1\n{HEADER}\nH 0 0 0 0.3\n", "atom 0 has 5 fields, the header names 4"),
        (f"1\n{HEADER}:Z:I:1\nH 0 0 0 8\n", "atom 0 is H by its species and 8 by its Z"),
        (f"1\n{HEADER}:Z:I:1\nH 0 0 0\n", "not understood as extended XYZ"),
        ("1\nProperties=Z:I:1:pos:R:3\n0 0 0 0\n", "atom 0 has the atomic number 0"),
        ("1\nProperties=Z:I:1:pos:R:3\n119 0 0 0\n", "atom 0 has the atomic number 119"),
        ("1\nProperties=Z:I:1:pos:R:3\n-1 0 0 0\n", "atom 0 has the atomic number -1"),
        ("2\n\nH 0 0 0\nX 0 0 1\n", "atom 1 has the atomic number 0"),
    ],
)
def test_what_a_header_would_lose_is_refused(tmp_path, text, words):
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(InputError) as caught:
        read_structures(tmp_path / "a.xyz")
    assert str(caught.value).startswith(f"{tmp_path / 'a.xyz'}, structure 0: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "info"),
    [
        ("1\nDon't panic\nO 0 0 0\n", {"Dont panic": True}),
        (f"1\n{HEADER}:Z:I:1\nO 0 0 0 8\n", {}),
        (f"""1\n{HEADER} a="x='y' z=1" b='say "hi"' c="a \\" b"\nO 0 0 0\n""", None),
        (f"1\r\n{HEADER} note=abc\r\nO 0 0 0\r\n", {"note": "abc"}),
        (f"\ufeff1\n{HEADER} note=abc\nO 0 0 0\n", {"note": "abc"}),
        (f"1\n{HEADER} m={{1 2 3}} n=[4,5] flag\nO 0 0 0\n", None),
        ("1\n\nO 0 0 0 0.1 0.2 0.3\n", {}),  # a file without names for its columns
    ],
)
def test_what_is_whole_is_read(tmp_path, text, info):
    (tmp_path / "a.xyz").write_bytes(text.encode())
    (atoms,) = read_structures(tmp_path / "a.xyz")
    assert atoms.symbols == "O"
    if info is not None:
        assert list(atoms.info.items()) == list(info.items())
