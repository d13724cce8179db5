from __future__ import annotations

import pytest

from freehold.config.problem import ConfigError, Path, Problem, dotted, nearest, shown


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("keys", 1, "key"), "keys[1].key"),
        (("routes", "fast-model", "targets", 0, "provider"), "routes.fast-model.targets[0].provider"),
        (("routes", "gpt-4.1", "targets"), 'routes["gpt-4.1"].targets'),
        (("routes", "openai/x"), "routes.openai/x"),
        (("routes", ""), 'routes[""]'),
    ],
)
def test_paths_read_as_the_file_does(path: Path, text: str) -> None:
    assert dotted(path) == text


def test_a_shown_value_stays_on_one_line_and_short() -> None:
    assert shown("a\nb\x1b[31m") == "a?b?[31m"
    assert len(shown("x" * 1000)) == 60


def test_the_nearest_names_are_offered_else_all_if_they_are_few() -> None:
    assert nearest("OpenIA", ["openai", "anthropic"]) == 'did you mean "openai"?'
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", [f"name{i}" for i in range(20)]) == ""
    assert nearest("zzz", []) == ""


def test_an_error_is_one_line_for_each_problem() -> None:
    error = ConfigError("f.yaml", [Problem("a.b", "wrong", "do this", 3), Problem("", "unreadable")])
    assert error.lines() == ["f.yaml:3: a.b: wrong (do this)", "f.yaml: unreadable"]
