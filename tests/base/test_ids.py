from __future__ import annotations

import re

from freehold.base import ids


def test_ids_are_unique_and_sort_by_time() -> None:
    made = [ids.new_call_id() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"call_[0-9a-f]{27,}", i) for i in made)
    assert [i[:16] for i in made] == sorted(i[:16] for i in made)


def test_a_forked_worker_gets_its_own_space() -> None:
    before = ids.new_call_id()[16:26]
    ids.after_fork()
    assert ids.new_call_id()[16:26] != before
