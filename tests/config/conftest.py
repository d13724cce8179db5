from __future__ import annotations

from tests.openbao import bao

__all__ = ["bao"]
