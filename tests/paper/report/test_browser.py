"""The page in a real browser: no errors, a viewer that draws, turns and answers."""

import base64
import hashlib
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from matplotlib.image import imread
from report_folders import N_PAIRS, energies, write_audit, write_run

from atomplete.paper.report import RUN_PAGE
from atomplete.report import AUDIT_PAGE, write_report

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH"),
]

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # what a page wanted to fetch would fail, and be logged
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--hide-scrollbars",
    "--virtual-time-budget=4000",
    "--enable-logging=stderr",
)

# Runs after the page has loaded, acts on it as a reader would, and leaves what it saw as JSON.
PROBE = """
addEventListener("load", () => setTimeout(() => {
  const [plus, minus] = ["plus", "minus"].map((id) => document.getElementById(id));
  const picture = (drawing) => {
    const box = drawing.getBoundingClientRect();
    const seen = [...drawing.querySelectorAll("circle")].filter((one) => {
      const at = one.getBoundingClientRect();
      return at.width > 2 && at.left >= box.left && at.right <= box.right;
    });
    return { atoms: seen.length, sum: drawing.innerHTML };
  };
  const both = () => [picture(plus), picture(minus)];
  const pointer = (target, type, x, y) => target.dispatchEvent(
    new PointerEvent(type, { clientX: x, clientY: y, pointerId: 1, bubbles: true }));
  plus.setPointerCapture = minus.setPointerCapture = () => {};
  const seen = { start: both() };
  pointer(minus, "pointerdown", 100, 100);
  pointer(minus, "pointermove", 160, 120);
  pointer(minus, "pointerup", 160, 120);
  seen.dragged = both();
  plus.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
  seen.key = both();
  document.getElementById("reset").click();
  seen.reset = both();
  seen.says = [...document.querySelectorAll("#says tr")].map(
    (row) => [...row.cells].map((cell) => cell.textContent.trim()));
  seen.captions = [plus, minus].map((c) => c.getAttribute("aria-label"));
  document.getElementById("next").click();
  seen.next = { number: document.getElementById("pair").value, pictures: both() };
  const select = document.getElementById("set");
  seen.families = [...select.options].map((option) => option.value);
  select.value = "antipodal";
  select.dispatchEvent(new Event("change"));
  seen.family = { note: document.getElementById("pair-note").innerText, pictures: both() };
  const points = document.querySelector('[data-points="B_NL mean"]');
  if (points) {
    const panel = points.ownerSVGElement;
    const box = points.querySelector("use").getBoundingClientRect();
    const at = [box.left + box.width / 2, box.top + box.height / 2];
    pointer(panel, "pointermove", ...at);
    seen.tip = document.getElementById("tip").innerText;
    panel.dispatchEvent(new MouseEvent("click", { clientX: at[0], clientY: at[1], bubbles: true }));
    seen.chosen = [select.value, document.getElementById("pair").value];
  }
  seen.spectra = [...document.querySelectorAll("#spectra svg use")].filter(
    (dot) => dot.getBoundingClientRect().width > 0).length;
  seen.requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  seen.overflow = document.documentElement.scrollWidth - innerWidth;
  const result = document.createElement("pre");
  result.id = "probe";
  result.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(seen))));
  document.body.append(result);
}, 300));
"""


def browse(path, profile, *options):
    """Load a page; returns what the browser prints and what it logs."""
    done = subprocess.run(
        [BROWSER, *OPTIONS, f"--user-data-dir={profile}", *options, path.as_uri()],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return done.stdout, done.stderr


def with_script(text, script):
    """The page with one more script, which its policy allows."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert text.count("script-src ") == 1
    text = text.replace("script-src ", f"script-src 'sha256-{digest}' ")
    return text.replace("</body>", f"<script>{script}</script></body>")


def console(log):
    """What scripts wrote to the console, or failed with."""
    return re.findall(r"CONSOLE[^\n]*", log)


def probed(path, folder, *options):
    """Load a page with the probe in it; returns what it saw, and the console."""
    page = folder / "probed.html"
    page.write_text(with_script(path.read_text(), PROBE))
    dom, log = browse(page, folder / "profile", "--dump-dom", *options)
    found = re.search(r'<pre id="probe">([^<]*)</pre>', dom)
    assert found, f"the probe has not come to its end: {console(log)}"
    return json.loads(base64.b64decode(found.group(1))), console(log)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_report(write_run(tmp_path_factory.mktemp("run")), [RUN_PAGE])


@pytest.fixture(scope="module")
def seen(run, tmp_path_factory):
    return probed(run, tmp_path_factory.mktemp("browser"), "--window-size=1280,1000")


def sums(pictures):
    return [picture["sum"] for picture in pictures]


def test_the_console_is_silent_and_nothing_is_fetched(seen):
    found, lines = seen
    assert lines == []
    assert found["requests"] == []


def test_an_error_would_be_noticed(run, tmp_path):
    page = tmp_path / "broken.html"
    page.write_text(run.read_text().replace('id="set"', 'id="sets"'))
    _, log = browse(page, tmp_path / "profile", "--dump-dom")
    assert any("TypeError" in line for line in console(log))


def test_the_members_are_drawn_and_differ(seen):
    start = seen[0]["start"]
    # eight atoms, each on what hides those behind, rings of the centre and of one that differs
    assert [picture["atoms"] for picture in start] == [19, 19]
    assert start[0]["sum"] != start[1]["sum"]


def test_both_members_turn_together(seen):
    found = seen[0]
    for before, after in (("start", "dragged"), ("dragged", "key")):
        for a, b in zip(sums(found[before]), sums(found[after]), strict=True):
            assert a != b
    assert sums(found["reset"]) == sums(found["start"])


def test_pairs_and_families_can_be_chosen(seen):
    found = seen[0]
    assert found["next"]["number"] == "1"
    assert sums(found["next"]["pictures"]) != sums(found["start"])
    assert found["families"][:3] == ["run", "distances", "prl_nu2"]
    assert "three antipodal pairs" in found["family"]["note"]
    assert all(picture["atoms"] > 5 for picture in found["family"]["pictures"])


def test_what_is_said_about_a_pair(seen):
    said = {line[0]: line[1:] for line in seen[0]["says"]}
    assert said["bispectrum"][-2] == "blind"
    assert said["three_center"][-2] == "separates"
    plus, minus = energies("B_NL")[0][0]
    assert said["reference"][:2] == ["0.0", f"{1000 * (plus - minus):+.1f}".replace("-", "−")]
    assert said["D_L"][1] == "0.0"
    assert [caption[:22] for caption in seen[0]["captions"]] == [
        "Plus member of pair 0,",
        "Minus member of pair 0",
    ]


def test_points_name_their_pair(seen):
    found = seen[0]
    number = int(re.match(r"pair (\d+): reference", found["tip"]).group(1))
    assert N_PAIRS - 6 <= number < N_PAIRS
    assert found["chosen"] == ["run", str(number)]


def test_a_phone_shows_it_without_scrolling_sideways(run, tmp_path):
    # the browser's own windows are no narrower than 500 pixels
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<body><iframe src='report.html' width=400 height=900></iframe><script>"
        "addEventListener('message', (event) => { document.title = event.data; });</script></body>"
    )
    told = (
        "setTimeout(() => parent.postMessage("
        "`${document.documentElement.scrollWidth} of ${innerWidth}`, '*'), 900)"
    )
    (tmp_path / "report.html").write_text(with_script(run.read_text(), told))
    dom, log = browse(frame, tmp_path / "profile", "--dump-dom")
    assert re.search(r"<title>400 of 400</title>", dom), dom[:200]
    assert console(log) == []


def test_a_picture_of_the_page(run, tmp_path):
    picture = tmp_path / "page.png"
    size = "--window-size=1280,5000"
    browse(run, tmp_path / "profile", f"--screenshot={picture}", size)
    pixels = imread(picture)[..., :3]
    assert pixels.shape[1] == 1280
    # the centre of each member has a colour that only the viewer uses: that of the moved atom
    moved = np.linalg.norm(pixels - np.array([0xD3, 0x48, 0x1E]) / 255, axis=-1) < 0.1
    left, right = moved[:, :640], moved[:, 640:]
    assert left.sum() > 100
    assert right.sum() > 100
    assert len(np.unique((pixels * 255).astype(int) @ [1, 256, 65536])) > 500


def test_no_other_script_runs(run, tmp_path):
    page = tmp_path / "foreign.html"
    act = "document.title = 'foreign'"
    foreign = f'<script>{act}</script><img src="x" onerror="{act}">'
    page.write_text(run.read_text().replace("</body>", f"{foreign}</body>"))
    dom, log = browse(page, tmp_path / "profile", "--dump-dom")
    assert "<title>Degenerate pairs" in dom
    assert sum("Content Security Policy" in line for line in console(log)) >= 2


def test_an_audit_in_the_browser(tmp_path):
    path = write_report(write_audit(tmp_path / "audit"), [AUDIT_PAGE])
    found, lines = probed(path, tmp_path)
    assert lines == []
    assert found["families"] == ["distances", "antipodal", "controls", "own"]
    assert all(picture["atoms"] > 5 for picture in found["start"])
    said = {line[0]: line[1:] for line in found["says"]}
    assert said["three_center"][3] == "separates"
    assert found["spectra"] >= 5  # two and three singular values that are not zero
