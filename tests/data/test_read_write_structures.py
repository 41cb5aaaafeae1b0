import bz2
import gzip
import lzma
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from atomplete.data import content_hash, energies, read_structures, write_structures
from atomplete.data.extxyz import frame_text
from atomplete.errors import InputError

WATER = """3
Properties=species:S:1:pos:R:3 energy=-10.5
O  0.00000000  0.00000000  0.11926200
H  0.00000000  0.76323900 -0.47704700
H  0.00000000 -0.76323900 -0.47704700
"""


@pytest.fixture
def xyz(tmp_path):
    def write(content):
        path = tmp_path / "in.xyz"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def labelled(atoms, **results):
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def with_column(symbols, column):
    atoms = Atoms(symbols, positions=np.eye(3)[: len(column)])
    atoms.arrays["column"] = np.array(column)
    return atoms


def test_reads_all_frames_also_past_blank_lines_and_compressed(xyz, tmp_path):
    assert len(read_structures(xyz(WATER + "\n" + WATER))) == 2
    for suffix, compress in {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.items():
        packed = tmp_path / f"in.xyz.{suffix}"
        packed.write_bytes(compress((WATER + "\n" + WATER).encode()))
        assert [atoms.get_potential_energy() for atoms in read_structures(packed)] == [-10.5, -10.5]
        packed.write_bytes(compress(WATER.encode())[:-12])
        with pytest.raises(InputError, match="cut short"):
            read_structures(packed)


def test_other_formats_go_through_ase(tmp_path):
    bulk("Si").write(tmp_path / "POSCAR", format="vasp")
    assert read_structures(tmp_path / "POSCAR")[0].pbc.all()
    (tmp_path / "a.cif").write_text("not a cif")
    with pytest.raises(InputError, match=r"a\.cif: "):
        read_structures(tmp_path / "a.cif")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no structures"),
        ("\n\n", "no structures"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "structure 0: line 1 must hold the number of atoms"),
        (b"\x00" * 64, "structure 0: line 1 must hold the number of atoms"),
        ("3.5\n\n", "number of atoms, not '3.5'"),
        ("data,energy\n1,2\n", "number of atoms"),
        ("-2\n\n", "announces -2 atoms"),
        ("0\n\n", "structure 0: there are no atoms"),
        ("0\nx", "structure 0: there are no atoms"),
        ("1\n\nH 0.123 0.456 0.7", "the last line ends within a number ('H 0.123 0.456 0.7')"),
        ("1\nx\nH", "structure 0: not understood"),
        ("2\n\nH 0 0 0.0\nH 0 1 2.5e-1", "the last line ends within a number ('H 0 1 2.5e-1')"),
        ("2\n\nH 0 0 1.0e-05\nH 0 1 2.5E-", "the last line ends within a number"),
        ("1\n\nH 0 0 0.00000001e", "the last line ends within a number"),
        (
            b"1\nx=\xff\nH 0 0 0\n",
            "structure 0: not understood as extended XYZ (it is not all text",
        ),
        (WATER + "0\n\n", "structure 1: there are no atoms"),
        ("2\nx\nH 0 0 0\nH 0 0 nan\n", "structure 0: the z coordinate of atom 1 is nan"),
        ("2\nx\nH 0 0 0\nH -inf 0 1\n", "the x coordinate of atom 1 is -inf"),
        ("2\nx\nH 0 0 0\nH 0 0 0.0005\n", "atoms 0 and 1 are 0.0005 Å apart"),
        ("1\nx\nQq 0 0 0\n", "structure 0: not understood as extended XYZ ('Qq' is no element)"),
        ("1\nx\nH 0 zero 0\n", "structure 0: not understood"),
        (WATER + "12\nx\nH 0 0 0\n", "structure 1: it announces 12 atoms but has 1"),
        (WATER + "3", "structure 1: it announces 3 atoms but has 0"),
        ('1\nLattice="1 0 0 0 1 0 0 0 nan" pbc="F F F"\nH 0 0 0\n', "not finite"),
        ('1\npbc="T T T"\nH 0 0 0\n', "periodic along xyz, but the cell"),
        ('1\nLattice="1 0 0 2 0 0 0 0 1" pbc="T T F"\nH 0 0 0\n', "periodic along xy,"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(xyz, content, words):
    path = xyz(content)
    with pytest.raises(InputError) as caught:
        read_structures(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert words in message
    assert "\n" not in message


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_structures(tmp_path / "absent.xyz")
    with pytest.raises(InputError, match="it is a folder"):
        read_structures(tmp_path)


# A cut at the end of a frame leaves a whole file, and one in the last three digits cannot be told
# from a number that ends there; the number keeps its first decimals then.
@given(st.integers(1, len(WATER) - 2))
def test_a_file_cut_anywhere_is_refused(tmp_path_factory, kept):
    path = tmp_path_factory.mktemp("cut") / "in.xyz"
    path.write_text(WATER + WATER[:kept])
    with pytest.raises(InputError, match="structure 1"):
        read_structures(path)


def test_a_cut_in_numbers_of_full_precision_loses_at_most_the_last_digits(tmp_path):
    rng = np.random.default_rng(3)
    text = frame_text(Atoms("B8", positions=rng.normal(size=(8, 3)) * 3))
    whole = float(text.split()[-1])
    path = tmp_path / "in.xyz"
    for kept in range(1, len(text) - 1):
        path.write_text(text[:kept])
        try:
            atoms = read_structures(path)[0]
        except InputError:
            continue
        assert abs(atoms.positions[-1, -1] - whole) < 1e-9


@pytest.mark.parametrize("text", ["2\n\nH 0 0 0\nH 0 0 0.74", "1\n\nH 0.0 0.0 0.0", WATER[:-1]])
def test_whole_files_without_a_last_newline_are_read(xyz, text):
    assert read_structures(xyz(text))[0].positions.shape == (int(text[0]), 3)


@given(
    st.lists(
        st.floats(-1e3, 1e3, allow_nan=False, allow_infinity=False), min_size=6, max_size=6
    ).filter(lambda x: np.linalg.norm(np.subtract(x[:3], x[3:])) > 0.01)
)
def test_what_is_written_reads_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("bits") / "out.xyz"
    positions = np.reshape(values, (2, 3))
    atoms = labelled(Atoms("BN", positions=positions), energy=values[0], forces=-positions)
    write_structures(path, [atoms])
    (back,) = read_structures(path)
    np.testing.assert_array_equal(back.positions, positions)
    np.testing.assert_array_equal(back.get_forces(), -positions)
    assert back.get_potential_energy() == values[0]


def test_info_arrays_cell_and_stress_survive(tmp_path):
    atoms = bulk("NaCl", "rocksalt", a=5.64 + 1 / 3)
    atoms.info = {"pair_id": 4, "sign": "-", "note": 'a "quoted" word', "ok": True, "x": 0.1 + 0.2}
    atoms.arrays["tag"] = np.array([3, 5])
    atoms.arrays["centre"] = np.array([True, False])
    atoms.set_initial_charges([1.0, -1.0])
    stress = np.array([1, 2, 3, 4, 5, 6]) / 7
    write_structures(tmp_path / "a.xyz", [labelled(atoms, energy=-1 / 3, stress=stress)])
    (back,) = read_structures(tmp_path / "a.xyz")
    assert back.info == atoms.info
    np.testing.assert_array_equal(back.arrays["tag"], [3, 5])
    np.testing.assert_array_equal(back.arrays["centre"], [True, False])
    np.testing.assert_array_equal(back.get_initial_charges(), [1.0, -1.0])
    np.testing.assert_array_equal(back.get_stress(), stress)
    np.testing.assert_array_equal(back.cell, atoms.cell)
    assert content_hash([back]) == content_hash([atoms])


@pytest.mark.parametrize(
    "text",
    ["", " ", "007", "T", "none", "1 2 3", "a\\b", "two\nlines", '"', "{a", "[1]", "_JSON 1", "Å"],
)
def test_text_is_not_read_as_anything_else(tmp_path, text):
    write_structures(tmp_path / "a.xyz", [Atoms("H", info={"note": text, "n": 1, "none": None})])
    assert read_structures(tmp_path / "a.xyz")[0].info == {"note": text, "n": 1, "none": None}


def test_empty_text_does_not_swallow_what_follows(xyz):
    header = """Properties=species:S:1:pos:R:3 a="" b='' c='x="" y' d="\\"" energy=-1.5 e=\"\""""
    (atoms,) = read_structures(xyz(f"1\n{header}\nH 0 0 0\n"))
    assert atoms.info == {"a": "", "b": "", "c": 'x="" y', "d": '"', "e": ""}
    assert atoms.get_potential_energy() == -1.5


def test_columns_that_a_file_leaves_blank_are_left_out(tmp_path):
    lines = "ATOM      1 O                    0.000   0.000   0.119  1.00  0.00           O\nEND\n"
    (tmp_path / "a.pdb").write_text(lines)
    atoms = read_structures(tmp_path / "a.pdb")
    assert "residuenames" not in atoms[0].arrays
    write_structures(tmp_path / "a.xyz", atoms)
    assert read_structures(tmp_path / "a.xyz")[0] == atoms[0]


def test_what_other_formats_hold_can_be_written(tmp_path):
    bulk("NaCl", "rocksalt", a=5.64, cubic=True).write(tmp_path / "a.cif")
    bulk("Si").write(tmp_path / "a.traj")
    for name in ("a.cif", "a.traj"):
        atoms = read_structures(tmp_path / name)
        write_structures(tmp_path / "a.xyz", atoms)
        (back,) = read_structures(tmp_path / "a.xyz")
        assert content_hash([back]) == content_hash(atoms)
        assert back.info == atoms[0].info


CIF = """data_cu
_cell_length_a 3.6
_cell_length_b 3.6
_cell_length_c 3.6
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_IT_number 1
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_occupancy
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
"""


@pytest.mark.parametrize("sites", ["Cu1 Cu 0.6 0 0 0\nAu1 Au 0.4 0 0 0\n", "Cu1 Cu 0.25 0 0 0\n"])
def test_sites_that_are_occupied_partially(tmp_path, sites):
    (tmp_path / "a.cif").write_text(CIF + sites)
    with pytest.raises(InputError, match="structure 0: a site is occupied partially"):
        read_structures(tmp_path / "a.cif")
    (tmp_path / "a.cif").write_text(CIF + "Cu1 Cu 1.0 0 0 0\n")
    assert str(read_structures(tmp_path / "a.cif")[0].symbols) == "Cu"


def test_what_cannot_be_written(tmp_path):
    h = Atoms("H")
    with pytest.raises(InputError, match="must end in"):
        write_structures(tmp_path / "a.txt", [h])
    with pytest.raises(InputError, match="does not exist"):
        write_structures(tmp_path / "absent" / "a.xyz", [h])
    with pytest.raises(InputError, match="no structures"):
        write_structures(tmp_path / "a.xyz", [])
    for broken in (
        Atoms("H", info={"ragged": [[1, 2], [3]]}),
        Atoms("H", info={"two\nlines": 1}),
        Atoms("H", info={"atoms": h}),
        *(with_column("H2", names) for names in (["a b", "c"], ["", "c"], ["a", None], [1j, 2.0])),
    ):
        with pytest.raises(InputError, match="structure 1: it does not fit"):
            write_structures(tmp_path / "a.xyz", [h, broken])
    assert list(tmp_path.iterdir()) == []  # nor half a file


def test_energies_name_the_structure_without_a_label(xyz):
    unlabelled = WATER.replace("energy=-10.5", "")
    path = xyz(WATER + unlabelled)
    with pytest.raises(InputError, match=r"in\.xyz, structure 1: it has no energy"):
        energies(read_structures(path), path)
    for bad in ("nan", "inf", "oops"):
        path = xyz(WATER + WATER.replace("-10.5", bad))
        with pytest.raises(InputError, match=f"structure 1: its energy is {bad}"):
            energies(read_structures(path), path)
    path = xyz(WATER + WATER)
    np.testing.assert_array_equal(energies(read_structures(path), path), [-10.5, -10.5])


def test_importing_data_does_not_import_heavy_packages():
    code = "import sys, atomplete.data; print(*{'torch', 'tblite', 'pyscf'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
