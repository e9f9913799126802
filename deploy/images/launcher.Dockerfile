# Starts further sets of containers, under the profile `launcher` of docker-compose.yml: the only image whose container
# may see the socket of the container engine. It has no code that runs what a user wrote, and none of the services.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG PIP_INDEX_URL=
COPY deploy/images/install deploy/images/launcher.lock /build/
RUN sh /build/install /build/launcher.lock && rm -rf /opt/venv/lib/python3.*/site-packages/pip* /opt/venv/bin/pip*

FROM ${BASE}
ARG UID=1000
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/* \
    && useradd --uid ${UID} --no-create-home --home-dir /tmp reaf \
    && mkdir -p /run/launcher /run/reafference && chown -R reaf:reaf /run/launcher /run/reafference \
    && chmod 700 /run/launcher /run/reafference
COPY deploy/images/start /usr/local/bin/start
COPY --from=build /opt/venv /opt/venv
COPY pyproject.toml deploy/images/finish.py /opt/reafference/
COPY proto/reafference /opt/reafference/reafference
COPY services/__init__.py /opt/reafference/services/
COPY services/engine/__init__.py services/engine/container_*.py services/engine/docker_engine.py \
    /opt/reafference/services/engine/
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/reafference PYTHONUNBUFFERED=1 HOME=/tmp REAF_STANDS=/run/reafference
WORKDIR /opt/reafference
RUN python finish.py
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Reafference: launcher of containers" \
    org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
USER reaf
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-S", "reafference/stand.py", "/run/launcher/launcher.stand", "--ask"]
ENTRYPOINT ["tini", "--", "start"]
CMD ["python", "-m", "services.engine.container_launcher", "/run/launcher/launcher.stand"]
