"""`doctor`: says what works and what does not, from the settings to the last oddity of a model.

Exit code 0: clients can work. 1: something essential does not. 2: wrong flags or settings. It asks the upstream
directly, with about a dozen short requests for the model.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from gateway import held_key, models_file
from gateway.cli import PROGRAM, Parser, add_settings, load_settings
from gateway.config import PROGRAM_FOLDER, Settings, name_of
from gateway.doctor.asking import Upstream
from gateway.doctor.findings import Finding, failed, line, switches, with_switches
from gateway.doctor.probes import begin, probes
from gateway.doctor.surroundings import ports, reach, store
from gateway.jsonbody import load_upstream
from gateway.listing import is_openai
from gateway.listing_fetch import ListUnavailable, fetcher
from gateway.models import Catalog, Overlay, Rules, fallback
from gateway.models_upstream import parse
from gateway.setting import SettingError, seconds
from gateway.setup import files
from gateway.types import JSON

KEY_VARIABLES = ("GATEWAY_API_KEY", "OPENAI_API_KEY", "CHUTES_API_KEY")

_NOT_FOR_DOCTORS = frozenset(["demo", "key_from_stdin", "workers", "log_level", "auto_web_search"])
_WIDTH = 22
_TIMEOUT_SECS = 120.0


def main(words: Sequence[str]) -> int:
    """Examine; return the exit code. Raises: SettingError."""
    given = _parser().parse_args(words)
    try:
        timeout = seconds(0.1)(given.timeout) if given.timeout else _TIMEOUT_SECS
    except ValueError as error:
        raise SettingError("--timeout", str(error)) from None
    settings = load_settings(given)
    overlays = _overlays(settings)
    report = Report()
    report.title(f"Gateway, upstream {settings.backend_origin}{settings.backend_root_path}")
    report.add(Finding("settings", "ok", f"models file {settings.models_file or 'none'}"))
    report.add_all(ports(settings))
    report.add_all(store(settings))
    report.add_all(reach(settings))
    if failed(report.findings):
        return report.end()
    key, source = _key(settings)
    report.add(Finding("key", "ok", source) if key else Finding("key", "skip", "none; asking without one"))
    catalog = _catalog(settings, key, overlays, report)
    name = given.model or _first(catalog)
    if name is None:
        report.add(Finding("model", "no", "there is no list to choose one from: name one with --model", essential=True))
        return report.end()
    model = catalog.resolve(name)
    report.title(f"Model {model.id}")
    upstream = Upstream(settings, key, timeout)
    _try_out(upstream, settings, model.id, report)
    told = switches(model, report.findings)
    if told:
        _advise(model.id, told, settings, write=given.write)
    elif not failed(report.findings):
        report.title("models.json needs to say nothing more of this model.")
    return report.end()


def _parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} doctor",
        description="Check settings, ports, upstream, TLS, key and model list; then try out a model.",
        epilog=f"The key is taken from {', '.join(KEY_VARIABLES)} or BACKEND_KEY_FILE, or asked for.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", metavar="NAME", help="the model to try out (default: the first with tools)")
    parser.add_argument("--timeout", metavar="SECONDS", help=f"longest wait for an answer (default: {_TIMEOUT_SECS:g})")
    parser.add_argument("--write", action="store_true", help="add the switches found to models.json, with a backup")
    add_settings(parser, but=_NOT_FOR_DOCTORS)
    return parser


class Report:
    """Prints findings as they come, so that a person sees it go on."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def title(self, text: str) -> None:
        """Begin a part."""
        print(f"\n{text}" if self.findings else text, flush=True)

    def add(self, finding: Finding) -> None:
        """Take and show a finding."""
        self.findings.append(finding)
        if sys.stdout.isatty():
            print("\r\033[K", end="")
        print(line(finding, _WIDTH), flush=True)

    def add_all(self, findings: Iterable[Finding]) -> None:
        """Take and show them one by one, as they are found."""
        for finding in findings:
            self.add(finding)

    def trying(self, name: str) -> None:
        """Show on a terminal what is under way."""
        if sys.stdout.isatty():
            print(f"\r  {name} …", end="", flush=True)

    def end(self) -> int:
        """Say how it stands; return the exit code."""
        bad = failed(self.findings)
        print("\nSomething essential does not work." if bad else "\nClients can work.", flush=True)
        return 1 if bad else 0


def _overlays(settings: Settings) -> tuple[Overlay, ...]:
    if settings.models_file is None:
        return ()
    try:
        return models_file.read(settings.models_file)
    except models_file.ModelsFileError as error:
        raise SettingError(name_of("models_file"), str(error)) from None


def _key(settings: Settings) -> tuple[str | None, str]:
    """Return the key to ask with, and where it comes from."""
    for name in KEY_VARIABLES:
        if os.environ.get(name):
            return os.environ[name].strip(), f"from {name}"
    if settings.backend_key_file is not None:
        try:
            return held_key.from_file(settings.backend_key_file).reveal(), "from BACKEND_KEY_FILE"
        except held_key.KeyRefused as error:
            raise SettingError(name_of("backend_key_file"), str(error)) from None
    if settings.require_key and sys.stdin.isatty():
        return getpass.getpass("API key (empty for none): ").strip() or None, "typed"
    return None, ""


def _catalog(settings: Settings, key: str | None, overlays: tuple[Overlay, ...], report: Report) -> Catalog:
    rules = Rules(is_openai(settings.backend_origin), settings.models_filter)
    fetch = fetcher(settings.backend_origin + settings.models_target, trust_env=settings.trust_env)
    try:
        catalog = Catalog(parse(load_upstream(fetch(key))), overlays, rules)
    except (ListUnavailable, ValueError) as error:
        report.add(Finding("model list", "warn", str(error)))
        return Catalog((), overlays, rules) if overlays else fallback(rules)
    counts = ", ".join(f"{len(catalog.listed(surface))} on the {surface} port" for surface in ("chat", "responses"))
    report.add(Finding("model list", "ok", counts))
    return catalog


def _first(catalog: Catalog) -> str | None:
    if catalog.is_fallback:
        return None
    listed = catalog.listed("responses") or catalog.listed("chat")
    return listed[0].name if listed else None


def _try_out(upstream: Upstream, settings: Settings, model: str, report: Report) -> None:
    report.trying("answers")
    findings, base = begin(upstream.chat, model)
    report.add_all(findings)
    if base is None:
        return
    every = list(probes(settings.backend_api))
    for number, probe in enumerate(every, 1):
        report.trying(f"{probe.name}, {number} of {len(every)}")
        report.add(probe.run(upstream.chat, base))


def _advise(model: str, told: JSON, settings: Settings, *, write: bool) -> None:
    print("\nmodels.json should say:\n" + json.dumps({"id": model, **told}, indent=2, ensure_ascii=False))
    path = settings.models_file or PROGRAM_FOLDER / "models.json"
    if not write:
        print(f"--write puts this into {path}.")
        return
    try:
        backup = _write(path, model, told)
    except (OSError, ValueError) as error:
        print(f"{PROGRAM}: {path}: {error}; nothing was written", file=sys.stderr)
        return
    print(f"Written: {path}" + (f"\nBefore:  {backup}" if backup else ""))


def _write(path: Path, model: str, told: JSON) -> Path | None:
    old = files.read(path)
    content = with_switches(json.loads(old) if old.strip() else None, model, told)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    models_file.parse_file(text.encode())
    return files.replace(path, text)
