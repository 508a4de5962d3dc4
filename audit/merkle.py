"""The tree of hashes over the log, as RFC 6962 (section 2.1) draws it. Knows nothing of events, rows and keys.

A hash is 32 bytes. Leaves are counted from 0, and a range of them is half-open: `start` is in it, `end` is not.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

SIZE = 32
Range = tuple[int, int]


class ProofRefused(Exception):
    """A proof does not show what it is said to show."""


def leaf_hash(content: bytes) -> bytes:
    return sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: the roots of its full subtrees, largest first. All that is needed to let it grow."""

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        """Take up a tree of `size` leaves where `packed` left it. Raises ValueError where the two do not fit."""
        if size < 0 or len(packed) != SIZE * size.bit_count():
            raise ValueError("these hashes are not the edge of a tree of that size")
        self.size = size
        self._edge = [packed[at : at + SIZE] for at in range(0, len(packed), SIZE)]

    @classmethod
    def over(cls, leaves: Iterable[bytes]) -> "Frontier":
        frontier = cls()
        for leaf in leaves:
            frontier.append(leaf)
        return frontier

    def append(self, leaf: bytes) -> None:
        complete, edge = self.size, self._edge
        while complete & 1:
            leaf = node_hash(edge.pop(), leaf)
            complete >>= 1
        edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self._edge:
            return sha256(b"").digest()
        *others, root = self._edge
        for left in reversed(others):
            root = node_hash(left, root)
        return root

    def part(self, start: int, end: int) -> "Frontier":
        """The edge of the tree over leaves `start` to `end`. Raises ValueError where it lies across full subtrees."""
        bounds = [0]
        for power in reversed(range(self.size.bit_length())):
            if self.size >> power & 1:
                bounds.append(bounds[-1] + (1 << power))
        edge = self._edge[bounds.index(start) : bounds.index(end)]
        return Frontier(end - start, b"".join(edge))

    @property
    def packed(self) -> bytes:
        return b"".join(self._edge)


def inclusion_ranges(index: int, start: int, end: int) -> list[Range]:
    """The ranges whose roots prove that leaf `index` is in the tree over `start` to `end`, nearest first."""
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*inclusion_ranges(index, start, middle), (middle, end)]
    return [*inclusion_ranges(index, middle, end), (start, middle)]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The ranges whose roots prove that the tree of `new` leaves begins with that of `old`; none if it is plain."""
    return _consistency(old, 0, new, is_whole=True) if 0 < old < new else []


def _consistency(old: int, start: int, end: int, *, is_whole: bool) -> list[Range]:
    if old == end:
        return [] if is_whole else [(start, end)]
    middle = start + _split(end - start)
    if old <= middle:
        return [*_consistency(old, start, middle, is_whole=is_whole), (middle, end)]
    return [*_consistency(old, middle, end, is_whole=False), (start, middle)]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def check_inclusion(leaf: bytes, index: int, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Raise ProofRefused unless `path` shows that `leaf` stands at `index` in the tree of that root and size."""
    if not 0 <= index < size or len(path) != len(inclusion_ranges(index, 0, size)):
        raise ProofRefused("the path has not the length that this place in the tree asks for")
    if _climb(leaf, index, size, path) != root:
        raise ProofRefused("the path does not lead to the root")


def _climb(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    # RFC 9162, section 2.1.3.2
    place, last, found = index, size - 1, leaf
    for other in path:
        if place & 1 or place == last:
            found = node_hash(other, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, other)
        place, last = place >> 1, last >> 1
    return found


def check_consistency(old: tuple[int, bytes], new: tuple[int, bytes], path: Sequence[bytes]) -> None:
    """Raise ProofRefused unless `path` shows that the newer tree begins with the older. Each tree is (size, root)."""
    (old_size, old_root), (new_size, new_root) = old, new
    if old_size > new_size or len(path) != len(consistency_ranges(old_size, new_size)):
        raise ProofRefused("the path has not the length that these two sizes ask for")
    if old_size == new_size and old_root != new_root:
        raise ProofRefused("two trees of one size have different roots")
    if 0 < old_size < new_size and _both_roots(old_size, old_root, new_size, path) != (old_root, new_root):
        raise ProofRefused("the path does not lead to both roots")


def _both_roots(old_size: int, old_root: bytes, new_size: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    # RFC 9162, section 2.1.4.2
    steps = [old_root, *path] if old_size.bit_count() == 1 else list(path)
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    older = newer = steps[0]
    for other in steps[1:]:
        if place & 1 or place == last:
            older, newer = node_hash(other, older), node_hash(other, newer)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            newer = node_hash(newer, other)
        place, last = place >> 1, last >> 1
    return older, newer
