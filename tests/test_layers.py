"""The build of the package: imports between rooms, folder sizes, isinstance, first words of prose.

Each test reads the whole source and names every offender in one message.
"""

import ast
import builtins
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import atomplete

# a module imports only from its own line or above
LINES = (
    ("errors", "units", "registry", "checkpoint", "runs"),
    ("o3", "radial", "selection", "neighbors", "system"),
    ("descriptors",),
    ("degenerate", "nn"),
    ("latents",),
    ("potentials", "kernel"),
    ("data", "config"),
    ("training", "labels", "featurize", "transformer", "dynamics", "engines"),
    ("audit",),
    ("reconstruction",),
    ("report",),
    ("paper",),
    ("cli", "testing"),
)
LINE_OF = {room: number for number, line in enumerate(LINES) for room in line}
# rooms that could be packages of their own: who may import them beside themselves
LEAVES = {"labels": {"paper", "cli"}, "paper": {"cli"}}

OPTIONAL = {
    "tblite",
    "pyscf",
    "featomic",
    "dscribe",
    "dask",
    "distributed",
    "dask_jobqueue",
    "mace",
    "e3nn",
    "metatomic",
    "metatomic_ase",
    "metatensor",
    "openmm",
    "torch_sim",
}
ROOMS_WITH_OPTIONAL = {"labels", "audit", "cli", "report", "engines"}
MOST_FILES = 12

# "What a campaign did" makes a reader guess: it is the outcome of a campaign
NO_SUBJECT = {"What", "How", "Of", "Which", "Where", "Why", "Those", "By", "In", "From"}

ROOT = Path(atomplete.__file__).parent
PROJECT = ROOT.parents[1]
TREES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text())
    for path in sorted(ROOT.rglob("*.py"))
}


def room_of(module):
    return module.split("/")[0].removesuffix(".py")


def imports(node, in_function=False):
    """(name, whether inside a function) of everything that a syntax tree imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, in_function) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute, so that this test can read them"
            # `from atomplete import units` names a module as well
            yield from ((f"{child.module}.{alias.name}", in_function) for alias in child.names)
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(child, in_function or function)


def imported_rooms():
    """(module, name, room) of each import of the package's own; the package itself imports none."""
    for module, tree in TREES.items():
        for name, _ in imports(tree):
            if name.split(".")[0] == "atomplete":
                yield module, name, name.split(".")[1]


def own_names(tree):
    """Local name to own name of what a module takes from the package."""
    return {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "atomplete"
        for alias in node.names
    }


def own_classes():
    """Names of classes that the package defines, without those of its exceptions.

    Exceptions may be told apart anywhere: ``except InputError`` does nothing else, and what a
    worker process sends back is an exception to be looked at.
    """
    bases = {
        node.name: {name.id for name in node.bases if isinstance(name, ast.Name)}
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }

    def is_exception(name):
        known = getattr(builtins, name, None)
        if inspect.isclass(known):
            return issubclass(known, BaseException)
        return any(is_exception(base) for base in bases.get(name, ()))

    return {name for name in bases if not is_exception(name)}


def told_apart(tree):
    """Names of classes that a module compares types with.

    By ``isinstance``, ``issubclass``, ``type(x) is C`` or ``case C():``.
    """
    for node in ast.walk(tree):
        looked_at = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass"):
                looked_at = [node.args[1]]
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(ast.unparse(side).startswith("type(") for side in sides):
                looked_at = sides
        elif isinstance(node, ast.MatchClass):
            looked_at = [node.cls]
        for part in looked_at:
            for name in ast.walk(part):
                if isinstance(name, ast.Name):
                    yield name.id
                elif isinstance(name, ast.Attribute):
                    yield name.attr


def listed(offenders):
    return "".join(f"\n  {' '.join(map(str, offender))}" for offender in sorted(offenders))


def test_every_module_is_in_one_room():
    assert len(LINE_OF) == sum(map(len, LINES))
    rooms = {room_of(module) for module in TREES} - {"__init__"}
    assert rooms == set(LINE_OF)


def test_no_module_imports_from_below():
    upward = [
        (module, "imports", name)
        for module, name, room in imported_rooms()
        if LINE_OF[room] > LINE_OF.get(room_of(module), -1)
    ]
    assert not upward, listed(upward)


def test_an_upward_import_would_be_found():
    tree = ast.parse("def f():\n    from atomplete.cli import app\n    import atomplete.paper.data")
    assert list(imports(tree)) == [("atomplete.cli.app", True), ("atomplete.paper.data", True)]


def test_nothing_imports_the_leaves():
    found = [
        (module, "imports", name)
        for module, name, room in imported_rooms()
        if room_of(module) not in {room} | LEAVES.get(room, {room_of(module)})
    ]
    assert not found, listed(found)


def test_no_folder_is_large():
    folders = [
        folder
        for top in (ROOT, PROJECT / "tests")
        for folder in (top, *top.rglob("*"))
        if folder.is_dir() and folder.name != "__pycache__"
    ]
    sizes = {folder: sum(file.is_file() for file in folder.iterdir()) for folder in folders}
    large = [(folder, size) for folder, size in sizes.items() if size > MOST_FILES]
    assert not large, listed(large)


def test_folders_of_tests_mirror_those_of_the_package():
    tests = PROJECT / "tests"
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    folders -= {Path("fuzz")}  # of all verbs, and of the Python interface
    missing = [(folder.as_posix(),) for folder in folders if not (ROOT / folder).is_dir()]
    assert not missing, listed(missing)


def test_own_classes_are_told_apart_at_home_only():
    classes = own_classes()
    found = set()
    for module, tree in TREES.items():
        own = own_names(tree)
        found |= {(module, own[name]) for name in told_apart(tree) if own.get(name) in classes}
    assert not found, listed(found)


def test_each_way_to_tell_classes_apart_would_be_found():
    text = (
        "isinstance(x, A | b.B)\nissubclass(x, (C, D))\ntype(x) is E\n"
        "match x:\n    case F(): pass\nisinstance(x, int)\n"
    )
    assert set(told_apart(ast.parse(text))) >= set("ABCDEF")
    assert "InputError" not in own_classes()
    assert "System" in own_classes()


def test_docstrings_name_their_subject():
    found = {
        (module, "|", text.splitlines()[0])
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and (text := ast.get_docstring(node))
        and text.split()[0].rstrip(",:") in NO_SUBJECT
    }
    assert not found, listed(found)


def test_optional_packages_are_imported_late():
    early = [
        (module, "imports", name)
        for module, tree in TREES.items()
        for name, in_function in imports(tree)
        if name.split(".")[0] in OPTIONAL
        and not (in_function and room_of(module) in ROOMS_WITH_OPTIONAL)
    ]
    assert not early, listed(early)


@pytest.mark.parametrize("command", ["import atomplete", "--help"])
def test_starting_up_loads_nothing_heavy(command):
    if command == "--help":
        command = (
            "import sys\nsys.argv = ['atomplete', '--help']\nfrom atomplete.cli import main\n"
            "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 0, stop.code"
        )
    heavy = "[m for m in ('torch', 'ase', 'scipy', 'matplotlib') if m in sys.modules]"
    done = subprocess.run(
        [sys.executable, "-c", f"{command}\nimport sys\nprint({heavy})"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_a_package_exports_shows_an_example():
    without = set()
    for info in pkgutil.walk_packages(atomplete.__path__, "atomplete."):
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            is_code = inspect.isclass(value) or inspect.isfunction(value)
            if is_code and ">>>" not in (value.__doc__ or ""):
                without.add((info.name, name))
    assert not without, listed(without)
