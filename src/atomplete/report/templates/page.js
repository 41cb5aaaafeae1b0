// The page around the viewer: selector, what is known of a pair, points that answer to the pointer.
"use strict";

const PAGE = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

function numberText(x, digits = 3) {
  if (x === null) return "–";
  if (x === 0) return "0";
  if (Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5) return x.toPrecision(digits).replace("-", "−");
  const [mantissa, exponent] = x.toExponential(1).split("e");
  return html`${mantissa.replace("-", "−")}·10<sup>${Number(exponent).toString().replace("-", "−")}</sup>`;
}

function signed(x, digits) {
  const text = Math.abs(x).toFixed(digits);
  return (Number(text) === 0 ? "" : x > 0 ? "+" : "−") + text;
}

// A bar on a logarithmic scale from 1e-17 to 3; shaded, differences that are none beside the noise.
function logBar(value, noise, verdict) {
  const at = (x) => (100 * Math.min(Math.max((Math.log10(Math.max(x, 1e-17)) + 17) / 17.5, 0), 1)).toFixed(1);
  return html`<span class="bar" aria-hidden="true"><i class="floor" style="width:${at(PAGE.nothing * noise)}%"></i><i
    class="value ${verdict}" style="width:${at(value)}%"></i></span>`;
}

function tableOf(caption, heads, rows) {
  return html`<figure><div class="scroll"><table><thead><tr>${heads}</tr></thead><tbody>${rows}</tbody></table></div>
    <figcaption class="quiet">${caption}</figcaption></figure>`;
}

// Energies of a pair: the reference, then one of each row of the set, null where there is none.
function energyTable(set, pair) {
  if (!pair.energies?.[0]) return "";
  const difference = ([plus, minus]) => plus - minus;
  const mean = ([plus, minus]) => (plus + minus) / 2;
  const reach = Math.max(...pair.energies.filter(Boolean).map((e) => Math.abs(difference(e))), 1e-9);
  const rows = pair.energies.flatMap((e, k) => e ? [
    html`<tr class="${k ? "" : "reference"}"><th scope="row">${["reference", ...set.rows][k]}</th>
    <td>${signed(1000 * (mean(e) - mean(pair.energies[0])), 1)}</td><td>${signed(1000 * difference(e), 1)}</td>
    <td class="wide"><span class="bar middle" aria-hidden="true"><i class="value ${k ? "" : "published"}" style="
    left:${(50 + 50 * Math.min(difference(e) / reach, 0)).toFixed(1)}%;
    width:${(50 * Math.abs(difference(e)) / reach).toFixed(1)}%"></i></span></td></tr>`] : []);
  return tableOf("Predicted energies in meV: error on the mean of the pair, and its difference.",
    html`<th scope="col">row</th><th scope="col">error of mean</th><th scope="col">E⁺ − E⁻</th><th scope="col"></th>`, rows);
}

function verdictTable(pair) {
  if (!pair.verdicts.length) return "";
  const rows = pair.verdicts.map((v) => html`<tr><th scope="row">${v.subject}</th><td>${numberText(v.separation, 2)}</td>
    <td class="noise">${numberText(v.noise_floor, 2)}</td><td class="wide">${logBar(v.separation, v.noise_floor, v.words)}</td>
    <td><span class="verdict ${v.words}">${v.words}</span></td><td>${v.reason}</td></tr>`);
  return tableOf("Separation of the two members by each subject, in units of what random structures differ by, " +
    `on a logarithmic scale; shaded, ${PAGE.nothing} times the noise floor of congruent copies.`,
    html`<th scope="col">subject</th><th scope="col">separation</th><th scope="col" class="noise">noise floor</th>
    <th scope="col"></th><th scope="col">verdict</th><th scope="col"></th>`, rows);
}

class PairPanel {
  constructor() {
    this.viewer = new PairViewer([$("plus"), $("minus")], PAGE.elements);
    put($("set"), PAGE.sets.map((set) => html`<option value="${set.key}">${set.title}</option>`));
    $("set").addEventListener("change", () => this.show($("set").value));
    $("pair").addEventListener("change", () => this.show(this.set.key, Number($("pair").value)));
    $("previous").addEventListener("click", () => this.step(-1));
    $("next").addEventListener("click", () => this.step(1));
    $("random").addEventListener("click", () => this.step(Math.floor(Math.random() * 1e9)));
    $("reset").addEventListener("click", () => this.viewer.reset());
    this.show(PAGE.sets[0].key, null, false);
    this.follow();
    addEventListener("hashchange", () => this.follow());
  }

  // Show the pair that the address names.
  follow() {
    const [, key, id] = decodeURIComponent(location.hash).match(/^#pair=(.+)\/(\d+)$/) ?? [];
    if (!PAGE.sets.some((set) => set.key === key)) return;
    this.show(key, Number(id), false);
    $("pairs").scrollIntoView();
  }

  step(by) {
    const { pairs } = this.set;
    const k = pairs.indexOf(this.pair) + by;
    this.show(this.set.key, pairs[((k % pairs.length) + pairs.length) % pairs.length].id);
  }

  // Show the pair of a number, or the nearest one; without a number, the first with verdicts.
  show(key, id = null, remember = true) {
    if (key !== this.set?.key) this.viewer.turn = null; // another shape: the view starts anew
    const set = this.set = PAGE.sets.find((one) => one.key === key);
    const pair = this.pair = id === null
      ? set.pairs.find((one) => one.verdicts.length) ?? set.pairs[0]
      : set.pairs.reduce((best, one) => (Math.abs(one.id - id) < Math.abs(best.id - id) ? one : best));
    $("set").value = key;
    Object.assign($("pair"), { value: pair.id, min: set.pairs[0].id, max: set.pairs.at(-1).id });
    this.viewer.show(pair.members);
    const part = pair.part ? ` (${pair.part})` : "";
    const note = set.note ? `: ${set.note}` : "";
    $("pair-note").textContent = `Pair ${pair.id}${part}${note}. ${shift(this.viewer.members, set.congruent)}`;
    ["plus", "minus"].forEach((sign, m) => {
      const energy = pair.energies?.[0]?.[m];
      put($(`${sign}-caption`), [html`A<sup>${m ? "−" : "+"}</sup>`,
        energy === undefined ? "" : html` <span class="quiet">${signed(energy, 4)} eV</span>`]);
      $(sign).setAttribute("aria-label", `${m ? "Minus" : "Plus"} member of pair ${pair.id}, ` +
        `${pair.members[m].positions.length} atoms; turn with the arrow keys`);
    });
    put($("says"), [verdictTable(pair), energyTable(set, pair)]);
    if (remember) history.replaceState(null, "", `#pair=${encodeURIComponent(key)}/${pair.id}`);
  }
}

function shift([plus, minus], congruent) {
  if (congruent) return "The members are copies of each other, turned.";
  const [moved, places] = [plus, minus].map((m) => m.positions.filter((_, k) => m.moved[k]));
  if (moved.length === 0) return "";
  if (moved.length > 1) return `${moved.length} atoms differ, marked; dashed rings show where the other member has them.`;
  const apart = places.length === 1 ? `, ${distance(moved[0], places[0]).toFixed(2)} Å apart` : "";
  return `One atom differs, marked${apart}; a dashed ring shows where the other member has it.`;
}

// Points of the parity panels: name the nearest one, and show its pair when it is chosen. A panel
// has those that the set lists under its name, in that order: number, reference, prediction.
function answerPanels(panel) {
  const [tip, run] = [$("tip"), PAGE.sets.find((set) => set.points)];
  document.querySelectorAll("[data-points]").forEach((group) => {
    const points = run?.points[group.dataset.points];
    if (!points) return;
    const svg = group.ownerSVGElement;
    const places = [...group.querySelectorAll("use")].map((use) => [use.x.baseVal.value, use.y.baseVal.value]);
    const find = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const apart = places.map(([x, y]) => Math.hypot(x - at.x, y - at.y));
      const least = Math.min(...apart);
      return least < 12 ? points[apart.indexOf(least)] : null;
    };
    svg.addEventListener("pointermove", (event) => {
      const point = find(event);
      tip.hidden = !point;
      if (!point) return;
      tip.textContent = `pair ${point[0]}: reference ${signed(point[1], 3)} eV, predicted ${signed(point[2], 3)} eV`;
      tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
      tip.style.top = `${event.clientY + 16}px`;
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });
    svg.addEventListener("click", (event) => {
      const point = find(event);
      if (!point) return;
      panel.show(run.key, point[0]);
      $("pairs").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    });
  });
}

answerPanels(new PairPanel());
