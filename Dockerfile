# Two stages: the first installs what is needed, the second holds that and the program, and no tools to build with.

FROM python:3.13.9-slim-trixie AS packages

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /build
# A layer of its own, made anew only when the lock changes: exactly these files, and nothing that would run code of
# its own while it is installed.
COPY requirements.lock .
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --quiet --require-hashes --only-binary :all: --requirement requirements.lock

FROM python:3.13.9-slim-trixie

ENV PYTHONUNBUFFERED=1 \
    PATH=/opt/venv/bin:$PATH
COPY --from=packages /opt/venv /opt/venv

WORKDIR /app
COPY openai_proxy.py .
COPY gateway/ gateway/
# Compiled now: the program runs as another user, and from a root file system that may be read-only.
# The folders are where volumes are mounted, which take over their owner.
RUN python -m compileall -q openai_proxy.py gateway && install -d -o 10001 -g 10001 /config /data /logs

USER 10001:10001
EXPOSE 5101 5102
VOLUME ["/data", "/logs"]

# It asks the ports of the settings, /health/live: about the process, not the upstream.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-m", "gateway.alive"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "openai_proxy.py"]
