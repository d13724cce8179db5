from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.config.document import MAX_BYTES, MAX_NODES, Node, Unreadable, read


def plain(node: Node) -> object:
    match node.value:
        case dict():
            return {k: plain(n) for k, n in node.value.items()}
        case list():
            return [plain(n) for n in node.value]
    return node.value


def test_every_node_knows_its_line() -> None:
    root, problems = read("a:\n  b: 1\n  c:\n    - x\n    - y\n")
    assert problems == []
    assert plain(root) == {"a": {"b": 1, "c": ["x", "y"]}}
    assert root.at(("a", "b")).line == 2
    assert root.at(("a", "c", 1)).line == 5


def test_a_path_that_does_not_exist_leads_to_the_nearest_node_above() -> None:
    root, _ = read("a:\n  b: 1\n")
    assert root.at(("a", "nope", 3)).line == root.at(("a",)).line == 2


def test_mapping_keys_are_text_whatever_they_look_like() -> None:
    root, _ = read("on: 1\n4: 2\n2026-11-23: 3\n")
    assert plain(root) == {"on": 1, "4": 2, "2026-11-23": 3}


@pytest.mark.parametrize("text", ["", "\n# only a comment\n", "---\n", "\ufeff"])
def test_an_empty_document_is_an_empty_mapping(text: str) -> None:
    root, problems = read(text)
    assert (plain(root) or {}, problems) == ({}, [])


def test_the_same_key_twice_is_a_problem_that_names_both_lines() -> None:
    root, [problem] = read("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert (problem.path, problem.line) == ("a.b", 4)
    assert "line 2" in problem.hint
    assert plain(root) == {"a": {"b": 1, "c": 2}}


def test_aliases_and_merges_are_followed_and_explicit_keys_win() -> None:
    root, problems = read("base: &b {x: 1, y: 2}\none: *b\ntwo:\n  y: 9\n  <<: *b\nthree:\n  <<: [{x: 5}, *b]\n")
    assert problems == []
    assert plain(root) == {
        "base": {"x": 1, "y": 2},
        "one": {"x": 1, "y": 2},
        "two": {"x": 1, "y": 9},
        "three": {"x": 5, "y": 2},
    }


def test_an_alias_bomb_is_refused_before_it_is_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(Unreadable, match=f"{MAX_NODES:,}"):
        read("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x [*x]", "no anchor"),
        ("a: *nowhere", "no anchor"),
        ("[" * 100_000, "levels deep"),
        ("{a: " * 100_000, "levels deep"),
        ("- " * 100_000, "levels deep"),
        ("a: 1\n---\nb: 2\n", "second YAML document"),
        ("a: [1, 2", "not YAML"),
        ("a: 'x", "not YAML"),
        ("a: b: c", "not YAML"),
        ("a: \x00", "not YAML"),
        ("? [a, b]\n: 1", "plain text"),
        ("{*x : 1}", "no anchor"),
        ("%YAML 9.9\n---\na: 1", "not YAML"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        read(text)


def test_a_tab_gets_its_own_hint() -> None:
    with pytest.raises(Unreadable) as caught:
        read("a:\n\tb: 1\n")
    assert "tabs" in caught.value.problem.hint
    assert caught.value.problem.line == 2


def test_bytes_that_are_not_utf8_and_files_that_are_too_large_are_refused() -> None:
    with pytest.raises(Unreadable, match="byte 3 is not UTF-8"):
        read(b"a: \xff")
    with pytest.raises(Unreadable, match="at most"):
        read(b"#" * (MAX_BYTES + 1))


@pytest.mark.parametrize("value", ["!!python/object/apply:os.system [id]", "!secret x", "!!python/name:os.system x"])
def test_tags_make_no_objects(value: str) -> None:
    _, problems = read(f"a: {value}\n")
    assert [p.path for p in problems] == ["a"]


def test_a_number_too_long_to_read_is_a_problem() -> None:
    _, [problem] = read("a: " + "9" * 10_000)
    assert problem.path == "a"


@given(st.text(alphabet="ab:-[]{}&*!'\"#|>%@`\n\t ,?~<0.", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        root, problems = read(text)
    except Unreadable as error:
        assert error.problem.message
    else:
        assert isinstance(root, Node)
        assert all(p.message for p in problems)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read(data)
    except Unreadable as error:
        assert error.problem.message
