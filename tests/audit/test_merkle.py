"""The tree against the published vectors of RFC 6962 and against a plain reading of its definition."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.merkle import (
    Frontier,
    ProofRefused,
    check_consistency,
    check_inclusion,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    node_hash,
)

# The eight leaves with which implementations of Certificate Transparency are tested, and the roots over the first n.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def defined_root(leaves):
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = max(power for power in (2**n for n in range(20)) if power < len(leaves))
    return node_hash(defined_root(leaves[:middle]), defined_root(leaves[middle:]))


def path_over(leaves, ranges):
    return [defined_root(leaves[start:end]) for start, end in ranges]


@pytest.mark.parametrize("size", range(9))
def test_root_is_the_published_one(size):
    assert Frontier.over(HASHES[:size]).root().hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 8, ["96a296d2", "5f083f0a", "6b47aaf2"]),
        (5, 8, ["bc1a0643", "ca854ea1", "d37ee418"]),
        (2, 3, ["fac54203"]),
        (1, 5, ["6e340b9c", "5f083f0a", "bc1a0643"]),
    ],
)
def test_inclusion_path_is_the_published_one(index, size, path):
    found = path_over(HASHES[:size], inclusion_ranges(index, 0, size))
    assert [each.hex()[:8] for each in found] == path


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (1, 1, []),
        (1, 8, ["96a296d2", "5f083f0a", "6b47aaf2"]),
        (6, 8, ["0ebc5d34", "ca854ea1", "d37ee418"]),
        (2, 5, ["5f083f0a", "bc1a0643"]),
    ],
)
def test_consistency_path_is_the_published_one(old, new, path):
    found = path_over(HASHES[:new], consistency_ranges(old, new))
    assert [each.hex()[:8] for each in found] == path


@settings(max_examples=40)
@given(size=st.integers(0, 70), at=st.integers(0, 70))
def test_tree_goes_on_from_where_it_was_left(size, at):
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    begun = Frontier.over(leaves[:at])
    resumed = Frontier(begun.size, begun.packed)
    for leaf in leaves[at:]:
        resumed.append(leaf)
    assert (resumed.size, resumed.root()) == (size, defined_root(leaves))


@pytest.mark.parametrize(("size", "hashes"), [(1, 0), (3, 1), (0, 1), (-1, 0)])
def test_edge_of_another_size_is_refused(size, hashes):
    with pytest.raises(ValueError, match="edge"):
        Frontier(size, b"\0" * 32 * hashes)


def proofs(size):
    """Every proof in a tree of that size: (check, its arguments)."""
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    root = defined_root(leaves)
    for index in range(size):
        path = path_over(leaves, inclusion_ranges(index, 0, size))
        yield check_inclusion, [leaves[index], index, size, root, path]
    for old in range(size + 1):
        path = path_over(leaves, consistency_ranges(old, size))
        yield check_consistency, [(old, defined_root(leaves[:old])), (size, root), path]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_every_proof_holds(size):
    for check, arguments in proofs(size):
        check(*arguments)


@pytest.mark.parametrize("size", [2, 3, 7, 8])
def test_every_spoiled_proof_is_refused(size):
    """Each hash of each path changed, left out and doubled: the middle ones count as much as the ends."""
    for check, [*facts, path] in proofs(size):
        for place, right in enumerate(path):
            wrong = bytes([right[0] ^ 1]) + right[1:]
            for spoiled in ([wrong], [], [right, right]):
                with pytest.raises(ProofRefused):
                    check(*facts, [*path[:place], *spoiled, *path[place + 1 :]])


def test_proof_of_another_leaf_place_or_tree_is_refused():
    for check, [*facts, path] in proofs(7):
        if check is check_inclusion:
            leaf, index, size, root = facts
            others = [(leaf, size, size, root), (leaf_hash(b"x"), index, size, root), (leaf, index, size, leaf)]
            others.append((leaf, (index + 1) % size, size, root))
        else:
            (old, old_root), (new, root) = facts
            others = [((old, root[::-1]), (new, root)), ((old, old_root), (new, root[::-1]))] if old else []
            others.append(((new + 1, root), (new, root)))
        for other in others:
            with pytest.raises(ProofRefused):
                check(*other, path)
