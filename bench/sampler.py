"""Runs `python -m freehold ARGS` and notes, on every millisecond of CPU spent, which function is running.

    python bench/sampler.py OUT ARGS...    at exit writes OUT as JSON: {"samples": n, "lines": [[name, count]...], "functions":
                                           ..., "within": ...}; SIGUSR1 forgets what was noted so far

Far less distorting than cProfile, which charges every call. Signals are handled between bytecodes, so time in C code counts
for the Python function that called it (or, rarely, the next one to run). Started by hotspots.py.
"""

from __future__ import annotations

import atexit
import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.001


def name_of(frame: FrameType) -> str:
    path = Path(frame.f_code.co_filename)
    return f"{'/'.join(path.parts[-3:])}:{frame.f_code.co_qualname}"


def main() -> None:
    out = Path(sys.argv[1])
    lines: Counter[str] = Counter()
    functions: Counter[str] = Counter()  # the function itself was running
    within: Counter[str] = Counter()  # it, or something that it called

    def sample(_number: int, frame: FrameType | None) -> None:
        if frame is not None:
            functions[name_of(frame)] += 1
            lines[f"{name_of(frame)}:{frame.f_lineno}"] += 1
        seen = set()
        while frame is not None:
            seen.add(name_of(frame))
            frame = frame.f_back
        within.update(seen)

    def forget(_number: int, _frame: FrameType | None) -> None:
        for counter in (lines, functions, within):
            counter.clear()

    def write() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        found = {"lines": lines.most_common(), "functions": functions.most_common(), "within": within.most_common()}
        out.write_text(json.dumps({"samples": functions.total(), **found}))

    atexit.register(write)
    signal.signal(signal.SIGUSR1, forget)
    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    sys.argv = ["freehold", *sys.argv[2:]]
    runpy.run_module("freehold", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
