"""Build hook of the wheel: FREEHOLD_COMPILE=1 compiles the hot path into it (docs/decisions/0009); without, it is pure Python."""

from __future__ import annotations

import os
import runpy
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledWheel(BuildHookInterface[Any]):
    def dependencies(self) -> list[str]:
        """For an isolated build. mypyc reads the types of what the modules import, so that must be there too."""
        if not _wanted():
            return []
        return ["mypy[mypyc]>=2.4,<3", *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable install stays as the checkout is."""
        if version == "editable" or not _wanted():
            return
        script = runpy.run_path(str(Path(self.root, "scripts", "compile.py")))
        self._folder = tempfile.mkdtemp(prefix="freehold-wheel-")
        package = Path(self._folder, "freehold")
        script["copy_sources"](Path(self.root, "src", "freehold"), package)
        for path in script["compile_package"](package):
            build_data["force_include"][str(path)] = path.relative_to(self._folder).as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder)


def _wanted() -> bool:
    return os.environ.get("FREEHOLD_COMPILE") == "1"
