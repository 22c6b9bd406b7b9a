# The operator's image.
#   docker build -t celery-operator/operator .
# Any base with Python 3.11 or newer and its venv module will do (Debian: python3 python3-venv ca-certificates).
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /build
COPY requirements/operator.lock ./
# The environment is made where it will live: a virtual environment cannot be moved.
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-compile \
      --require-hashes --only-binary :all: -r operator.lock
COPY operator/celery_operator /opt/operator/celery_operator
# A path file instead of PYTHONPATH: a PYTHONPATH set on the pod would replace it.
RUN echo /opt/operator > "$(/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/celery_operator.pth" \
 && /opt/venv/bin/python -m pip uninstall --yes --quiet setuptools pip
# Byte code without docstrings (less memory), and no other: it is made here because a read-only root file system
# cannot take any later. Without column tables (PYTHONNODEBUGRANGES), which cost 8 MiB. By hash, not by date: COPY may change dates, and a stale date means compiling at every start.
RUN PYTHONNODEBUGRANGES=1 /opt/venv/bin/python -m compileall -q -o 2 --invalidation-mode unchecked-hash /opt/venv/lib /opt/operator \
 && find /opt/venv /opt/operator -name '*.pyc' ! -name '*.opt-2.pyc' -delete \
 && /opt/venv/bin/python -OO -B -c "import celery_operator.process"

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="celery-operator" \
      org.opencontainers.image.description="Runs Celery applications on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/operator /opt/operator
COPY LICENSE /opt/operator/
# MALLOC_*: large buffers, as of lists and TLS, go back to the system when they are free. By default glibc raises its
# threshold with each of them and keeps them: 13 MiB with 20 CeleryClusters.
# USER, because kopf asks for the user's name, and a number that /etc/passwd does not know has none.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    USER=celery-operator \
    PYTHONOPTIMIZE=2 \
    PYTHONNODEBUGRANGES=1 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    MALLOC_ARENA_MAX=2 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/operator
# A number, so that runAsNonRoot can be checked; no entry in /etc/passwd is needed.
USER 10001:10001
EXPOSE 8080
# The exec form: the operator is process 1 and gets SIGTERM itself.
ENTRYPOINT ["python", "-m", "celery_operator"]
