"""A server that speaks S3, in memory: moto's, or skipped where it is not installed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from pyarrow.fs import FileSystem

from tests.dask_cluster import free_port


def start_s3(port: int, **environment: str) -> subprocess.Popen[bytes]:
    """Start the server, and wait until it answers."""
    pytest.importorskip("moto", reason="moto, which speaks S3, is not installed")
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.1)
    process.kill()
    raise RuntimeError("moto did not start")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Address of a folder in a bucket, and the server."""
    port = free_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    server = start_s3(port)
    options = f"?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
    try:
        FileSystem.from_uri(f"s3://shards/{options}&allow_bucket_creation=true")[0].create_dir("shards")
        yield f"s3://shards/prefix{options}", server
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def s3_with_rights(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Makes a bucket, puts into the environment a key that may do these actions alone, and gives the bucket's address."""
    boto3 = pytest.importorskip("boto3")
    port = free_port()
    # Bucket, user, policy and key are made before rights are looked at.
    server = start_s3(port, INITIAL_NO_AUTH_ACTION_COUNT="4")

    def allow(*actions: str) -> str:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        options = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"}
        boto3.client("s3", **options).create_bucket(Bucket="shards")
        users = boto3.client("iam", **options)
        users.create_user(UserName="reader")
        allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        users.put_user_policy(UserName="reader", PolicyName="reads", PolicyDocument=policy)
        key = users.create_access_key(UserName="reader")["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        return f"s3://shards/prefix?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"

    try:
        yield allow
    finally:
        server.kill()
        server.wait()
