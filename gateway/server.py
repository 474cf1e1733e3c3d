"""The processes: one gunicorn master that owns both ports, and its workers.

    SIGTERM, SIGINT   stop in order: no new connections, open answers get their grace, exit code 0;
                      a second one ends at once
    SIGHUP            new workers take over, the old ones end like on SIGTERM
    a worker dies     it is replaced; the streams of others go on
    the master dies   its workers die with it

The application is made once, before the fork, so that its faults end the start and workers share memory.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.sock import close_sockets

from gateway import __version__, models_file, service_log
from gateway.access import Access
from gateway.breaker import Breaker
from gateway.config import Settings, name_of
from gateway.drain import Drain
from gateway.heads import HEADER_LINE_LIMIT, HEADER_LINES_LIMIT, Deadlines
from gateway.held_key import harden
from gateway.listeners import listen
from gateway.metrics_folder import MetricsFolder
from gateway.run_folder import memory_folder
from gateway.setting import SettingError
from gateway.worker import LAST_WORDS_SECS, Serving, Worker

if TYPE_CHECKING:
    from gateway.metrics import Metrics

MakeApp = Callable[[Settings, Drain, "Metrics"], Serving]

_CONNECTIONS = 4000
"""Most client connections of one worker."""

_DESCRIPTORS_SPARE = 100
"""Descriptors of a worker that are no connections."""

_AT_ONCE_SECS = 2.0
"""Time for workers to end when they are told to end at once."""

_TELL_AGAIN_SECS = 0.5


@dataclass(frozen=True)
class Program:
    """What the processes serve, and what they do beside it."""

    settings: Settings
    listeners: list[socket.socket]
    make_app: MakeApp
    started: Callable[[], None]
    """Runs in the master as soon as connections are taken."""
    forked: Callable[[], None]
    """Runs first in each worker."""
    tended: list[Callable[[], None]] = field(default_factory=list)
    """What the master calls each second, before it looks after its workers: first before it has any."""
    deadlines: Deadlines = field(default_factory=Deadlines)


def serve(settings: Settings, make_app: MakeApp | None = None, deadlines: Deadlines | None = None) -> None:
    """Serve until a signal comes; never returns, but exits. Raises: SettingError before anything is served."""
    service_log.configure(settings.log_level)
    if settings.holds_key:
        harden()
    beside: Callable[[Serving], Serving] | None = None
    sockets = []
    if settings.demo:
        from gateway.demo.upstream import Beside, attach  # needed for nothing else

        sock, settings = attach(settings)
        beside = partial(Beside, port=sock.getsockname()[1])
        sockets.append(sock)
    access = Access.of(settings)
    with contextlib.ExitStack() as ends:
        tended: list[Callable[[], None]] = []
        make = make_app or partial(_gateway, access, ends, tended)
        run(
            Program(
                settings,
                listen(settings) + sockets,
                (lambda *parts: beside(make(*parts))) if beside else make,
                started=lambda: announce(settings),
                forked=access.forked,
                tended=tended,
                deadlines=deadlines or Deadlines(),
            )
        )


def run(program: Program) -> None:
    """Run the processes of a program; never returns, but exits. Raises: SettingError."""
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus-client was loaded before it could be told where to count")
    try:
        folder = MetricsFolder()
    except OSError as error:
        raise SettingError("TMPDIR", f"there is no folder for temporary files: {error.strerror}") from error
    try:
        from gateway.metrics import Metrics  # counts where the folder says

        drain, metrics = Drain(), Metrics()
        wsgi = program.make_app(program.settings, drain, metrics)
        descriptors = [sock.detach() for sock in program.listeners]
        # What is loaded now stays for good: a collection that looked through it would stop all streams for 30 ms.
        gc.collect()
        gc.freeze()
        Server(program, wsgi, drain, metrics, folder, descriptors).run()
    finally:
        folder.remove()


def _gateway(
    access: Access,
    ends: contextlib.ExitStack,
    tended: list[Callable[[], None]],
    settings: Settings,
    drain: Drain,
    metrics: Metrics,
) -> Serving:
    from gateway.app import build, services_of  # the whole gateway, which --help and wrong settings need not load
    from gateway.recording.recorder import recorder_of
    from gateway.store.opening import open_store

    if settings.models_file is not None:
        try:
            models_file.read(settings.models_file)
        except models_file.ModelsFileError as error:
            raise SettingError(name_of("models_file"), str(error)) from error
    breaker = Breaker(
        enabled=settings.enable_circuit_breaker,
        failures=settings.breaker_failures,
        cooldown=settings.breaker_cooldown_secs,
    )
    store = open_store(settings)
    if store is not None:
        ends.callback(store.close)
    recorder = recorder_of(settings, access.secrets, access.forked)
    if recorder is not None:
        ends.callback(recorder.close)
        tended.append(recorder.tend)
    return build(
        services_of(
            settings, breaker=breaker, drain=drain, access=access, counts=metrics, recorder=recorder, store=store
        )
    )


class Server(BaseApplication):
    """The gunicorn application; workers find here what they need."""

    def __init__(
        self,
        program: Program,
        wsgi: Serving,
        drain: Drain,
        metrics: Metrics,
        folder: MetricsFolder,
        descriptors: list[int],
    ) -> None:
        self.settings = program.settings
        self.drain = drain
        self.metrics = metrics
        self.deadlines = program.deadlines
        self.started = program.started
        self.tended = program.tended
        self._folder = folder
        self._wsgi = wsgi
        self._descriptors = descriptors
        self._forked = program.forked
        super().__init__()

    def load_config(self) -> None:
        """Hand gunicorn its settings; its own environment variables and files count for nothing."""
        settings = self.settings
        folder = memory_folder()
        values = {
            "bind": [f"fd://{descriptor}" for descriptor in self._descriptors],
            "workers": settings.workers,
            "worker_class": Worker,
            "worker_connections": _connections(),
            "worker_tmp_dir": folder and str(folder),
            "timeout": 60,
            "graceful_timeout": int(settings.shutdown_grace_secs + LAST_WORDS_SECS + 2),
            "preload_app": True,
            "post_fork": lambda _, __: self._forked(),
            "child_exit": lambda _, worker: self._folder.retire(worker.pid),
            "limit_request_fields": HEADER_LINES_LIMIT,
            "limit_request_field_size": HEADER_LINE_LIMIT,
            "http_parser": "python",
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            "logger_class": service_log.ServerLog,
            "control_socket_disable": True,
            "proc_name": "openai-proxy",
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Serving:
        return self._wsgi

    def run(self) -> None:
        Master(self).run()


class Master(Arbiter):
    """gunicorn's arbiter, with signals that mean what the module says."""

    LISTENERS: list[Any]

    def __init__(self, app: Server) -> None:
        self._stops = 0
        super().__init__(app)

    def start(self) -> None:
        super().start()
        self.app.started()
        self.log.error_log.info("started", extra={"version": __version__, "workers": self.num_workers})

    def signal(self, sig: int, frame: Any) -> None:
        self._stops += sig in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
        super().signal(sig, frame)

    def handle_int(self) -> None:
        """As SIGTERM: Ctrl-C is how people stop a program."""
        raise StopIteration

    def handle_usr2(self) -> None:
        """Not taken: a second master could not tell its ports from those of a stranger."""

    def manage_workers(self) -> None:
        for tend in self.app.tended:
            tend()
        super().manage_workers()

    def reload(self) -> None:
        """Let new workers take over, without waiting for the old ones to end: signals are still heard."""
        for _ in range(self.cfg.workers):
            self.spawn_worker()
        self.manage_workers()

    def stop(self, graceful: bool = True) -> None:
        """End all workers, in order or at once; a second signal turns the one into the other."""
        self.log.error_log.info("stopping")
        close_sockets(self.LISTENERS, False)
        self.LISTENERS = []
        ends = time.monotonic() + self.cfg.graceful_timeout
        tell_again = 0.0
        while self.WORKERS and time.monotonic() < ends:
            if self._stops > 1 or not graceful:
                ends = min(ends, time.monotonic() + _AT_ONCE_SECS)
            if time.monotonic() >= tell_again:
                # Again and again, because a worker that is just starting does not hear the first one.
                self.kill_workers(signal.SIGQUIT if self._stops > 1 or not graceful else signal.SIGTERM)
                tell_again = time.monotonic() + _TELL_AGAIN_SECS
            with contextlib.suppress(HaltServer):
                self.reap_workers()
            time.sleep(0.05)
        self.kill_workers(signal.SIGKILL)
        with contextlib.suppress(HaltServer):
            self.reap_workers()


def announce(settings: Settings) -> None:
    """Tell people on standard output where to point their clients."""
    what = {"chat": "Chat Completions, passed through", "responses": "Responses and Messages"}
    upstream = "its own demo upstream" if settings.demo else f"{settings.backend_origin}{settings.backend_root_path}"
    lines = [f"openai-proxy {__version__} in front of {upstream}"]
    host = settings.host or "localhost"
    for port in settings.ports:
        shown = f"[{host}]" if ":" in host else host
        lines.append(f"  http://{shown}:{port.number}/v1  {what[port.surface]}")
    elsewhere = "" if settings.host else ", or under this machine's name from another one,"
    lines.append(f"Open http://{shown}:{port.number}/ in a browser{elsewhere} to set up a client.")
    with contextlib.suppress(OSError):
        print("\n".join(lines), file=sys.stdout, flush=True)


def _connections() -> int:
    """Return how many connections a worker may take: each needs a descriptor, and one for its upstream."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _CONNECTIONS + _DESCRIPTORS_SPARE
    allowed = wanted if most == resource.RLIM_INFINITY else min(most, wanted)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return max(1, (allowed - _DESCRIPTORS_SPARE) // 2)
