FROM python:3.12-slim AS build
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home afterword && install -d -o afterword /data
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 AFTERWORD_DATA=/data HOME=/tmp
USER afterword
WORKDIR /data
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s CMD ["afterword", "doctor"]
ENTRYPOINT ["afterword"]
CMD ["worker"]
