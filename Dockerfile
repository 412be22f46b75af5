# syntax=docker/dockerfile:1
# The hub in a container: see docs/how-to/deploy.md. It installs what requirements/ locks, with hashes.

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements/build.txt requirements/hub.txt requirements/
COPY deploy/install.sh deploy/
COPY pyproject.toml README.md LICENSE ./
COPY hub hub
COPY client_js client_js
RUN ["sh", "deploy/install.sh", "/opt/logout-hub"]

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="logout-hub" \
      org.opencontainers.image.description="Makes a logout true everywhere, at once" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/logout-hub/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HUB_HOST=0.0.0.0 \
    HUB_LOG_FORMAT=json
COPY --from=build /opt/logout-hub /opt/logout-hub
COPY --chmod=0444 deploy/healthcheck.py /opt/healthcheck.py
USER 10001:10001
EXPOSE 8080
# The hub finishes its logouts and closes its sockets, within 25 s.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "/opt/healthcheck.py"]
ENTRYPOINT ["logout-hub"]
CMD ["serve"]
