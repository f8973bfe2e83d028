# Answers as the API, or runs any command or a worker; deployments/compose.yaml runs all of them (docs/container.md).
# Built with the CPU build of torch: on x86 give TORCH_INDEX the address of PyTorch's CPU wheels (README, "Set-up").
FROM python:3.11-slim AS build
ARG TORCH_INDEX=""
# Of pyproject.toml, apart by spaces: "cluster" for Dask's scheduler and workers, "postgresql", "lake".
ARG EXTRAS=""
WORKDIR /opt/sentiment
RUN python -m venv .venv
COPY requirements.lock pyproject.toml ./
# The other index is asked for torch alone. CUDA libraries would be several GB that this image cannot use.
RUN grep '^torch==' requirements.lock > torch.txt \
    && PIP_EXTRA_INDEX_URL="$TORCH_INDEX" .venv/bin/pip install --no-cache-dir -r torch.txt -c requirements.lock \
    && .venv/bin/python -c 'import sys, torch; sys.exit(torch.version.cuda and "The CUDA build of torch: give TORCH_INDEX.")'
# Of the lock file just what running needs; no compiler is there, and none is needed.
RUN EXTRAS="$EXTRAS" .venv/bin/python -c 'import os, tomllib; found = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
        extras = (found["optional-dependencies"][name] for name in os.environ["EXTRAS"].split()); \
        print(*found["dependencies"], *sum(extras, []), sep="\n")' > requirements.txt \
    && .venv/bin/pip install --no-cache-dir -r requirements.txt setuptools -c requirements.lock
COPY README.md LICENSE setup.py ./
COPY flows flows
COPY sentiment sentiment
COPY sql sql
COPY deployments deployments
RUN .venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && .venv/bin/python -m flows.server.app prepare \
    && .venv/bin/python -m sentiment.registry.store --prepare \
    && .venv/bin/python -m compileall -q flows sentiment \
    && rm torch.txt requirements.txt

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 sentiment \
    && install -d -o sentiment -g sentiment /home/sentiment/var
COPY --from=build /opt/sentiment /opt/sentiment
USER 10001
WORKDIR /opt/sentiment
# All state is in the volume; what else is written, caches of libraries, goes to /tmp. So the root file system may be read-only.
ENV PATH=/opt/sentiment/.venv/bin:$PATH \
    SENTIMENT_HOME=/home/sentiment/var \
    PREFECT_HOME=/home/sentiment/var/prefect \
    PREFECT_UI_STATIC_DIRECTORY=/tmp/prefect-ui \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba \
    MLFLOW_DISABLE_TELEMETRY=true \
    DO_NOT_TRACK=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
VOLUME /home/sentiment/var
EXPOSE 8000
# Of the API; compose.yaml has others for what else runs.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["sentiment"]
CMD ["serve", "--host", "0.0.0.0"]
