// Two structures side by side, drawn on canvas and turned together.
"use strict";

const MOVED = 1e-3; // Å: an atom without a partner within this distance differs

function multiply(a, b) {
  return a.map((_, k) => [0, 1, 2].reduce((sum, m) => sum + a[3 * Math.floor(k / 3) + m] * b[3 * m + (k % 3)], 0));
}

// Rotation by `turn` about the vertical axis of the screen, then by `tilt` about the horizontal one.
function rotation(turn, tilt) {
  const [ct, st, cv, sv] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
  return multiply([1, 0, 0, 0, cv, -sv, 0, sv, cv], [ct, 0, st, 0, 1, 0, -st, 0, ct]);
}

function apply(m, p) {
  return [0, 3, 6].map((k) => m[k] * p[0] + m[k + 1] * p[1] + m[k + 2] * p[2]);
}

const distance = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);

// Which atoms of one member have no partner of their species in the other; none if all differ.
function movedAtoms(member, other) {
  const moved = member.positions.map((p, k) => !other.positions.some(
    (q, m) => member.numbers[k] === other.numbers[m] && distance(p, q) < MOVED));
  const neighbors = member.positions.length - (member.center >= 0 ? 1 : 0);
  return moved.filter(Boolean).length < neighbors ? moved : moved.map(() => false);
}

// From the centre to every neighbour; between neighbours that are near each other.
function bondsOf({ positions, center }) {
  const bonds = [];
  const between = positions.flatMap((p, k) => positions.slice(0, k).map((q) => distance(p, q)));
  const near = 1.3 * Math.min(...between);
  for (let k = 0; k < positions.length; k++) {
    for (let m = 0; m < k; m++) {
      const spoke = k === center || m === center;
      if (spoke || distance(positions[k], positions[m]) < near) bonds.push({ k, m, spoke });
    }
  }
  return bonds;
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
  let best = null;
  for (const [tilt, worth] of [[-1.25, 1], [-0.9, 0.8], [-0.5, 0.7]]) {
    for (let angle = 0; angle < 2 * Math.PI; angle += 0.13) {
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      const turn = multiply(rotation(0, tilt), [c, -s, 0, s, c, 0, 0, 0, 1]);
      const gap = worth * Math.min(...members.map(({ positions }) => leastGap(positions.map((p) => apply(turn, p)))));
      if (!best || gap > best.gap + 1e-9) best = { gap, turn };
    }
  }
  return best.turn;
}

// Least distance on the screen between any two points.
function leastGap(points) {
  return Math.min(...points.flatMap((p, k) => points.slice(0, k).map((q) => Math.hypot(p[0] - q[0], p[1] - q[1]))));
}

class PairViewer {
  // canvases: two elements, plus and minus; elements: symbol and covalent radius by atomic number
  constructor(canvases, elements) {
    this.canvases = canvases;
    this.elements = elements;
    this.members = null;
    this.zoom = 1;
    canvases.forEach((canvas) => this.listen(canvas));
    new ResizeObserver(() => this.draw()).observe(canvases[0]);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    addEventListener("beforeprint", () => this.draw());
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
      edges: cellEdges(member.cell ?? []),
    }));
    const reach = members.flatMap((m) => m.positions.map((p) => Math.hypot(...p)));
    const edges = this.members.flatMap((m) => m.edges.flat().map((p) => Math.hypot(...p)));
    this.reach = Math.max(...reach, ...edges, 0.5);
    // spheres of a readable size: a fraction of the covalent radius, bounded by the picture
    const shortest = Math.min(...this.members.flatMap((m) => m.bonds.map(
      ({ k, m: j }) => distance(m.positions[k], m.positions[j]))), 2 * this.reach);
    this.unit = Math.min(0.34 * shortest, 0.16 * this.reach);
    this.turn ??= clearestTurn(members);
    this.draw();
  }

  listen(canvas) {
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      last = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      this.rotate(0.01 * (event.clientX - last[0]), 0.01 * (event.clientY - last[1]));
      last = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
    canvas.addEventListener("keydown", (event) => {
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
    if (!this.members) return;
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const colors = Object.fromEntries(
      ["surface", "ink", "muted", "atom", "center", "moved"].map((name) => [name, color(`--${name}`)]));
    this.canvases.forEach((canvas, k) => this.drawMember(canvas, this.members[k], this.members[1 - k], colors));
  }

  drawMember(canvas, member, other, colors) {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const ratio = devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const scale = (0.38 * Math.min(width, height) * this.zoom) / this.reach;
    const place = (p) => {
      const [x, y, z] = apply(this.turn, p);
      const perspective = 1 / (1 - z / (6 * this.reach)); // z points to the reader
      return { x: width / 2 + scale * x * perspective, y: height / 2 - scale * y * perspective,
               z, scale: scale * perspective };
    };
    const atoms = member.positions.map(place);
    const fade = (z) => 0.45 + 0.55 * Math.min(Math.max((z / this.reach + 1) / 2, 0), 1); // 1: nearest
    const shapes = [];
    member.edges.forEach(([p, q]) => {
      const [a, b] = [place(p), place(q)];
      shapes.push({ z: (a.z + b.z) / 2 - 2 * this.reach, draw: () => line(context, a, b, 1, faded(colors.muted, colors.surface, 0.5)) });
    });
    member.bonds.forEach(({ k, m, spoke }) => {
      // between the surfaces of the spheres, lest it run over one that lies behind
      const trim = Math.min((0.97 * this.unit) / distance(member.positions[k], member.positions[m]), 0.45);
      const between = (t) => place(member.positions[k].map((x, c) => x + t * (member.positions[m][c] - x)));
      const [a, b] = [between(trim), between(1 - trim)];
      const z = (a.z + b.z) / 2;
      const thickness = (spoke ? 0.13 : 0.05) * this.unit * (a.scale + b.scale);
      const strength = (spoke ? 0.7 : 0.6) * fade(z);
      shapes.push({ z, draw: () => line(context, a, b, thickness, faded(spoke ? colors.ink : colors.muted, colors.surface, strength)) });
    });
    atoms.forEach((a, k) => {
      const isCenter = k === member.center;
      const base = isCenter ? colors.center : member.moved[k] ? colors.moved : colors.atom;
      const [symbol, covalent] = this.elements[member.numbers[k]];
      const radius = a.scale * this.unit * Math.sqrt(covalent / 0.84);
      shapes.push({ z: a.z, draw: () => {
        sphere(context, a, radius, base, colors.surface, fade(a.z));
        if (member.moved[k]) ring(context, a, radius + 4, colors.moved, []);
        if (isCenter) ring(context, a, radius + 2, colors.ink, []);
        label(context, a, symbol, radius, fade(a.z) > 0.72 ? "#ffffff" : colors.ink);
      } });
    });
    // where the atoms that differ are in the other member
    other.positions.forEach((p, k) => {
      if (!other.moved[k]) return;
      const a = place(p);
      shapes.push({ z: a.z, draw: () => ring(context, a, a.scale * this.unit, colors.moved, [4, 4]) });
    });
    shapes.sort((a, b) => a.z - b.z).forEach((shape) => shape.draw());
  }
}

const faded = (color, background, strength) => `color-mix(in srgb, ${color} ${(100 * strength).toFixed(0)}%, ${background})`;

function line(context, a, b, width, color) {
  context.save();
  context.strokeStyle = color;
  context.lineWidth = Math.max(width, 0.7);
  context.beginPath();
  context.moveTo(a.x, a.y);
  context.lineTo(b.x, b.y);
  context.stroke();
  context.restore();
}

function ring(context, a, radius, color, dashes) {
  context.save();
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.setLineDash(dashes);
  context.beginPath();
  context.arc(a.x, a.y, radius, 0, 2 * Math.PI);
  context.stroke();
  context.restore();
}

// A lit sphere; far ones fade into the background.
function sphere(context, a, radius, color, background, nearness) {
  const light = context.createRadialGradient(
    a.x - 0.35 * radius, a.y - 0.4 * radius, 0.1 * radius, a.x, a.y, radius);
  light.addColorStop(0, "#ffffff");
  light.addColorStop(0.3, color);
  light.addColorStop(1, `color-mix(in srgb, ${color} 55%, #000000)`);
  context.save();
  context.beginPath();
  context.arc(a.x, a.y, radius, 0, 2 * Math.PI);
  context.fillStyle = background; // opaque: what lies behind must not shine through
  context.fill();
  context.globalAlpha = nearness;
  context.fillStyle = light;
  context.fill();
  context.restore();
}

function label(context, a, symbol, radius, color) {
  context.font = `600 ${Math.max(9, Math.min(radius, 16))}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = color;
  context.fillText(symbol, a.x, a.y + 0.5);
}
