// Two structures side by side, drawn as SVG and turned together.
"use strict";

const MOVED = 1e-3; // Å: an atom without a partner within this distance differs
const HALF = 200; // half the width of a drawing, in its own units

// HTML and SVG in which each value is escaped, unless it is of this kind itself, or a list of it.
class Html {
  constructor(text) { this.text = text; }
}
const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const html = (parts, ...values) => new Html(String.raw({ raw: parts }, ...values.map(
  (value) => [value].flat(2).map((one) => (one instanceof Html ? one.text : escaped(one))).join(""))));
const put = (element, content) => { element.innerHTML = html`${content}`.text; };

const rows = [0, 3, 6];
const apply = (m, p) => rows.map((k) => m[k] * p[0] + m[k + 1] * p[1] + m[k + 2] * p[2]);
const multiply = (a, b) => a.map((_, k) => [0, 1, 2].reduce((sum, m) => sum + a[k - (k % 3) + m] * b[3 * m + (k % 3)], 0));
const distance = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
const pairsOf = (list) => list.flatMap((p, k) => list.slice(0, k).map((q, m) => [p, q, k, m]));

// Rotation by `turn` about the vertical axis of the screen, then by `tilt` about the horizontal one.
function rotation(turn, tilt) {
  const [ct, st, cv, sv] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
  return multiply([1, 0, 0, 0, cv, -sv, 0, sv, cv], [ct, 0, st, 0, 1, 0, -st, 0, ct]);
}

// Which atoms of one member have no partner of their species in the other; none if all differ.
function movedAtoms(member, other) {
  const moved = member.positions.map((p, k) => !other.positions.some(
    (q, m) => member.numbers[k] === other.numbers[m] && distance(p, q) < MOVED));
  const neighbors = member.positions.length - (member.center >= 0 ? 1 : 0);
  return moved.filter(Boolean).length < neighbors ? moved : moved.map(() => false);
}

// From the centre to every neighbour; between neighbours that are near each other.
function bondsOf({ positions, center }) {
  const near = 1.3 * Math.min(...pairsOf(positions).map(([p, q]) => distance(p, q)));
  return pairsOf(positions).map(([p, q, k, m]) => ({ p, q, spoke: k === center || m === center }))
    .filter(({ p, q, spoke }) => spoke || distance(p, q) < near);
}

// Edges of the parallelepiped (or segment, or parallelogram) of a periodic cell, about the origin.
function cellEdges(vectors) {
  const corners = [...Array(1 << vectors.length).keys()].map((bits) => [0, 1, 2].map(
    (x) => vectors.reduce((sum, v, k) => sum + v[x] * (((bits >> k) & 1) - 0.5), 0)));
  return corners.flatMap((p, bits) => vectors.map((_, k) => [p, corners[bits | (1 << k)]])
    .filter((_, k) => !((bits >> k) & 1)));
}

// The z axis, which is that of rings, upwards and more or less forwards; of all turns about it, the
// one that hides least. Planes of atoms want to be seen from above, at some cost.
function clearestTurn(members) {
  let best = { gap: -1 };
  for (const [tilt, worth] of [[-1.25, 1], [-0.9, 0.8], [-0.5, 0.7]]) {
    for (let angle = 0; angle < 2 * Math.PI; angle += 0.13) {
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      const turn = multiply(rotation(0, tilt), [c, -s, 0, s, c, 0, 0, 0, 1]);
      const gaps = members.flatMap(({ positions }) => pairsOf(positions.map((p) => apply(turn, p)))
        .map(([p, q]) => Math.hypot(p[0] - q[0], p[1] - q[1])));
      const gap = worth * Math.min(...gaps);
      if (gap > best.gap + 1e-9) best = { gap, turn };
    }
  }
  return best.turn;
}

class PairViewer {
  // drawings: two elements, plus and minus; elements: symbol and covalent radius by atomic number
  constructor(drawings, elements) {
    [this.drawings, this.elements, this.zoom] = [drawings, elements, 1];
    drawings.forEach((drawing) => this.listen(drawing));
  }

  reset() {
    this.turn = clearestTurn(this.members);
    this.zoom = 1;
    this.draw();
  }

  // members: [plus, minus], each {positions, numbers, center (-1: none), cell (vectors)}
  show(members) {
    this.members = members.map((member, k) => ({
      ...member,
      moved: movedAtoms(member, members[1 - k]),
      bonds: bondsOf(member),
      edges: cellEdges(member.cell),
    }));
    const ends = this.members.flatMap((m) => [...m.positions, ...m.edges.flat()]);
    this.reach = Math.max(...ends.map((p) => Math.hypot(...p)), 0.5);
    // spheres of a readable size: a fraction of the covalent radius, bounded by the picture
    const bonds = this.members.flatMap((m) => m.bonds.map(({ p, q }) => distance(p, q)));
    this.unit = Math.min(0.34 * Math.min(...bonds), 0.16 * this.reach);
    this.turn ??= clearestTurn(members);
    this.draw();
  }

  listen(drawing) {
    let last = null;
    drawing.addEventListener("pointerdown", (event) => {
      last = [event.clientX, event.clientY];
      drawing.setPointerCapture(event.pointerId);
    });
    drawing.addEventListener("pointermove", (event) => {
      if (!last) return;
      this.rotate(0.01 * (event.clientX - last[0]), 0.01 * (event.clientY - last[1]));
      last = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) drawing.addEventListener(end, () => { last = null; });
    drawing.addEventListener("keydown", (event) => {
      const turns = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
      const zooms = { "+": 1.1, "=": 1.1, "-": 1 / 1.1 };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key in turns) this.rotate(...turns[event.key]);
      else if (event.key in zooms) { this.zoom *= zooms[event.key]; this.draw(); }
      else if (event.key === "0") this.reset();
      else return;
      event.preventDefault();
    });
  }

  rotate(turn, tilt) {
    this.turn = multiply(rotation(turn, tilt), this.turn);
    this.draw();
  }

  draw() {
    this.drawings.forEach((drawing, k) => {
      const shapes = this.shapes(this.members[k], this.members[1 - k]);
      put(drawing, shapes.sort((a, b) => a.z - b.z).map((shape) => shape.svg));
    });
  }

  // SVG of everything in one drawing, each with its height z above the screen.
  shapes(member, other) {
    const place = (p) => {
      const [x, y, z] = apply(this.turn, p);
      const scale = (0.76 * HALF * this.zoom) / this.reach / (1 - z / (6 * this.reach)); // perspective
      return { x: scale * x, y: -scale * y, z, r: scale * this.unit };
    };
    const nearness = (z) => 0.45 + 0.55 * Math.min(Math.max((z / this.reach + 1) / 2, 0), 1);
    const line = (kind, p, q, z, width, strength) => {
      const [a, b] = [place(p), place(q)];
      const middle = (a.z + b.z) / 2;
      return { z: middle + z, svg: html`<line class="${kind}" x1="${a.x}" y1="${a.y}" x2="${b.x}" y2="${b.y}"
        stroke-width="${Math.max(width * (a.r + b.r), 0.7)}" opacity="${strength ?? 0.7 * nearness(middle)}"/>` };
    };
    const edges = member.edges.map(([p, q]) => line("cell", p, q, -2 * this.reach, 0, 0.5));
    const bonds = member.bonds.map(({ p, q, spoke }) => {
      // between the surfaces of the spheres, lest it run over one that lies behind
      const trim = Math.min((0.97 * this.unit) / distance(p, q), 0.45);
      const between = (t) => p.map((x, c) => x + t * (q[c] - x));
      return line(spoke ? "spoke" : "bond", between(trim), between(1 - trim), 0, spoke ? 0.13 : 0.05);
    });
    const atoms = member.positions.map((p, k) => {
      const { x, y, z, r } = place(p);
      const kind = k === member.center ? "center" : member.moved[k] ? "moved" : "atom";
      const [symbol, covalent] = this.elements[member.numbers[k]];
      const radius = r * Math.sqrt(covalent / 0.84);
      const circle = (more, r) => html`<circle cx="${x}" cy="${y}" r="${r}" ${more}/>`;
      return { z, svg: [
        circle(html`class="behind"`, radius), // what lies behind must not shine through
        circle(html`fill="url(#shade-${kind})" opacity="${nearness(z)}"`, radius),
        kind === "atom" ? "" : circle(html`class="ring ${kind}"`, radius + 3),
        html`<text x="${x}" y="${y}" font-size="${Math.max(8, Math.min(radius, 14))}"
          class="${nearness(z) > 0.72 ? "near" : "far"}">${symbol}</text>`,
      ] };
    });
    // where the atoms that differ are in the other member
    const places = other.positions.filter((_, k) => other.moved[k]).map(place).map(({ x, y, z, r }) => (
      { z, svg: html`<circle class="ring moved place" cx="${x}" cy="${y}" r="${r}"/>` }));
    return [...edges, ...bonds, ...atoms, ...places];
  }
}
