# One image for each service:  docker build --build-arg SERVICE=sensor --build-arg EXTRA=sensor --target service -t hems-sensor .
# Each holds Debian's Python, the locked packages of its own service, and the code of its own service; nothing of the others.
# It builds for amd64 and arm64, with BuildKit or without. What docker-compose.yml makes of it is in docs/containers.md.

ARG DEBIAN=debian:12.12-slim

FROM ${DEBIAN} AS broker
LABEL org.opencontainers.image.title="hems broker" \
      org.opencontainers.image.description="Mosquitto, as Debian packages it" \
      org.opencontainers.image.licenses="EPL-2.0 OR BSD-3-Clause"
RUN groupadd -g 1883 mosquitto && useradd -r -u 1883 -g 1883 -d /nonexistent -s /usr/sbin/nologin mosquitto \
 && apt-get update && apt-get upgrade -y \
 && apt-get install -y --no-install-recommends mosquitto mosquitto-clients \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*
COPY containers/answers containers/end-if-silent /usr/local/bin/
USER 1883:1883
ENV XDG_CONFIG_HOME=/etc/hems/broker
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=2 CMD ["answers"]
CMD ["/usr/sbin/mosquitto", "-c", "/etc/hems/broker/mosquitto.conf"]


# In front of the broker and the page, where other computers reach them.
FROM ${DEBIAN} AS tls
LABEL org.opencontainers.image.title="hems tls" \
      org.opencontainers.image.description="stunnel, as Debian packages it" \
      org.opencontainers.image.licenses="GPL-2.0-or-later"
RUN apt-get update && apt-get upgrade -y && apt-get install -y --no-install-recommends stunnel4 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*
COPY containers/stunnel.conf /etc/stunnel/hems.conf
USER 2011:2011
HEALTHCHECK --interval=60s --timeout=10s --retries=2 \
  CMD ["sh", "-c", "openssl s_client -connect 127.0.0.1:8883 -CAfile /etc/hems/tls/ca.pem -verify_return_error -brief </dev/null"]
CMD ["stunnel4", "/etc/stunnel/hems.conf"]


FROM ${DEBIAN} AS python
# The security updates that came after the base image.
RUN apt-get update \
 && apt-get upgrade -y \
 && apt-get install -y --no-install-recommends python3 tzdata ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/hems/bin:$PATH


FROM python AS installer
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY requirements/uv.txt /requirements/uv.txt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN python3 -m venv /uv && /uv/bin/pip install --quiet --no-cache-dir --require-hashes -r /requirements/uv.txt


FROM installer AS packages
ARG EXTRA
COPY requirements/images/${EXTRA}.txt /requirements/
RUN python3 -m venv --without-pip --system-site-packages /opt/hems \
 && /uv/bin/uv pip sync --quiet --no-cache --link-mode copy \
      --python /opt/hems/bin/python --require-hashes --compile-bytecode /requirements/${EXTRA}.txt


FROM python AS service
ARG SERVICE
ARG VERSION=0
LABEL org.opencontainers.image.title="hems ${SERVICE}" \
      org.opencontainers.image.description="Home energy management: the ${SERVICE} service" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=packages /opt/hems /opt/hems
COPY containers/with-secrets containers/healthy containers/end-if-silent containers/hems /usr/local/bin/
COPY hems /opt/hems/code/hems
COPY services/__init__.py services/cli.py /opt/hems/code/services/
COPY services/${SERVICE} /opt/hems/code/services/${SERVICE}
RUN rm -rf /opt/hems/code/services/*/training /opt/hems/code/hems/testing \
 && PYTHONDONTWRITEBYTECODE= python3 -m compileall -q /opt/hems/code
ENV PYTHONPATH=/opt/hems/code SERVICE=${SERVICE} HEMS_CONFIG=/etc/hems/hems.yaml HEMS_SECRETS=/etc/hems/secrets/${SERVICE} \
    HEMS_STORAGE__DIRECTORY=/var/lib/hems/${SERVICE} HEMS_BROKER__HOST=broker HEMS_BROKER__PORT=1883 HEMS_LOG_FORMAT=json \
    HEMS_HEALTH_FILE=/tmp/health
USER 2000:2000
WORKDIR /tmp
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=2 CMD ["healthy"]
ENTRYPOINT ["with-secrets"]
CMD ["sh", "-c", "exec python3 -m services.$SERVICE"]


# Runs once, before all others, as root without a network: it makes what they read.
FROM service AS setup
USER root
COPY services/dashboard/__init__.py services/dashboard/command.py /opt/hems/code/services/dashboard/
COPY services/dashboard/domain/__init__.py services/dashboard/domain/sign_in.py /opt/hems/code/services/dashboard/domain/
COPY containers/prepare-home /usr/local/bin/
COPY broker/mosquitto.conf /opt/hems/code/services/supervisor/mosquitto.conf
HEALTHCHECK NONE
ENTRYPOINT []
CMD ["hems", "prepare"]


# The days before the demo begins, as its history has them: three services' work, of which the image below keeps the result alone.
FROM installer AS past
COPY requirements/images/supervisor.txt requirements/images/replay.txt requirements/images/disaggregator.txt \
     requirements/images/recorder.txt /requirements/
RUN python3 -m venv --without-pip --system-site-packages /opt/hems \
 && /uv/bin/uv pip sync --quiet --no-cache --link-mode copy --python /opt/hems/bin/python --require-hashes \
      /requirements/supervisor.txt /requirements/replay.txt /requirements/disaggregator.txt /requirements/recorder.txt
COPY hems /opt/hems/code/hems
COPY services/__init__.py services/cli.py /opt/hems/code/services/
COPY services/supervisor /opt/hems/code/services/supervisor
COPY services/replay /opt/hems/code/services/replay
COPY services/disaggregator /opt/hems/code/services/disaggregator
COPY services/recorder /opt/hems/code/services/recorder
ENV PYTHONPATH=/opt/hems/code
RUN mkdir /past && python3 -m services.supervisor.demo_past /past && rm /past/*.parquet


FROM setup AS demo-setup
COPY --from=past /past /opt/hems/past
