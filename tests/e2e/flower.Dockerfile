# Flower as in mher/flower:2.0, for a cluster that cannot pull it: the same versions, drivers and user.
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}
COPY flower.txt /tmp/
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r /tmp/flower.txt \
 && rm /tmp/flower.txt \
 && echo 'flower:x:1000:' >> /etc/group \
 && echo 'flower:x:1000:1000::/home/flower:/usr/sbin/nologin' >> /etc/passwd \
 && mkdir /data && chown 1000:1000 /data
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /data
USER flower
CMD ["celery", "flower"]
