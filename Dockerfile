FROM python:3.12-slim AS build
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home afterword && install -d -m 0700 -o afterword /data /checkpoints
COPY --from=build /venv /venv
# Nothing is written outside /data, /checkpoints and /tmp: the root file system may be read-only.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 AFTERWORD_DATA=/data HOME=/tmp
USER 10001
WORKDIR /data
STOPSIGNAL SIGTERM
# The image's own role is the worker: healthy while its heartbeat is seen. docker-compose.yml checks the API by HTTP.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["afterword", "doctor", "--worker"]
ENTRYPOINT ["afterword"]
CMD ["worker"]
