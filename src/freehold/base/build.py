"""How this copy of Freehold was built: as plain Python, or with its hot path compiled (docs/decisions/0009).

Python takes a compiled module before the source beside it. A source that was edited afterwards would be run as it was before
the edit, and nobody would see; `is_stale` tells.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
LIBRARY = "freehold.hot_path__mypyc"  # holds the code of all compiled modules; for another Python it is not there
STAMP = "compiled.sha256"  # in the package: `sources_digest` of what was compiled
STALE = "the sources were changed after they were compiled; run `make compile` again, or `make uncompile`"


def is_compiled() -> bool:
    return find_spec(LIBRARY) is not None


def is_stale() -> bool:
    """The compiled modules were made from other sources than those here. Of all, since constants travel between modules."""
    if not is_compiled():
        return False
    stamp = PACKAGE / STAMP
    return not stamp.exists() or stamp.read_text() != sources_digest(PACKAGE)


def sources_digest(package: Path) -> str:
    """SHA-256, in hex, of every source in `package` and its name."""
    digest = sha256()
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def description() -> str:
    """For `freehold version`: "compiled", "pure Python" or "compiled, STALE"."""
    if not is_compiled():
        return "pure Python"
    return "compiled, STALE" if is_stale() else "compiled"
