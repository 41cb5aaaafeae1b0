// The page around the viewer: selector, what is known of a pair, points that answer to the pointer.
"use strict";

const PAGE = JSON.parse(document.getElementById("data").textContent);
const ARRAYS = { u1: Uint8Array, u2: Uint16Array, i2: Int16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };
const PARTS = ["train", "validation", "test"];
const $ = (id) => document.getElementById(id);

function unpack(text, type) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new ARRAYS[type](bytes.buffer);
}

function numberText(x, digits = 3) {
  if (x === null || x === undefined || !Number.isFinite(x)) return "–";
  if (x === 0) return "0";
  if (Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5) return x.toPrecision(digits).replace("-", "−");
  const [mantissa, exponent] = x.toExponential(1).split("e");
  return `${mantissa.replace("-", "−")}·10<sup>${Number(exponent).toString().replace("-", "−")}</sup>`;
}

function signed(x, digits) {
  const text = Math.abs(x).toFixed(digits);
  return (Number(text) === 0 ? "" : x > 0 ? "+" : "−") + text;
}
const escaped = (text) => text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

// Arrays of a set of pairs, decoded when the set is first looked at.
function opened(set) {
  if (set.open) return set.open;
  const array = (name, type) => set[name] && unpack(set[name], type);
  const starts = [0];
  for (const size of array("sizes", "u2")) starts.push(starts.at(-1) + size);
  set.open = {
    starts,
    ids: array("ids", "i4"),
    centers: array("centers", "i2"),
    numbers: array("numbers", "u1"),
    positions: array("positions", "i2"),
    parts: array("parts", "u1"),
    energies: array("energies", "f8"),
    errors: Object.fromEntries(
      Object.entries(set.errors ?? {}).map(([name, text]) => [name, unpack(text, "f4")])),
  };
  return set.open;
}

function member(set, index) {
  const open = opened(set);
  const [start, end] = [open.starts[index], open.starts[index + 1]];
  return {
    positions: [...Array(end - start).keys()].map(
      (k) => [0, 1, 2].map((x) => set.scale * open.positions[3 * (start + k) + x])),
    numbers: open.numbers.subarray(start, end),
    center: open.centers[index],
    cell: set.cells?.[index],
  };
}

// A bar on a logarithmic scale from 1e-17 to 3; shaded, differences that are none beside the noise.
function logBar(value, noise, verdict) {
  const at = (x) => (100 * Math.min(Math.max((Math.log10(Math.max(x, 1e-17)) + 17) / 17.5, 0), 1)).toFixed(1);
  return `<span class="bar" aria-hidden="true"><i class="floor" style="width:${at(PAGE.nothing * noise)}%"></i>` +
    `<i class="value ${verdict}" style="width:${at(value)}%"></i></span>`;
}

function tableOf(caption, heads, rows) {
  return `<figure><div class="scroll"><table><thead><tr>${heads}</tr></thead><tbody>${rows.join("")}</tbody></table></div>` +
    `<figcaption class="quiet">${caption}</figcaption></figure>`;
}

function energyTable(set, k) {
  const open = opened(set);
  if (!open.energies || !Number.isFinite(open.energies[2 * k])) return "";
  const [plus, minus] = [open.energies[2 * k], open.energies[2 * k + 1]];
  const differences = Object.entries(open.errors).map(([row, e]) => [row, e[2 * k], e[2 * k + 1]]);
  const all = [plus - minus, ...differences.map(([, p, m]) => plus - minus + p - m)];
  const reach = Math.max(...all.map(Math.abs), 1e-9);
  const bar = (x, kind) => `<span class="bar middle" aria-hidden="true"><i class="${kind}" style="` +
    `left:${(50 + 50 * Math.min(x / reach, 0)).toFixed(1)}%;width:${(50 * Math.abs(x) / reach).toFixed(1)}%"></i></span>`;
  const rows = differences.map(([row, p, m]) =>
    `<tr><th scope="row">${escaped(row)}</th><td>${signed(500 * (p + m), 1)}</td>` +
    `<td>${signed(1000 * (plus - minus + p - m), 1)}</td><td class="wide">${bar(plus - minus + p - m, "value c0")}</td></tr>`);
  rows.unshift(`<tr class="reference"><th scope="row">reference</th><td>0</td>` +
    `<td>${signed(1000 * (plus - minus), 1)}</td><td class="wide">${bar(plus - minus, "value published")}</td></tr>`);
  return tableOf("Predicted energies in meV: error on the mean of the pair, and its difference.",
    `<th scope="col">row</th><th scope="col">error of mean</th><th scope="col">E⁺ − E⁻</th><th scope="col"></th>`, rows);
}

function verdictTable(set, id) {
  const found = set.verdicts[id];
  if (!found) return "";
  const rows = found.map((v) => `<tr><th scope="row">${escaped(v.subject)}</th><td>${numberText(v.separation, 2)}</td>` +
    `<td class="noise">${numberText(v.noise_floor, 2)}</td><td class="wide">${logBar(v.separation, v.noise_floor, v.style)}</td>` +
    `<td><span class="verdict ${v.style}">${v.words}</span></td><td>${escaped(v.reason)}</td></tr>`);
  return tableOf("Separation of the two members by each subject, in units of what random structures differ by, " +
    `on a logarithmic scale; shaded, ${PAGE.nothing} times the noise floor of congruent copies.`,
    `<th scope="col">subject</th><th scope="col">separation</th><th scope="col" class="noise">noise floor</th>` +
    `<th scope="col"></th><th scope="col">verdict</th><th scope="col"></th>`, rows);
}

class PairPanel {
  constructor() {
    this.viewer = new PairViewer([$("plus"), $("minus")], PAGE.elements);
    this.set = PAGE.sets[0];
    this.k = 0;
    $("set").innerHTML = PAGE.sets.map((set) => `<option value="${set.key}">${escaped(set.title)}</option>`).join("");
    $("set").addEventListener("change", () => this.show($("set").value, null));
    $("pair").addEventListener("change", () => this.show(this.set.key, Number($("pair").value)));
    $("previous").addEventListener("click", () => this.step(-1));
    $("next").addEventListener("click", () => this.step(1));
    $("random").addEventListener("click", () => this.step(Math.floor(Math.random() * 1e9)));
    $("reset").addEventListener("click", () => this.viewer.reset());
    this.show(this.set.key, null, false);
    this.follow();
    addEventListener("hashchange", () => this.follow());
  }

  // Show the pair that the address names.
  follow() {
    const [, key, id] = location.hash.match(/^#pair=([^/]+)\/(\d+)$/) ?? [];
    if (!PAGE.sets.some((set) => set.key === key)) return;
    this.show(key, Number(id), false);
    $("pairs").scrollIntoView();
  }

  step(by) {
    const ids = opened(this.set).ids;
    const k = (((this.k + by) % ids.length) + ids.length) % ids.length;
    this.show(this.set.key, ids[k]);
  }

  // Show the pair of a number; the nearest one if there is none of this number.
  show(key, id, remember = true) {
    if (key !== this.set.key) this.viewer.turn = null; // another shape: the view starts anew
    this.set = PAGE.sets.find((set) => set.key === key);
    const open = opened(this.set);
    this.k = id === null ? 0 : nearest(open.ids, id);
    id = open.ids[this.k];
    $("set").value = key;
    $("pair").value = id;
    $("pair").min = open.ids[0];
    $("pair").max = open.ids.at(-1);
    const members = [member(this.set, 2 * this.k), member(this.set, 2 * this.k + 1)];
    this.viewer.show(members);
    const part = open.parts ? ` (${PARTS[open.parts[this.k]] ?? "not used"})` : "";
    const note = this.set.note ? `: ${this.set.note}` : "";
    $("pair-note").textContent = `Pair ${id}${part}${note}. ${shift(this.viewer.members, this.set.congruent)}`;
    ["plus", "minus"].forEach((sign, m) => {
      const energy = open.energies?.[2 * this.k + m];
      $(`${sign}-caption`).innerHTML = `A<sup>${m ? "−" : "+"}</sup>` +
        (Number.isFinite(energy) ? ` <span class="quiet">${energy.toFixed(4).replace("-", "−")} eV</span>` : "");
      $(sign).setAttribute("aria-label", `${m ? "Minus" : "Plus"} member of pair ${id}, ` +
        `${members[m].positions.length} atoms; turn with the arrow keys`);
    });
    $("says").innerHTML = verdictTable(this.set, id) + energyTable(this.set, this.k);
    if (remember) history.replaceState(null, "", `#pair=${key}/${id}`);
  }
}

function nearest(ids, id) {
  let best = 0;
  ids.forEach((one, k) => { if (Math.abs(one - id) < Math.abs(ids[best] - id)) best = k; });
  return best;
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
// has those that the set lists under its name, in that order.
function answerPanels(panel) {
  const [tip, run] = [$("tip"), PAGE.sets.find((set) => set.points)];
  document.querySelectorAll("[data-points]").forEach((group) => {
    const points = run?.points[group.dataset.points];
    if (!points) return;
    const [ids, values] = [unpack(points.ids, "i4"), unpack(points.values, "f4")];
    const svg = group.ownerSVGElement;
    const places = [...group.querySelectorAll("use")].map((use) => [use.x.baseVal.value, use.y.baseVal.value]);
    const find = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const apart = places.map(([x, y]) => Math.hypot(x - at.x, y - at.y));
      const least = Math.min(...apart);
      return least < 12 ? apart.indexOf(least) : -1;
    };
    svg.addEventListener("pointermove", (event) => {
      const k = find(event);
      tip.hidden = k < 0;
      if (tip.hidden) return;
      tip.textContent = `pair ${ids[k]}: reference ${signed(values[2 * k], 3)} eV, ` +
        `predicted ${signed(values[2 * k + 1], 3)} eV`;
      tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
      tip.style.top = `${event.clientY + 16}px`;
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });
    svg.addEventListener("click", (event) => {
      const k = find(event);
      if (k < 0) return;
      panel.show(run.key, ids[k]);
      $("pairs").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    });
  });
}

answerPanels(new PairPanel());
