"""What calls add up to. Integers all the way, so that sums are exact to the nano-dollar. Loads no database library."""

from __future__ import annotations

from msgspec import Struct

from freehold.store.spool import LedgerLine


class Sum(Struct):
    """`input` includes cached tokens. `unpriced`: calls that used tokens of a model whose price nobody knows."""

    calls: int = 0
    failed: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cost_nusd: int = 0
    unpriced: int = 0

    def add(self, line: LedgerLine) -> None:
        self.calls += 1
        self.failed += line.outcome != "ok"
        self.input += line.input
        self.output += line.output
        self.cache_read += line.cache_read
        self.cache_write += line.cache_write
        if line.cost_nusd is not None:
            self.cost_nusd += line.cost_nusd
        elif line.input or line.output:
            self.unpriced += 1

    def add_sum(self, other: Sum) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
