"""Several machines: one that is lost, and one that joins later."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from streamdyn.specs import EngineSettings, Resources
from tests.cluster_kit import small_model, street
from tests.fleet_kit import Fleet

pytestmark = pytest.mark.timeout(240)
FRAMES = 200


@pytest.fixture
def nodes(ray_cluster) -> Generator[list]:
    """Machines for engines that a test adds; those that are left are removed."""
    added: list = []
    yield added
    for node in added:
        ray_cluster.remove_node(node)


def test_a_lost_machine_changes_nothing_and_a_new_one_takes_streams(
    ray_cluster, nodes, tmp_path, monkeypatch
):
    monkeypatch.setattr("streamdyn.cluster.dispatcher.BALANCE_SECONDS", 0.5)
    settings = EngineSettings(workers=1, threads=1, worker=Resources(others={"engine": 1.0}))
    fleet = Fleet(tmp_path / "out", ray_cluster.address, small_model(tmp_path), settings)
    nodes.append(ray_cluster.add_node(num_cpus=4, resources={"engine": 1}))
    with fleet.supervisor:
        fleet.add("quiet", street(FRAMES))
        fleet.finish("quiet")
        (worker,) = fleet.actors("worker")
        assert worker.node == nodes[0].node_id

        names = ("first", "second")
        for name in names:
            fleet.add(name, street(FRAMES))
        fleet.wait_computed("first", 20)
        ray_cluster.remove_node(nodes.pop(), allow_graceful=False)
        fleet.wait(lambda: not fleet.actors("worker"))
        nodes.append(ray_cluster.add_node(num_cpus=4, resources={"engine": 2}))
        fleet.supervisor.add_worker()
        fleet.wait(lambda: len(fleet.actors("worker")) == 2)
        fleet.wait(lambda: len({fleet.stream(name).worker for name in names}) == 2)
        fleet.finish(*names)
        for name in names:
            assert fleet.stream(name).state == "ended", fleet.stream(name)
            assert fleet.records(name) == fleet.records("quiet")
            assert fleet.stream(name).account == fleet.stream("quiet").account
