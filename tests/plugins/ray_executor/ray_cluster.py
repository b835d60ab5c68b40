"""Run by a test in a process of its own: a cluster of several nodes on this machine, one of which is lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", RAY_DEDUP_LOGS_SKIP_REGEX=".*")

import psutil
from ray.cluster_utils import Cluster
from ray_jobs import appears, ends, is_gone, job

from bench3d.contracts.executor import ExecutorContext
from bench3d_plugins.ray_executor.executor import RayExecutor
from bench3d_plugins.ray_executor.reaper import remove_session
from bench3d_plugins.ray_executor.settings import RaySettings

FAST = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 2}
STORE = 80 * 2**20


def main(folder: Path) -> None:
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE, "_system_config": FAST}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
    cluster.wait_for_nodes()
    try:
        lose_a_node(folder, cluster, nodes)
        leave_it(folder, cluster)
    finally:
        session = Path(cluster.head_node.get_session_dir_path())
        cluster.shutdown()
        remove_session(session)


def lose_a_node(folder: Path, cluster: Cluster, nodes: list) -> None:
    """The node of a running job is killed: the job is done on the other one."""
    executor = RayExecutor(RaySettings(address=cluster.address))
    executor.open(ExecutorContext(folder=folder, device="cpu"))
    code = "again = folder.joinpath('pids').exists();"
    code += "open(folder / 'pids', 'a').write(f'{os.getppid()} {os.getpid()}\\n');\nif not again: time.sleep(120)"
    executor.submit([job(folder, "hit", code)])
    worker = psutil.Process(int(appears(folder / "pids", executor).split()[0]))
    raylets = {parent.pid for parent in worker.parents()}
    home = next(n for n in nodes if {i.process.pid for i in n.all_processes["raylet"]} & raylets)
    cluster.remove_node(home, allow_graceful=False)
    print("moved", ends(executor, {"hit"})["hit"].code)
    executor.close()


def leave_it(folder: Path, cluster: Cluster) -> None:
    """Two places, one worker allowed; then the executor leaves in the middle: its job ends, the cluster stays."""
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    cluster.wait_for_nodes()
    executor = RayExecutor(RaySettings(address=cluster.address))
    executor.open(ExecutorContext(folder=folder, device="cpu", workers=1))
    executor.submit([job(folder, f"j{i}", "time.sleep(0.7)") for i in range(3)])
    most, left = 0, {"j0", "j1", "j2"}
    while left:
        left -= {ended.id for ended in executor.poll(0.1)}
        most = max(most, len(executor.active()))
    print("most", most)
    executor.submit([job(folder, "long", "folder.joinpath('long').write_text(str(os.getpid())); time.sleep(120)")])
    child = int(appears(folder / "long", executor))
    executor.close()
    print("alive", all(n.any_processes_alive() for n in cluster.list_all_nodes()))
    print("orphans", int(not is_gone(child, seconds=10)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
