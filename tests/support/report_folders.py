"""Folders as ``reproduce`` and an audit leave them, with made-up numbers of a small size."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
from ase import Atoms

from atomplete.audit import subject_of
from atomplete.audit.resolution.local_table import resolution_rows
from atomplete.data import write_structures
from atomplete.degenerate.families.registry import FAMILIES, generate

N_PAIRS, N_TEST = 20, 6
BENT = Atoms("B3", [(0, 0, 0), (0, 1.3, 0.9), (0.2, -1.5, 0.6)])
ROWS = {"A_NL_rho": "features", "B_NL": "energy", "D_L": "energy"}

VALIDATION = {"validation_mean_error": 0.1, "validation_difference_error": 0.3}
LATENT = [
    {"latent": n, "mean_error": 1 / n, "difference_error": 2 / n, "seconds": 1.0, **VALIDATION}
    for n in (8, 32, 128)
]
OBJECTIVES = [
    {
        "objective": "reconstruction",
        "separation": 0.012,
        "jacobian_rank": 17,
        "full_rank": 18,
        "least_singular_value": 0.01,
        "mean_error": 0.1,
        "difference_error": 0.5,
        **VALIDATION,
    }
]
ABLATION = [
    {
        "representation": representation,
        "set": pairs,
        "mean_error": 0.2,
        "difference_error": error,
        "mean_error_spread": 0.02,
        "difference_error_spread": 0.03,
        "seeds": 3,
    }
    for representation, error in (("N2nu1", 0.1), ("nu3", 1.0))
    for pairs in ("b8", "union")
]
LEARNING = [
    {"row": "B_NL", "n_train_pairs": n, "mean_error": 5 / n, "difference_error": e / n, "seed": 0}
    for n in (100, 300)
    for e in (8, 10)
] + [
    {
        "row": "B_NL",
        "n_train_pairs": 3500,
        "mean_error": 0.01,
        "mean_error_low": 0.008,
        "mean_error_high": 0.02,
        "difference_error": 0.05,
        "difference_error_low": 0.03,
        "difference_error_high": 0.07,
        "extrapolated": True,
    }
]


def table_entry(row, **changes):
    entry = {
        "row": row,
        "v1_name": None,
        "target": ROWS[row],
        "mean_error": 0.0421,
        "difference_error": 0.234 if row != "D_L" else 1.0,
        "mean_error_spread": 0.0031,
        "difference_error_spread": None,
        **VALIDATION,
        "published_mean_error": 0.0177,
        "published_difference_error": 0.2,
        "n_train_pairs": 12,
        "n_validation_pairs": 2,
        "n_test_pairs": N_TEST,
        "labels": "xtb",
        "budget": "smoke",
        "seeds": [0, 1, 2],
        "seconds": 90.0,
    }
    return entry | changes


def energies(row):
    """Reference and predicted energies of all pairs; D_L is blind."""
    rng = np.random.default_rng(7)
    reference = -240 + rng.normal(scale=3, size=(N_PAIRS, 1)) + rng.normal(size=(N_PAIRS, 2)) / 5
    predicted = reference + rng.normal(scale=0.05, size=(N_PAIRS, 2))
    if row == "D_L":
        predicted[:] = predicted.mean(1, keepdims=True)
    return reference, predicted


def write_run(folder, optional=True):
    """A run of three rows; returns the folder."""
    folder.mkdir(exist_ok=True)
    write_structures(folder / f"b8-{N_PAIRS}-xtb.xyz", generate("b8", N_PAIRS))
    write_json(folder / "table.json", [table_entry(row) for row in ROWS])
    options = {"pairs": N_PAIRS, "labels": "xtb", "seeds": [0, 1, 2]}
    write_json(folder / "run.json", {"options": options, "data_sha256": "ab12"})
    for row, target in ROWS.items():
        (folder / row / "seed-1").mkdir(parents=True)
        if target == "energy":
            write_predictions(folder / row / "predictions.csv", row)
    for log in (folder / "B_NL" / "log.jsonl", folder / "B_NL" / "seed-1" / "log.jsonl"):
        epochs = [
            {"epoch": e, "train_loss": 1 / e, "validation_loss": 1.5 / e, "learning_rate": 1e-3}
            for e in range(1, 9)
        ]
        log.write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    if optional:
        write_json(folder / "latent_size.json", LATENT)
        write_json(folder / "objectives.json", OBJECTIVES)
        write_json(folder / "ablation.json", ABLATION)
        write_json(folder / "learning_curve.json", LEARNING)
    return folder


def write_predictions(path, row):
    part = ["train"] * (N_PAIRS - N_TEST - 2) + ["validation"] * 2 + ["test"] * N_TEST
    lines = ["pair_id,part,energy_plus,energy_minus,predicted_plus,predicted_minus"]
    for k, numbers in enumerate(np.hstack(energies(row))):
        lines.append(f"{k},{part[k]}," + ",".join(f"{x:.9f}" for x in numbers))
    path.write_text("\n".join(lines) + "\n")


def write_audit(folder):
    """An audit of two subjects and a broken one; returns the folder."""
    folder.mkdir(exist_ok=True)
    rows = []
    for family in ("distances", "antipodal", "controls"):
        for subject, blind in (("three_center", False), ("<i>power</i>", family != "distances")):
            blind = blind or FAMILIES[family].congruent
            for member in range(3):
                rows.append(
                    {
                        "subject": subject,
                        "family": family,
                        "member": member,
                        "level": "environment",
                        "group": "O3",
                        "cutoff": 3.0,
                        "verdict": "blind" if blind else "separates",
                        "reason": "",
                        "separation": 3e-16 if blind else 0.1,
                        "noise_floor": 2e-15,
                        "congruent": FAMILIES[family].congruent,
                        "slope": 1.0,
                        "structural_distances": [1e-4, 1e-2],
                        "feature_distances": [2e-5, 2e-3],
                    }
                )
    own = {"level": "environment", "group": "O3", "cutoff": 3.0, "pair_id": 5}
    rows.append({"subject": "mine", "family": "own", "verdict": "broken", **own})
    write_json(folder / "audit.json", rows)
    basis = {"max_radial": 4, "max_angular": 3}
    found = {"smallest": basis, "separated": [3], "n": 3, "ladder": [basis]}
    sweep = [{"subject": "three_center", "family": "antipodal", **found}]
    write_json(folder / "sweep.json", sweep)
    write_json(folder / "run.json", {"options": {"seed": None}, "versions": {"python": "3"}})
    for subject in ("radial_spectrum", "power_spectrum"):
        found = resolution_rows(subject_of(subject), [BENT, BENT[:2]], level="environment", sweep=0)
        rows = [row.model_dump(mode="json") | {"file": "my.xyz"} for row in found]
        write_json(folder / f"resolution_{subject}.json", rows)
    pair = generate("chiral", 1)
    for atoms in pair:
        atoms.info["pair_id"] = 5
    write_structures(folder / "own.xyz", pair)
    return folder


def write_json(path, content):
    path.write_text(json.dumps(content))


def drawing(html, words):
    """The chart whose alternative text holds some words."""
    charts = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    (found,) = (chart for chart in charts if words in chart.get("aria-label", ""))
    return found


def points_of(group):
    """(point, 2): places of markers on the screen, x to the right and y upwards."""
    return np.array([(float(use.get("x")), -float(use.get("y"))) for use in group.iter("use")])


def assert_self_contained(html):
    """Nothing is fetched, and links lead to places or pairs of the page."""
    page = Page(html)
    anchors = {attributes.get("id") for _, attributes in page.tags}
    keys = {one["key"] for one in page.payload()["sets"]}
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert re.match(r"#|data:,|$", attributes.get(name) or ""), attributes
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|import\(|https?://", html)
    links = [link["href"].removeprefix("#") for link in page.all("a")]
    assert len(links) >= 4
    for link in links:
        assert link in anchors or re.sub(r"pair=(.*)/\d+", r"\1", link) in keys
    for picture in page.all("svg"):
        # labels of the viewer come with the pair that they show
        assert picture.get("aria-label") or picture.get("id")


class Page(HTMLParser):
    """What a page consists of: texts by element, attributes, the data of its script."""

    VOID = ("meta", "link", "input", "br", "img", "hr")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.data = [], [], [], ""
        self.feed(text)
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            if not self.data:
                self.data = data
        elif data.strip() and self.open[-1] != "style":
            self.texts.append(data.strip())

    def payload(self):
        return json.loads(self.data)

    def all(self, tag, **attributes):
        return [
            found
            for name, found in self.tags
            if name == tag and all(found.get(key) == value for key, value in attributes.items())
        ]
