"""`make fuzz`: damage recordings and feed them to every codec, for as long as is wished. Prints the seed of what fails.

    python -m tests.fuzz [--seconds 600] [--cases N] [--seed N]

Exit status: 0 nothing found, 1 something. Memory may not grow by more than GROWTH_MB: what a decoder holds is bounded.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import resource
import sys
import time
import traceback

from tests.fuzz.codecs import TRIES, seeds

GROWTH_MB = 200
HANG_S = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--cases", type=int, default=0, help="stop after so many, always the same ones")
    parser.add_argument("--seed", type=int, default=None, help="repeat one case")
    options = parser.parse_args()
    corpus = seeds()
    if options.seed is not None:
        run(corpus, options.seed)
        return 0
    began, done = time.monotonic(), 0
    found: set[str] = set()  # by where it was raised
    number = 0 if options.cases else int(time.time()) * 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while time.monotonic() - began < options.seconds and len(found) < 20 and done != (options.cases or -1):
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        try:
            run(corpus, number + done)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            if (where := f"{type(error).__name__} {last.filename}:{last.lineno}") not in found:
                found.add(where)
                print(f"--seed {number + done}", file=sys.stderr)
                traceback.print_exc(limit=-6)
        done += 1
    faulthandler.cancel_dump_traceback_later()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{done:,} cases in {time.monotonic() - began:.0f} s, {len(found)} faults, memory grew by {grown:.0f} MB")
    print(*sorted(found), sep="\n")
    return 1 if found or grown > GROWTH_MB else 0


def run(corpus: list[object], seed: int) -> None:
    dice = random.Random(seed)
    dice.choice(TRIES)(dice.choice(corpus), dice)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
