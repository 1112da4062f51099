"""What all tests share. Tests of real input need two environment variables, named below."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

    from streamdyn.bench.cameras import RtspServer
    from tests.cameras.mqtt import MqttBroker
    from tests.cameras.proxy import FaultyProxy

# Triton reads it when it is imported: its kernels then run on the CPU. Set it to 0 to test them on
# a GPU.
os.environ.setdefault("TRITON_INTERPRET", "1")

# Time limits would make tests fail on a busy machine.
settings.register_profile("streamdyn", deadline=None)
settings.load_profile("streamdyn")


def _folder(variable: str) -> Path:
    folder = os.environ.get(variable)
    if not folder:
        _do_without(f"set {variable} to the folder of real files that this test reads")
    return Path(folder)


def _do_without(reason: str) -> NoReturn:
    """Skip a test that lacks something; fail it where everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def media() -> Path:
    """Real video clips, among them car-detection.mp4 and bottle-detection.mp4."""
    return _folder("STREAMDYN_MEDIA")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Real weights, among them fastestdet.onnx."""
    return _folder("STREAMDYN_MODELS")


@pytest.fixture
def _servers() -> Generator[ExitStack]:
    """What is entered here ends with the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def _rtsp() -> None:
    from streamdyn.bench.cameras.rtsp import require_rtsp_server
    from streamdyn.errors import SourceError

    try:
        require_rtsp_server()
    except SourceError as error:
        _do_without(str(error))


@pytest.fixture
def rtsp_server(_rtsp: None, _servers: ExitStack) -> Callable[..., RtspServer]:
    """Starts servers of cameras: takes what RtspServer takes."""
    from streamdyn.bench.cameras import RtspServer

    return lambda *cameras, **options: _servers.enter_context(RtspServer(*cameras, **options))


@pytest.fixture
def mqtt_broker(_servers: ExitStack) -> Callable[..., MqttBroker]:
    """Starts brokers: takes what MqttBroker takes."""
    from tests.cameras.mqtt import MqttBroker, mosquitto

    if mosquitto() is None:
        _do_without("this test needs the MQTT broker mosquitto: apt-get install mosquitto")
    return lambda **options: _servers.enter_context(MqttBroker(**options))


@pytest.fixture
def proxy(_servers: ExitStack) -> Callable[[int], FaultyProxy]:
    """Starts proxies before ports of this machine."""
    from tests.cameras.proxy import FaultyProxy

    return lambda port: _servers.enter_context(FaultyProxy(port))


@pytest.fixture(scope="session")
def ray_cluster() -> Generator[Cluster]:
    """A Ray cluster of one node, to which a test may add others."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {
        "num_cpus": 16,
        "object_store_memory": 128 << 20,
        "include_dashboard": False,
        "_system_config": {"health_check_period_ms": 1000},  # sooner than by default
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()
