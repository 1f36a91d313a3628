"""The workflow through sbatch, on a cluster of one node that the test starts on this machine."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.recipes.warm import Warm
from tests.recipes.workflow import ROOT, Run

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "srun", "squeue", "scontrol", "sinfo", "scancel")
MISSING = [name for name in (*DAEMONS, *COMMANDS) if shutil.which(name) is None]
pytestmark = [
    pytest.mark.recipe,
    pytest.mark.integration,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
CONFIGURATION = """\
ClusterName=laft
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.log
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
# Without accounting squeue has to tell how a job ended, so ended jobs stay listed.
MinJobAge=300
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES
"""


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    """The folder of a cluster that runs; `bin` in it holds the commands that speak to it."""
    folder = tmp_path / "cluster"
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    host, user = socket.gethostname().split(".")[0], getpass.getuser()
    written = folder / "slurm.conf"
    written.write_text(
        CONFIGURATION.format(folder=folder, host=host, user=user, ports=free_ports(2))
    )
    for name in COMMANDS:  # Snakemake's jobs lose SLURM_CONF
        script = f'#!/bin/sh\nSLURM_CONF={written} exec {shutil.which(name)} "$@"\n'
        (folder / "bin" / name).write_text(script)
        (folder / "bin" / name).chmod(0o755)
    files = {name: folder / f"munge.{name}" for name in ("key", "socket", "log", "pid", "seed")}
    daemons = [
        ["munged", "--foreground", "--force", f"--key-file={files['key']}",
         f"--socket={files['socket']}", f"--log-file={files['log']}",
         f"--pid-file={files['pid']}", f"--seed-file={files['seed']}"],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-c"],
    ]  # fmt: skip
    begun = []
    try:
        for command in daemons:
            begun.append(subprocess.Popen(
                command, env={**os.environ, "SLURM_CONF": str(written)},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ))  # fmt: skip
            time.sleep(0.5)
        end = time.monotonic() + 60
        while "idle" not in told(folder, "sinfo", "--noheader"):
            logs = [path.read_text()[-1000:] for path in folder.glob("*.log")]
            assert time.monotonic() < end, logs
            time.sleep(0.2)
        yield folder
    finally:
        for process in reversed(begun):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def told(folder: Path, *command: str) -> str:
    """What a command of the cluster prints."""
    words = [str(folder / "bin" / command[0]), *command[1:]]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def test_the_workflow_through_sbatch(tmp_path: Path, cluster: Path, warm: Warm) -> None:
    """A training, its outputs and the table as jobs of the cluster, to a clean end."""
    run = Run(f"{cluster / 'bin'}{os.pathsep}{warm.path()}", tmp_path, stage2_updates=2)
    run("data-bin/zero-shot.done")  # the text on this machine
    run.command[run.command.index("--cores") :] = [
        "--profile", str(ROOT / "examples" / "workflow" / "slurm"), "--slurm-no-account",
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "4",
        "--default-resources", "mem_mb=1000", "runtime=30", "--latency-wait", "20",
    ]  # fmt: skip
    said = run()
    print(said, (cluster / "finished.log").read_text())
    assert "(100%) done" in said and "WorkflowError" not in said
    jobs = (cluster / "finished.log").read_text().splitlines()
    assert len(jobs) == 5 and all("JobState=COMPLETED" in job for job in jobs)
    assert list(run.results()) == [
        "results/experiment.json",
        "results/zero-shot/mbart_enc_top2.main.fr_XX.s1.source.json",
    ]
    assert "mBART (enc top-2)" in (run.out / "tables.md").read_text()
