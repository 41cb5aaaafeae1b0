"""Ways to spoil files and options, each drawn from a random generator."""

import codecs
import gzip
import io
import json
import pickle
import zipfile

import torch

NUMBERS = (
    *("nan", "inf", "-inf", "1e308", "1e400", "-1e200", "1e-320", "-0", "0", "x", "0x1F", "１"),
    *("1_000", "1,0", "9" * 30, "1e5", "T", '""', "[]"),
)
SYMBOLS = ("Xx", "0", "999", "-1", "Og", "X", "h", "He2", "", "D", "119", "6", "nan", "é")
HEADERS = (
    'Lattice="0 0 0 0 0 0 0 0 0" pbc="T T T"',
    'Lattice="nan 0 0 0 1 0 0 0 1" pbc="T T T"',
    'Lattice="1 0 0" pbc="T T T"',
    'Lattice="1e-9 0 0 0 1 0 0 0 1" pbc="T T T"',
    'Lattice="1e300 0 0 0 1e300 0 0 0 1e300" pbc="T T T"',
    'Lattice="5 0 0 5 0 0 0 0 5" pbc="T T T"',
    'pbc="T F"',
    'pbc="yes"',
    "Properties=species:S:1:pos:R:2",
    "Properties=species:S:1:pos:I:3",
    "Properties=pos:R:3",
    "Properties=species:S:1:pos:R:3:forces:R:2",
    "Properties=species:S:1:pos:R:3:Z:I:99999999",
    "Properties=::::",
    "energy=nan",
    "energy=text",
    'energy="1 2 3"',
    "center=-1",
    "center=99",
    "center=T",
    'center="0 1"',
    "pair_id=0 sign=+",
    "pair_id=x sign=*",
    'charge="a"',
    "=",
    "=" * 300,
    '"',
    'a="_JSON {"',
    'a="_JSON ' + "[" * 3000 + '"',
    "stress=3",
    "virial=nan",
)
VALUES = (
    *("null", "-1", "0", ".nan", ".inf", "1e9", '""', "[]", "{}", "true", "text", "[1, [2]]"),
    *("9" * 400, "2020-01-01", "[" * 400 + "]" * 400, "{a: {b: c}}", "!!binary aGVsbG8="),
    *("24:00:00", "!!python/object/apply:os.getcwd []", "'\\0'", "three_center", "[.nan]", "~"),
    "&a [*a]",
)
JSON_TEXTS = (
    *("", "[]", "{}", "null", "3", "[[]]", '{"identity": 3}', "[null]", '["a"]', "[{}]", "{"),
    *('{"a": NaN}', '"' * 3, "[" * 5000 + "]" * 5000, "\ufeff[]", '{"options": []}', "[1e999]"),
    "NaN",
)
#: What options are given; a text too large to be a number is one that a machine cannot count to.
OPTIONS = (
    *("-1", "0", "1", "nan", "inf", "-inf", "1e-300", "1e300", "", "x", ",", ".", "/dev/null", "'"),
    *("absent", "a:b", "1:", "1,2", "-0", "1e9", "9" * 25, "\0", "é", "C", "in.xyz", "model.pt"),
    *("\udcff", "a" * 300, "~", "[]", "True"),
)


def spoiled_bytes(content, rng):
    """Any file, spoiled without looking at what it is."""
    match rng.randrange(10):
        case 0:
            return b""
        case 1:
            return content[: rng.randrange(len(content) + 1)]
        case 2:
            place = rng.randrange(len(content) + 1)
            return content[:place] + rng.randbytes(rng.randrange(1, 40)) + content[place:]
        case 3 if content:
            flipped = bytearray(content)
            for _ in range(rng.randrange(1, 4)):
                flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            return bytes(flipped)
        case 4:
            return rng.randbytes(rng.randrange(1, 400))
        case 5:
            return content.decode("utf-8", "replace").encode("utf-16")
        case 6:
            return codecs.BOM_UTF8 + content.replace(b"\n", b"\r\n")
        case 7:
            return gzip.compress(content)[: rng.randrange(5, 60)]
        case 8:
            return b"\0" * rng.randrange(1, 99)
        case _:
            start = rng.randrange(len(content) + 1)
            return content + content[start:]


def spoiled_xyz(content, rng):
    """Extended XYZ with a fault in a place that matters."""
    lines = content.decode().split("\n")
    kind = rng.randrange(9)
    place = rng.randrange(len(lines))
    words = lines[place].split(" ")
    word = rng.randrange(len(words))
    if kind == 0 or len(lines) == 1:  # one that was spoiled before may have lost its header
        return spoiled_bytes(content, rng)
    if kind == 1:
        del lines[place]
    elif kind == 2:
        lines.insert(place, rng.choice(["", lines[place], "3", "VEC1 1 0 0", "#", "\t"]))
    elif kind == 3:
        words[word] = rng.choice(NUMBERS)
        lines[place] = " ".join(words)
    elif kind == 4:
        words[0] = rng.choice(SYMBOLS)
        lines[place] = " ".join(words)
    elif kind == 5:
        lines[1] = f"{lines[1]} {rng.choice(HEADERS)}"
    elif kind == 6:
        lines[1] = rng.choice(HEADERS)
    elif kind == 7:
        lines[0] = rng.choice(["-1", "0", "1", "1e3", "9" * 20, "", "three", "2 2"])
    else:
        rng.shuffle(words)
        lines[place] = " ".join(words[: rng.randrange(1, len(words) + 1)])
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def spoiled_yaml(content, rng):
    """YAML with another value, key or layout."""
    lines = content.decode().split("\n")
    place = rng.randrange(len(lines))
    key = lines[place].partition(":")[0]
    match rng.randrange(6):
        case 0:
            return spoiled_bytes(content, rng)
        case 1:
            lines.append(f"{rng.choice(['unknown', '3', 'null', '[a]', '? {a: b}'])}: 1")
        case 2:
            lines.append(lines[place])
        case 3:
            lines[place] = f"\t{lines[place]}"
        case _:
            lines[place] = f"{key}: {rng.choice(VALUES)}"
    return "\n".join(lines).encode()


def spoiled_json(content, rng):
    """JSON with another value somewhere, or none at all."""
    choice = rng.randrange(4)
    if choice == 0:
        return rng.choice(JSON_TEXTS).encode()
    if choice == 1:
        return spoiled_bytes(content, rng)
    text = content.decode()
    try:
        value = json.loads(text.split("\n")[0] if choice == 2 else text)
    except ValueError:
        return spoiled_bytes(content, rng)
    spoil = [None, -1, 1e308, "x", [], {}, True, "</script>", [[1]], float("nan")]
    part = value
    while isinstance(part, dict | list) and part:
        key = rng.choice(list(part)) if isinstance(part, dict) else rng.randrange(len(part))
        if not isinstance(part[key], dict | list) or rng.random() < 0.3:
            if rng.random() < 0.3:
                del part[key]
            else:
                part[key] = rng.choice(spoil)
            break
        part = part[key]
    return json.dumps(value).encode() + b"\n"


def spoiled_checkpoint(content, rng):
    """A checkpoint whose parts do not belong together, or which is none."""
    kind = rng.randrange(6)
    if kind < 2:
        return spoiled_bytes(content, rng)
    stream = io.BytesIO()
    if kind == 2:
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(rng.choice(["a.txt", "archive/data.pkl", "x/version"]), b"text")
        return stream.getvalue()
    if kind == 3:
        return pickle.dumps(rng.choice([print, {"format": "atomplete 2"}, [1], None]))
    parts = torch.load(io.BytesIO(content), weights_only=True)
    if kind == 4:
        key = rng.choice([*parts, "format", "spec"])
        parts[key] = rng.choice([None, 3, "x", [], {}, "atomplete 2", "potential", "descriptor"])
    elif isinstance(parts.get("state"), dict) and parts["state"]:
        state = parts["state"]
        key = rng.choice(list(state))
        tensor = torch.zeros(rng.randrange(3), rng.randrange(1, 3))
        state[key] = rng.choice([tensor, None, "x", torch.tensor(float("nan"))])
        if rng.random() < 0.3:
            del state[key]
    if isinstance(parts.get("spec"), str) and rng.random() < 0.5:
        parts["spec"] = spoiled_json(parts["spec"].encode(), rng).decode("utf-8", "replace")
    torch.save(parts, stream)
    return stream.getvalue()


SPOIL = {
    ".xyz": spoiled_xyz,
    ".yaml": spoiled_yaml,
    ".json": spoiled_json,
    ".jsonl": spoiled_json,
    ".pt": spoiled_checkpoint,
}


def spoil(path, rng):
    """Spoil a file, or put something else in its place."""
    choice = rng.randrange(12)
    if choice == 0:
        path.unlink()
    elif choice == 1:
        path.unlink()
        path.mkdir()
    elif choice == 2:
        path.unlink()
        path.symlink_to(path.name)
    elif choice == 3:
        path.unlink()
        path.symlink_to("/dev/null")
    else:
        path.write_bytes(SPOIL.get(path.suffix, spoiled_bytes)(path.read_bytes(), rng))
