"""How each candidate is started and asked: Freehold as its users start it, the peers set in their favour."""

from __future__ import annotations

import http.client
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.calls import Answer, Call
from bench.processes import Process, free_port
from bench.shapes import SHAPES, Dialect

FOLDER = Path(__file__).resolve().parent
FREEHOLD_KEY = "fh_bench_0123456789abcdefghijklmnopqrstuvwxyz"
FERROGW_KEY = "fgw_bench0123456789abcdefghijklmn"
FREEHOLD_YAML = """\
providers:
  lab: {{dialect: openai_chat, base_url: "http://127.0.0.1:{upstream}/v1", api_key: sk-upstream, zone: internal}}
  lab_anthropic: {{dialect: anthropic, base_url: "http://127.0.0.1:{upstream}/v1", api_key: sk-upstream, zone: internal}}
  lab_responses: {{dialect: openai_responses, base_url: "http://127.0.0.1:{upstream}/v1", api_key: sk-upstream, zone: internal}}
  lab_gemini: {{dialect: gemini, base_url: "http://127.0.0.1:{upstream}/v1beta", api_key: sk-upstream, zone: internal}}
  lab_bedrock: {{dialect: bedrock, base_url: "http://127.0.0.1:{upstream}", api_key: sk-upstream, zone: internal}}
  lab_cohere: {{dialect: cohere, base_url: "http://127.0.0.1:{upstream}", api_key: sk-upstream, zone: internal}}
  lab_ollama: {{dialect: ollama, base_url: "http://127.0.0.1:{upstream}", api_key: sk-upstream, zone: internal}}
routes:
  fast-model: {{targets: [{{provider: lab, model: gpt-4o-mini, price: {{input: 0.15, output: 0.6}}}}]}}
  fine-model: {{targets: [{{provider: lab_anthropic, model: claude-sonnet-4-5, price: {{input: 3, output: 15}}}}]}}
  responses-model: {{targets: [{{provider: lab_responses, model: gpt-5-mini, price: {{input: 0.25, output: 2}}}}]}}
  gemini-model: {{targets: [{{provider: lab_gemini, model: gemini-2.5-flash, price: {{input: 0.3, output: 2.5}}}}]}}
  bedrock-model: {{targets: [{{provider: lab_bedrock, model: amazon.nova-lite-v1, price: {{input: 0.06, output: 0.24}}}}]}}
  cohere-model: {{targets: [{{provider: lab_cohere, model: command-a-03-2025, price: {{input: 2.5, output: 10}}}}]}}
  ollama-model: {{targets: [{{provider: lab_ollama, model: llama3.2, price: {{input: 0.1, output: 0.1}}}}]}}
keys:
  - name: bench
    key: "{key}"
    models: [fast-model, fine-model, responses-model, gemini-model, bedrock-model, cohere-model, ollama-model]
"""
# What to ask Freehold for, by the dialect of the model behind it; and what its models are called where they are.
ROUTES: dict[Dialect, str] = {
    "openai": "fast-model",
    "anthropic": "fine-model",
    "responses": "responses-model",
    "gemini": "gemini-model",
    "bedrock": "bedrock-model",
    "cohere": "cohere-model",
    "ollama": "ollama-model",
}
MODELS: dict[Dialect, str] = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-4-5",
    "responses": "gpt-5-mini",
    "gemini": "gemini-2.5-flash",
    "bedrock": "amazon.nova-lite-v1",
    "cohere": "command-a-03-2025",
    "ollama": "llama3.2",
}


class Absent(Exception):
    """The candidate cannot be had on this machine. The message says how to get it."""


class Failed(Exception):
    """The candidate or a tool did not do what it must. Nothing measured after this would mean anything."""


@dataclass
class Candidate:
    """A running program that answers calls on `port`."""

    name: str
    process: Process
    port: int
    key: str
    models: dict[Dialect, str]  # what to ask for, by the upstream's dialect
    dialects: tuple[Dialect, ...]  # what its clients may speak
    translates: bool = False
    started_s: float = 0.0  # from start to the first good answer
    data: Path | None = None  # where Freehold keeps its spool
    answered: int = 0  # good answers to all calls so far

    def serves(self, call: Call) -> bool:
        return call.client in self.dialects and (self.translates or call.client == call.upstream)

    def ask(self, call: Call, timeout_s: float = 10.0) -> Answer:
        answer = call.ask(self.port, self.models[call.upstream], self.key, timeout_s)
        self.answered += answer.status == 200
        return answer

    def wire(self, call: Call) -> bytes:
        return call.wire(self.models[call.upstream], self.key)


Start = Callable[[int, int, Path], Candidate]  # upstream's port, core, an empty folder of its own


def start_nginx(upstream: int, core: int, folder: Path) -> Candidate:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Absent("no nginx here: install the Debian package nginx-light (or nginx)")
    port = free_port()
    # Started by root its workers would run as nobody, who cannot enter this folder.
    values = {"@UPSTREAM_PORT@": upstream, "@PORT@": port, "@USER@": "user root;" if os.geteuid() == 0 else ""}
    text = (FOLDER / "nginx.conf").read_text()
    for name, value in values.items():
        text = text.replace(name, str(value))
    config = folder / "nginx.conf"
    config.write_text(text)
    process = Process([program, "-p", str(folder), "-c", str(config)], core, folder / "log")
    return _wait(Candidate("nginx", process, port, "client-key", MODELS, ("openai", "anthropic")))


def start_ferrogw(upstream: int, core: int, folder: Path) -> Candidate:
    program = shutil.which("ferrogw", path=f"{sysconfig.get_path('scripts')}:{os.environ.get('PATH', '')}")
    if program is None:
        raise Absent("no ferrogw here: pip install ferrogw")
    port = free_port()
    env = {
        "PORT": str(port),
        "OPENAI_API_KEY": "sk-upstream",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}",
        "MASTER_KEY": FERROGW_KEY,
        "RATE_LIMIT_RPS": "1000000",  # its default of some tens a second would be what is measured
        "RATE_LIMIT_BURST": "1000000",
        "GOMAXPROCS": "1",  # one core is what it gets
    }
    process = Process([program, "serve"], core, folder / "log", env, cwd=folder)
    return _wait(Candidate("ferrogw", process, port, FERROGW_KEY, {"openai": "gpt-4o-mini"}, ("openai",)))


def start_freehold(upstream: int, core: int, folder: Path, program: Sequence[str] = ()) -> Candidate:
    """With everything on: keys, routes, prices, the spool, metrics. `program` may stand in for `python -m freehold`."""
    port = free_port()
    config, data = folder / "freehold.yaml", folder / "data"
    config.write_text(FREEHOLD_YAML.format(upstream=upstream, key=FREEHOLD_KEY))
    command = [*(program or (sys.executable, "-m", "freehold")), "up", "--no-admin"]
    command += ["--config", str(config), "--data", str(data), "--port", str(port)]
    # Out of reach, so that the spool is left for us to count; bench/ledger.py measures what shipping it costs.
    process = Process(command, core, folder / "log", {"FREEHOLD_DATABASE_URL": "postgresql://127.0.0.1:1/none"})
    return _wait(Candidate("freehold", process, port, FREEHOLD_KEY, ROUTES, tuple(SHAPES), translates=True, data=data))


def start_upstream(program: Path, core: int, log: Path) -> Candidate:
    """The model server itself, asked with no gateway between: the ceiling of what the tools can show."""
    port = free_port()
    process = Process([str(program), str(port)], core, log)
    return _wait(Candidate("direct", process, port, "sk-upstream", MODELS, tuple(MODELS)))


STARTS: dict[str, Start] = {"freehold": start_freehold, "nginx": start_nginx, "ferrogw": start_ferrogw}


def _wait(candidate: Candidate, patience_s: float = 20.0) -> Candidate:
    """Ask until the first good answer. Raises Failed, with the end of its log, when it exits or none comes in time."""
    began = candidate.process.began
    said = "nothing"
    while candidate.process.alive and time.monotonic() - began < patience_s:
        try:
            answer = candidate.ask(Call(), timeout_s=5)
            said = f"{answer.status} {answer.problem}"
            if answer.status == 200 and not answer.problem:
                candidate.started_s = time.monotonic() - began
                return candidate
        except (OSError, http.client.HTTPException) as error:
            said = repr(error)
        time.sleep(0.005)
    how = "gave no good answer" if candidate.process.alive else "exited"
    candidate.process.stop()
    raise Failed(f"{candidate.name} {how} (last: {said}); its log ends:\n{candidate.process.last_words()}")
