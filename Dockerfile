FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

RUN useradd --system --no-create-home --shell /usr/sbin/nologin gateway
WORKDIR /app

# Exactly these files, and nothing that would run code of its own while it is installed.
COPY requirements.lock .
RUN pip install --quiet --require-hashes --only-binary :all: --requirement requirements.lock

COPY openai_proxy.py .
COPY gateway/ gateway/

USER gateway
EXPOSE 5101 5102

# With CHAT_PORT changed, this asks the port that is served.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('CHAT_PORT') or 5101}/health/live\", timeout=4)"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "openai_proxy.py"]
