#!/usr/bin/env python3
"""Verifies an export of the audit log, or a proof about it, offline. One file, and nothing but Python 3.11 or newer.

    python3 verify_audit.py --key "pim.example.org+1a2b3c4d+AQ…" export.jsonl [checkpoints.jsonl …]
    python3 verify_audit.py --key "…" --archive 1.jsonl --archive 2.jsonl export.jsonl [checkpoints.jsonl …]
    python3 verify_audit.py --key "…" --proof proof.json [checkpoints.jsonl …]

It shares no line with the product: hashing as in RFC 6962, signatures as in RFC 8032 (Ed25519), checkpoints as in
c2sp.org/tlog-checkpoint. Exit status: 0 all holds, 1 something does not, 2 it could not be looked at.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

HOLDS, BROKEN, UNREADABLE = 0, 1, 2


class Broken(Exception):
    """Something is not as it was written; says what."""


class Unreadable(Exception):
    """A file or a key is none, or what a checkpoint is of was not given."""


# --- Ed25519, RFC 8032 section 6 --------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def add(a: Point, b: Point) -> Point:
    left, right = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    twisted, doubled = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = right - left, doubled - twisted, doubled + twisted, right + left
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(factor: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            result = add(result, point)
        point, factor = add(point, point), factor >> 1
    return result


def x_of(y: int, sign: int) -> int:
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if y >= P or (x * x - square) % P or (not x and sign):
        raise Broken("a signature or key holds no point of the curve")
    return P - x if x & 1 != sign else x


def point_of(coded: bytes) -> Point:
    y = int.from_bytes(coded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x = x_of(y, sign)
    return x, y, 1, x * y % P


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = x_of(BASE_Y, 0)
BASE: Point = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def signed_by(key: bytes, message: bytes, signature: bytes) -> bool:
    if len(key) != 32 or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= L:
        return False
    try:
        nonce, public = point_of(signature[:32]), point_of(key)
    except Broken:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    a, b = times(scalar, BASE), add(nonce, times(challenge, public))
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


# --- the tree, RFC 6962 section 2.1 -----------------------------------------------------------------------------


def leaf(content: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + content).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """Full subtrees from left to right, each with the number of its leaves."""

    def __init__(self) -> None:
        self.size = self.begin = 0  # `begin`: so many were not read, because they are in archives
        self.parts: list[tuple[int, bytes]] = []

    def start_after(self, size: int, edge: list[bytes]) -> None:
        counts = [1 << power for power in reversed(range(size.bit_length())) if size >> power & 1]
        if len(edge) != len(counts) or any(len(part) != 32 for part in edge):
            raise Broken("The beginning of the export is torn.")
        self.size = self.begin = size
        self.parts = list(zip(counts, edge, strict=True))

    def add(self, hashed: bytes) -> None:
        self.size += 1
        self.parts.append((1, hashed))
        while len(self.parts) > 1 and self.parts[-1][0] == self.parts[-2][0]:
            (count, left), (_same, right) = self.parts[-2:]
            self.parts[-2:] = [(2 * count, node(left, right))]

    def root(self) -> bytes:
        root = b""
        for _count, part in reversed(self.parts):
            root = node(part, root) if root else part
        return root or hashlib.sha256().digest()


def root_by_inclusion(hashed: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that the path leads to, from the place of the leaf downwards as the definition has it."""
    if size == 1:
        if path:
            raise Broken("the proof is too long")
        return hashed
    if not path:
        raise Broken("the proof is too short")
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return node(root_by_inclusion(hashed, index, half, path[:-1]), path[-1])
    return node(path[-1], root_by_inclusion(hashed, index - half, size - half, path[:-1]))


def roots_by_consistency(old: int, new: int, path: list[bytes], known: bytes | None) -> tuple[bytes, bytes]:
    """(old root, new root) that the path leads to; `known` is the older root while its tree is a whole subtree."""
    if old == new:
        if known is not None and not path:
            return known, known
        if known is None and len(path) == 1:
            return path[0], path[0]
        raise Broken("the proof has the wrong length")
    if not path:
        raise Broken("the proof is too short")
    half = 1 << (new - 1).bit_length() - 1
    if old <= half:
        first, second = roots_by_consistency(old, half, path[:-1], known)
        return first, node(second, path[-1])
    first, second = roots_by_consistency(old - half, new - half, path[:-1], None)
    return node(path[-1], first), node(path[-1], second)


# --- checkpoints ------------------------------------------------------------------------------------------------

NOTE = re.compile(
    "(?P<text>(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]*)\n(?P<root>[^\n]+)\ntime [^\n]+\n)\n(?P<below>.+)", re.DOTALL
)
STATEMENT = re.compile(
    "(?P<text>(?P<origin>[^\n]+)/archive\n[1-9][0-9]* (?P<size>[1-9][0-9]*)\n(?P<root>[^\n]+)\n"
    "sha256 [0-9a-f]{64}\ntime [^\n]+\n)\n(?P<below>.+)",
    re.DOTALL,
)
SIGNATURE = re.compile("\u2014 ([^ \n]+) ([^ \n]+)\n")


def decoded(text: str) -> bytes:
    """Base64 in its one right spelling."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Broken("a part of the checkpoint is no base64") from error
    if base64.b64encode(content).decode() != text:
        raise Broken("a part of the checkpoint is spelt in a way that no signer writes")
    return content


def parse_key(text: str) -> tuple[str, bytes, bytes]:
    """(name, key id, key) of `name+id+key`."""
    try:
        name, id_, coded = text.strip().split("+", 2)
        key = decoded(coded)
    except (ValueError, Broken) as error:
        raise Unreadable(f"This is no key: {text}") from error
    id_right = hashlib.sha256(f"{name}\n".encode() + key).digest()[:4]
    if len(key) != 33 or key[0] != 1 or id_right.hex() != id_:
        raise Unreadable(f"This key is mistyped: {text}")
    return name, id_right, key[1:]


def open_note(note: str, keys: list[tuple[str, bytes, bytes]], form: re.Pattern[str] = NOTE) -> tuple[int, bytes]:
    """(size, root) of a checkpoint, or of what is said of archives, that a key has signed, for a log of its name."""
    parts = form.fullmatch(note)
    if not parts or SIGNATURE.sub("", parts["below"]):
        raise Broken("This is no signed checkpoint, or a part of it is missing.")
    if parts["origin"] not in {name for name, _id, _key in keys}:
        raise Broken(f"The checkpoint is of another site: “{parts['origin']}”.")
    found = [(name, decoded(coded)) for name, coded in SIGNATURE.findall(parts["below"])]
    known = {(name, id_): key for name, id_, key in keys}
    mine = [(known[name, made[:4]], made[4:]) for name, made in found if (name, made[:4]) in known]
    if not mine:
        raise Broken("No key that you gave has signed the checkpoint.")
    if not all(signed_by(key, parts["text"].encode(), made) for key, made in mine):
        raise Broken("The signature of the checkpoint is wrong.")
    root = decoded(parts["root"])
    if len(root) != 32:
        raise Broken("The root in the checkpoint is none.")
    return int(parts["size"]), root


def note_of(line: str) -> str | None:
    """The checkpoint in a line of JSON, which must be spelt as the site spells it."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    note = found.get("checkpoint") if isinstance(found, dict) else None
    if not isinstance(note, str) or json.dumps({"checkpoint": note}, ensure_ascii=False) + "\n" != line:
        return None
    return note


def notes_in(name: str) -> list[str]:
    try:
        text = Path(name).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{name}: {error}") from error
    notes = [note for line in text.split("\n") if (note := note_of(line + "\n"))]
    return notes or [text]


# --- what is looked at ------------------------------------------------------------------------------------------


def verify_export(
    lines: Iterable[bytes],
    keys: list[tuple[str, bytes, bytes]],
    others: Iterable[str] = (),
    archives: Iterable[Iterable[bytes]] = (),
) -> Tree:
    """The tree of archives and of an export, each of which ends with its checkpoint, and which hold to the others.

    Raises Broken with what does not, and Unreadable where a checkpoint is of events in archives that were not given.
    """
    promised: dict[int, list[bytes]] = {}
    for note in others:
        size, root = open_note(note, keys)
        promised.setdefault(size, []).append(root)
    tree = Tree()
    compare(tree, promised)
    for part in chain(archives, [lines]):
        read_file(iter(part), tree, promised, keys)
    if left := [size for size in promised if size > tree.begin]:
        raise Broken(f"A checkpoint says {max(left)} events: the export was cut, or is older than the checkpoint.")
    if count := sum(map(len, promised.values())):
        text = "checkpoints that you gave are of events in archives and were not compared"
        raise Unreadable(f"{count} {text}: give those files with --archive.")
    return tree


def read_file(
    lines: Iterator[bytes], tree: Tree, promised: dict[int, list[bytes]], keys: list[tuple[str, bytes, bytes]]
) -> None:
    """Read a file whose events follow on those in the tree."""
    first = next(lines, b"")
    if first.startswith(b'{"archive":'):
        follow(first, tree, keys)
        compare(tree, promised)
        first = b""
    elif tree.size:
        raise Broken(f"A file does not follow on event {tree.size}: one is missing, or their order is another.")
    last = read_events(chain([first] if first else [], lines), tree, promised)
    size, root = open_note(last, keys)
    if size != tree.size:
        raise Broken(f"The export has {tree.size} events, and its checkpoint says {size}.")
    if root != tree.root():
        raise Broken("The events are not those of the checkpoint at the end.")


def follow(line: bytes, tree: Tree, keys: list[tuple[str, bytes, bytes]]) -> None:
    """Take up the tree where an archive ended: a signed statement says where, and what the edge must lead to."""
    try:
        said = json.loads(line)
        note, edge = said["archive"], [decoded(part) for part in said["edge"]]
        is_spelt = json.dumps({"archive": note, "edge": said["edge"]}, ensure_ascii=False).encode() + b"\n" == line
    except (ValueError, KeyError, TypeError) as error:
        raise Broken("The beginning of the export is torn.") from error
    size, root = open_note(note, keys, STATEMENT)
    before = (tree.size, tree.root())
    if before[0] and before != (size, root):
        raise Broken(f"A file does not follow on event {tree.size}: one is missing, or their order is another.")
    other = Tree()
    other.start_after(size, edge)
    if not is_spelt or other.root() != root:
        raise Broken("The beginning of the export is not the one that was signed.")
    if not before[0]:
        tree.start_after(size, edge)


def read_events(lines: Iterator[bytes], tree: Tree, promised: dict[int, list[bytes]]) -> str:
    """Read the events into the tree; return the checkpoint that follows them."""
    for line in lines:
        begin = b'{"n":%d,"record":' % (tree.size + 1)
        if line.startswith(begin) and line.endswith(b"}\n"):
            tree.add(leaf(line[len(begin) : -2]))
            compare(tree, promised)
            continue
        note = note_of(line.decode("utf-8", errors="replace"))
        if note is None:
            raise Broken(f"Event {tree.size + 1} is missing, changed or torn.")
        if next(lines, None) is not None:
            raise Broken("Something follows the checkpoint at the end.")
        return note
    raise Broken("The export is torn: it ends without a checkpoint.")


def compare(tree: Tree, promised: dict[int, list[bytes]]) -> None:
    for root in promised.pop(tree.size, []):
        if root != tree.root():
            raise Broken(f"The first {tree.size} events are not those of an earlier checkpoint.")


def verify_proof(proof: Any, keys: list[tuple[str, bytes, bytes]], others: Iterable[str] = ()) -> str:
    """What a proof shows, in words. Raises Broken."""
    try:
        path, kind = [decoded(each) for each in proof["path"]], proof["proof"]
        size, root = open_note(proof["checkpoint"], keys)
        told = [open_note(note, keys) for note in others]
        if kind == "inclusion":
            return verify_inclusion(proof, path, size, root, told)
        if kind == "consistency":
            return verify_consistency(open_note(proof["old"], keys), (size, root), path)
    except (KeyError, TypeError, AttributeError) as error:
        raise Broken("This is no proof, or a part of it is missing.") from error
    raise Broken("This is no proof of a kind that is known here.")


def verify_inclusion(proof: Any, path: list[bytes], size: int, root: bytes, told: list[tuple[int, bytes]]) -> str:
    if not isinstance(proof["n"], int) or not 1 <= proof["n"] <= size:
        raise Broken("The checkpoint covers no event of this number.")
    if root_by_inclusion(leaf(proof["record"].encode()), proof["n"] - 1, size, path) != root:
        raise Broken("The proof does not lead to the root of the checkpoint.")
    if any(of == size and other != root for of, other in told):
        raise Broken("Another checkpoint of the same size has another root.")
    return f"Event {proof['n']} is one of the {size} of the checkpoint:\n{proof['record']}"


def verify_consistency(old: tuple[int, bytes], new: tuple[int, bytes], path: list[bytes]) -> str:
    if old[0] > new[0]:
        raise Broken("The newer checkpoint has fewer events than the older.")
    if old[0] == 0:
        if path or old[1] != Tree().root():
            raise Broken("The proof has the wrong length.")
    elif roots_by_consistency(old[0], new[0], path, old[1]) != (old[1], new[1]):
        raise Broken("The newer log does not begin with the older.")
    return f"The log of {new[0]} events begins with that of {old[0]}."


def opened(names: list[str]) -> Iterator[Iterable[bytes]]:
    for name in names:
        with Path(name).open("rb") as file:
            yield file


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--key", action="append", required=True, help="A public key of `manage.py audit_keys`.")
    parser.add_argument("--archive", action="append", default=[], help="Files of older events, oldest first.")
    parser.add_argument("--proof", action="store_true", help="The file holds a proof, and not an export.")
    parser.add_argument("file")
    parser.add_argument("checkpoints", nargs="*", help="Checkpoints that were kept elsewhere: files or mails.")
    asked = parser.parse_args(arguments)
    try:
        keys = [parse_key(key) for key in asked.key]
        others = [note for name in asked.checkpoints for note in notes_in(name)]
        with Path(asked.file).open("rb") as file:
            if asked.proof:
                print(verify_proof(json.loads(file.read()), keys, others))
            else:
                tree = verify_export(file, keys, others, opened(asked.archive))
                print(f"The log is as it was written: {tree.size} events, root {tree.root().hex()}.")
                if tree.begin:
                    print(f"Events 1 to {tree.begin} are in archives, as is signed; give those with --archive.")
    except Broken as broken:
        print(f"NOT as it was written: {broken}", file=sys.stderr)
        return BROKEN
    except (Unreadable, OSError, ValueError) as error:
        print(f"Could not be looked at: {error}", file=sys.stderr)
        return UNREADABLE
    return HOLDS


if __name__ == "__main__":
    sys.exit(main())
