"""The layers of the package: a module imports only from its own line or above."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import atomplete

LINES = (
    ("errors", "units", "runs"),
    ("o3", "radial", "neighbors", "system"),
    ("descriptors",),
    ("degenerate", "nn"),
    ("latents",),
    ("potentials",),
    ("data", "config"),
    ("training", "labels", "featurize", "transformer"),
    ("audit",),
    ("report",),
    ("paper",),
    ("cli", "testing"),
)
LINE_OF = {part: number for number, line in enumerate(LINES) for part in line}
OPTIONAL = (
    "tblite",
    "pyscf",
    "featomic",
    "dscribe",
    "dask",
    "distributed",
    "dask_jobqueue",
    "chemiscope",
    "plotly",
    "mace",
    "e3nn",
    "metatomic",
    "metatomic_ase",
    "metatensor",
)

ROOT = Path(atomplete.__file__).parent
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def part_of(module):
    return module.parts[0].removesuffix(".py")


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


def imports_of(module):
    return list(imports(ast.parse((ROOT / module).read_text())))


def test_every_module_has_one_line():
    assert len(LINE_OF) == sum(map(len, LINES))
    parts = {part_of(module) for module in MODULES} - {"__init__"}
    assert parts == set(LINE_OF)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_module_imports_from_below(module):
    # the package itself stands above all: it imports nothing
    own = LINE_OF.get(part_of(module), -1)
    for name, _ in imports_of(module):
        if name.split(".")[0] == "atomplete":
            part = name.split(".")[1]
            assert LINE_OF[part] <= own, f"{module} imports {name}"


def test_an_upward_import_would_be_found():
    tree = ast.parse("def f():\n    from atomplete.cli import app\n    import atomplete.paper.data")
    assert list(imports(tree)) == [("atomplete.cli.app", True), ("atomplete.paper.data", True)]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_optional_packages_are_imported_late(module):
    for name, in_function in imports_of(module):
        if name.split(".")[0] in OPTIONAL:
            assert in_function, f"{module} imports {name} when it is itself imported"
            assert part_of(module) in ("labels", "audit", "cli", "report"), (
                f"{module} imports {name}"
            )


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


def public_surface():
    for info in pkgutil.walk_packages(atomplete.__path__, "atomplete."):
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                yield pytest.param(value, id=f"{info.name}.{name}")


@pytest.mark.parametrize("value", list(public_surface()))
def test_what_a_package_exports_shows_an_example(value):
    assert ">>>" in (value.__doc__ or "")
