"""A server of S3 for the tests, in this process, with the environment that s3fs reads."""

import contextlib
from importlib.util import find_spec

import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@contextlib.contextmanager
def server(patch):
    """Start a server with an empty bucket, and yield a file system that writes to it."""
    if not (find_spec("moto") and find_spec("s3fs") and find_spec("flask")):
        pytest.skip("moto[server] and s3fs are not both installed")
    from moto.server import ThreadedMotoServer  # noqa: PLC0415  (may be missing)
    from s3fs import S3FileSystem  # noqa: PLC0415

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        for name, value in (KEYS | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}).items():
            patch.setenv(name, value)
        S3FileSystem.clear_instance_cache()
        system = S3FileSystem()
        system.mkdir("shop")
        yield system
        S3FileSystem.clear_instance_cache()
    finally:
        running.stop()
