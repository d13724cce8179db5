"""Compile the hot path of a call to C extensions with mypyc. docs/decisions/0009 says why, and what each module gains.

    python scripts/compile.py               beside the sources in src/; `make uncompile` removes it again
    python scripts/compile.py --into DIR    a copy of the package in DIR: PYTHONPATH=DIR runs it

The sources stay as they are and run uncompiled everywhere. Needs a C compiler and requirements/compile.lock.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from freehold.base.build import LIBRARY, STAMP, sources_digest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "freehold"
# What pays. Not here: modules that define msgspec.Structs, which must be plain Python classes, and classes that others
# outside this list inherit from.
MODULES = (
    "base/aio.py",
    "gateway/connection.py",
    "gateway/endpoints.py",
    "gateway/head.py",
    "gateway/output.py",
    "gateway/request.py",
    "observe/metrics.py",
    "pipeline/admit.py",
    "pipeline/attempt.py",
    "pipeline/deliver.py",
    "pipeline/exchange.py",
    "pipeline/serve.py",
    "pipeline/settle.py",
    "policy/access.py",
    "upstream/connection.py",
    "upstream/head.py",
    "upstream/pool.py",
    "upstream/reply.py",
    "wire/dialects/anthropic/adapt.py",
    "wire/dialects/anthropic/encode.py",
    "wire/dialects/anthropic/knobs.py",
    "wire/dialects/anthropic/peek.py",
    "wire/dialects/anthropic/writer.py",
    "wire/dialects/bedrock/adapt.py",
    "wire/dialects/bedrock/content.py",
    "wire/dialects/bedrock/encode.py",
    "wire/dialects/bedrock/writer.py",
    "wire/dialects/cohere/adapt.py",
    "wire/dialects/cohere/decode.py",
    "wire/dialects/cohere/encode.py",
    "wire/dialects/cohere/knobs.py",
    "wire/dialects/cohere/messages_in.py",
    "wire/dialects/cohere/peek.py",
    "wire/dialects/cohere/reader.py",
    "wire/dialects/cohere/usage.py",
    "wire/dialects/cohere/writer.py",
    "wire/dialects/gemini/adapt.py",
    "wire/dialects/gemini/decode.py",
    "wire/dialects/gemini/encode.py",
    "wire/dialects/gemini/knobs.py",
    "wire/dialects/gemini/parts.py",
    "wire/dialects/gemini/reader.py",
    "wire/dialects/gemini/usage.py",
    "wire/dialects/gemini/words.py",
    "wire/dialects/gemini/writer.py",
    "wire/dialects/ollama/messages_in.py",
    "wire/dialects/ollama/messages_out.py",
    "wire/dialects/ollama/peek.py",
    "wire/dialects/ollama/reader.py",
    "wire/dialects/ollama/request_in.py",
    "wire/dialects/ollama/request_out.py",
    "wire/dialects/ollama/words.py",
    "wire/dialects/ollama/writer.py",
    "wire/dialects/openai_chat/choice.py",
    "wire/dialects/openai_chat/messages_in.py",
    "wire/dialects/openai_chat/messages_out.py",
    "wire/dialects/openai_chat/peek.py",
    "wire/dialects/openai_chat/reader.py",
    "wire/dialects/openai_chat/request_in.py",
    "wire/dialects/openai_chat/request_out.py",
    "wire/dialects/openai_chat/usage.py",
    "wire/dialects/openai_chat/words.py",
    "wire/dialects/openai_chat/writer.py",
    "wire/dialects/openai_completions/peek.py",
    "wire/dialects/openai_completions/reader.py",
    "wire/dialects/openai_completions/request.py",
    "wire/dialects/openai_completions/writer.py",
    "wire/dialects/openai_responses/echo.py",
    "wire/dialects/openai_responses/items_in.py",
    "wire/dialects/openai_responses/items_out.py",
    "wire/dialects/openai_responses/output_in.py",
    "wire/dialects/openai_responses/output_out.py",
    "wire/dialects/openai_responses/peek.py",
    "wire/dialects/openai_responses/reader.py",
    "wire/dialects/openai_responses/reasoning_out.py",
    "wire/dialects/openai_responses/request_in.py",
    "wire/dialects/openai_responses/request_out.py",
    "wire/dialects/openai_responses/slots.py",
    "wire/dialects/openai_responses/usage.py",
    "wire/dialects/openai_responses/words.py",
    "wire/dialects/openai_responses/writer.py",
    "wire/fields.py",
    "wire/fold.py",
    "wire/produced.py",
    "wire/sequence.py",
    "wire/translate.py",
    "wire/typed.py",
    "wire/wholereader.py",
    "wire/wholewriter.py",
)


class CompileError(Exception):
    """The message holds what the compiler said."""


def compile_package(package: Path) -> list[Path]:
    """Put compiled modules beside the sources of `package`; return what was put there. Raises CompileError."""
    remove(package)
    with tempfile.TemporaryDirectory(prefix="freehold-compile-") as folder:
        work = Path(folder)
        copied = work / "src" / "freehold"
        copy_sources(package, copied)
        shutil.copy(ROOT / "pyproject.toml", work)
        done = subprocess.run([sys.executable, __file__, "--here"], cwd=work, capture_output=True, text=True)
        if done.returncode != 0:
            raise CompileError(f"{done.stdout[-4000:]}{done.stderr[-4000:]}")
        (copied / STAMP).write_text(sources_digest(copied))
        made = [*copied.rglob("*.so"), copied / STAMP]
        return [Path(shutil.copy(path, package / path.relative_to(copied))) for path in made]


def copy_sources(package: Path, target: Path) -> None:
    """The package without anything compiled."""
    shutil.copytree(package, target, ignore=shutil.ignore_patterns("*.so", STAMP, "__pycache__"))


def remove(package: Path) -> None:
    for pattern in ("*.so", STAMP):
        for path in package.rglob(pattern):
            path.unlink()


def _compile_here() -> None:
    """In the working directory: src/freehold and pyproject.toml, a copy made for this."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    # One group, so that modules call each other as C functions; its library lies in the package.
    extensions = mypycify(
        ["--config-file", "pyproject.toml", *(f"src/freehold/{module}" for module in MODULES)],
        opt_level="3",
        debug_level="0",
        group_name=LIBRARY.removesuffix("__mypyc"),
    )
    distribution = Distribution({"name": "freehold", "package_dir": {"": "src"}, "ext_modules": extensions})
    command = distribution.get_command_obj("build_ext")
    command.inplace = True
    command.ensure_finalized()
    command.run()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--into", type=Path, metavar="DIR", help="compile a copy of the package there")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        _compile_here()
        return 0
    package = PACKAGE
    if options.into is not None:
        package = options.into / "freehold"
        copy_sources(PACKAGE, package)
    try:
        made = compile_package(package)
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    size_kb = sum(os.path.getsize(path) for path in made) // 1000
    print(f"{len(MODULES)} modules compiled, {size_kb:,} KB in {os.path.relpath(package)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
