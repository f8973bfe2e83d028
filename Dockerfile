# Runs any command, or a worker: docker run -v sentiment:/home/sentiment/var IMAGE status
# Built from the lock file with the CPU build of torch: give TORCH_INDEX the address of PyTorch's CPU wheels
# (README, "Set-up"), or the image holds several GB of CUDA libraries that it cannot use.
FROM python:3.11-slim AS build
ARG TORCH_INDEX=""
WORKDIR /opt/sentiment
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv .venv \
    && PIP_EXTRA_INDEX_URL="$TORCH_INDEX" .venv/bin/pip install --no-cache-dir -r requirements.lock
COPY flows flows
COPY sentiment sentiment
COPY sql sql
RUN .venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && .venv/bin/python -m flows.server prepare

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 sentiment
COPY --from=build /opt/sentiment /opt/sentiment
COPY deployments /opt/sentiment/deployments
USER sentiment
WORKDIR /home/sentiment
RUN mkdir var
ENV PATH=/opt/sentiment/.venv/bin:$PATH SENTIMENT_HOME=/home/sentiment/var PYTHONUNBUFFERED=1
VOLUME /home/sentiment/var
ENTRYPOINT ["sentiment"]
CMD ["status"]
