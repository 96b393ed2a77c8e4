# docker build -t media-service:0.1.0 .
# docker run --rm -p 127.0.0.1:8000:8000 -v media:/data --read-only --tmpfs /tmp --cap-drop ALL media-service:0.1.0
# The fence around ffmpeg (docs/security.md) needs no more than the default seccomp profile of any engine since 2022 allows.
# What this machine gives it:  docker run --rm media-service:0.1.0 python -m media_service doctor

# The browser libraries, by the same script and lock as in a checkout. Node stays in this stage.
FROM node:24-slim AS frontend
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
COPY scripts/frontend.sh scripts/media_chrome.mjs scripts/
RUN sh scripts/frontend.sh

# The Python packages, hash by hash.
FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt .
RUN python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements.txt

# bookworm, because its ffmpeg (5.1) is the one that the tests run.
FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg util-linux \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 media \
    && useradd --uid 10001 --gid media --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin media \
    && install --directory --owner media --group media --mode 0750 /data
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY media_service media_service
COPY scripts/healthcheck.py scripts/
COPY --from=frontend /build/media_service/ui/vendor media_service/ui/vendor
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MEDIA_SERVICE_HOST=0.0.0.0 \
    MEDIA_SERVICE_PORT=8000 \
    MEDIA_SERVICE_DATA_DIR=/data
# Compiled here: the root file system is read-only when it runs, and each start would compile anew.
RUN python -m compileall -q media_service
USER 10001:10001
VOLUME /data
EXPOSE 8000
# By MEDIA_SERVICE_UNIX_SOCKET, or HOST and PORT: it asks where the service listens.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "scripts/healthcheck.py"]
CMD ["python", "-m", "media_service", "serve"]
