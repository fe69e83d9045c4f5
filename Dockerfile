# hfproxy's image: exactly what uv.lock names, on a slim Python, as a user without rights.
#
# Plain Dockerfile without a frontend line or mounts, so that Docker with and without BuildKit, Podman and Buildah all
# build it. BASE_IMAGE may be any image with Python 3.11 or newer, a mirror's or a hardened one.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
ARG UV_VERSION=0.13.8
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
WORKDIR /build
# build/ca.pem is there where `make build CA_BUNDLE=…` is run behind a firewall that re-signs TLS; it stays in this stage.
COPY pyproject.toml uv.lock build/ca.pem* ./
RUN if [ -s ca.pem ]; then export PIP_CERT=/build/ca.pem SSL_CERT_FILE=/build/ca.pem; fi \
 && python3 -m venv /opt/uv \
 && /opt/uv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir "uv==${UV_VERSION}" \
 && UV_PROJECT_ENVIRONMENT=/build/.venv /opt/uv/bin/uv sync --frozen --quiet --only-group build \
 && UV_PROJECT_ENVIRONMENT=/hfproxy/.venv /opt/uv/bin/uv sync --frozen --quiet --no-default-groups --extra postgres --extra s3 --no-install-project
COPY README.md LICENSE ./
COPY hfproxy hfproxy
RUN .venv/bin/python -m hatchling build --target wheel --directory dist \
 && /opt/uv/bin/uv pip install --quiet --offline --no-deps --python /hfproxy/.venv/bin/python dist/*.whl \
 # Group 0 may write, so that any user id will do (`docker run --user`, OpenShift).
 && install -d -o 10001 -g 0 -m 0770 /hfproxy/data

FROM ${BASE_IMAGE}
ARG VERSION=0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="hfproxy" \
      org.opencontainers.image.description="A team's own front door to the Hugging Face Hub" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=build /hfproxy /hfproxy
ENV PATH=/hfproxy/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HFPROXY_SERVER__HOST=0.0.0.0 \
    HFPROXY_STORAGE__ROOT=/hfproxy/data
# As in a checkout: .env, certs/ and data/ are looked for here.
WORKDIR /hfproxy
USER 10001:0
VOLUME /hfproxy/data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["hfproxy", "health"]
ENTRYPOINT ["hfproxy"]
CMD ["serve"]
