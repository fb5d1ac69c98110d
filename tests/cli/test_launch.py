"""The files that start a run on a cluster, as the cluster would run them, with a recorder in the place of xaijax."""

import importlib.resources
import shlex
import signal
import subprocess
import time

import pytest
import yaml  # comes with Flax

from xaijax.cli.main import main
from xaijax.cli.options import LAUNCH
from xaijax.runtime.partition import find_partition

RECORDER = """#!/bin/bash
printf '%s\\n' "$@" > "$RECORDED"
echo "$XDG_CACHE_HOME|$TPU_PROCESS_BOUNDS|$TPU_WORKER_ID" >> "$RECORDED"
exit 143
"""
GCLOUD = """#!/bin/bash
# Every host runs the command, the second of them here.
for argument; do case $argument in --command=*) bash -c "${argument#--command=}" ;; esac; done
"""
CURL = """#!/bin/bash
[[ ${@: -1} == */instance/attributes/agent-worker-number ]] && echo 1
"""
XPK = """#!/bin/bash
[[ "$1 $2" == "workload create" ]] || exit 2
for argument; do case $argument in --command=*) bash -c "${argument#--command=}" ;; esac; done
"""
SQUEUE = """#!/bin/bash
echo "$STATE"
"""
SCONTROL = """#!/bin/bash
echo "$@" > "$(dirname "$RECORDED")/requeued"
"""
STAND_INS = {
    "xaijax": RECORDER,
    "gcloud": GCLOUD,
    "curl": CURL,
    "xpk": XPK,
    "squeue": SQUEUE,
    "scontrol": SCONTROL,
}
ARRAY = {"ID": "12", "COUNT": "3", "MIN": "10", "MAX": "12", "STEP": "1"}


@pytest.fixture
def start(tmp_path):
    """Runs a command with stand-ins on the PATH; returns its exit code, what xaijax was given, and three variables."""

    def start(command, **environment):
        for name, content in STAND_INS.items():
            (tmp_path / name).write_text(content)
            (tmp_path / name).chmod(0o755)
        recorded = tmp_path / "recorded"
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "RECORDED": str(recorded), **environment}
        code = subprocess.run(command, env=environment).returncode
        *arguments, variables = recorded.read_text().splitlines()
        return code, arguments, variables.split("|")

    return start


@pytest.fixture
def launch(capsys, tmp_path):
    """Returns the path of a file that `xaijax launch` has printed."""

    def launch(where):
        assert main(["launch", where]) == 0
        file = tmp_path / LAUNCH[where]
        file.write_text(capsys.readouterr().out)
        return file

    return launch


def option(arguments, name):
    """Returns the value of an option, in either spelling."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    return words[words.index(name) + 1] if name in words else None


def share(arguments, environment):
    """Returns number and count of the process that these arguments start."""
    processes, index = option(arguments, "--processes"), option(arguments, "--process-index")
    count = processes if processes == "auto" else int(processes)
    found = find_partition(None if index is None else int(index), count, environment=environment)
    return found.index, found.count


def assert_explains(arguments):
    assert arguments[0] == "explain"
    assert not arguments[1].startswith("-")
    for name in ("--model", "--weights", "--out"):
        assert option(arguments, name)


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETING"])  # the latter where it was cancelled
def test_a_task_of_a_slurm_array_is_a_process_and_is_queued_again_where_it_was_stopped(launch, start, tmp_path, state):
    environment = {f"SLURM_ARRAY_TASK_{name}": value for name, value in ARRAY.items()} | {"SLURM_JOB_ID": "71"}
    code, arguments, _ = start(["bash", launch("slurm")], STATE=state, **environment)
    assert code == 143
    assert_explains(arguments)
    assert share(arguments, environment) == (2, 3)
    requeued = tmp_path / "requeued"
    assert requeued.exists() == (state == "RUNNING")
    assert state != "RUNNING" or requeued.read_text() == "requeue 71\n"


@pytest.mark.parametrize("ends_with", [143, 0])
def test_a_slurm_array_passes_the_signal_on_and_waits(launch, tmp_path, ends_with):
    stand_ins = {
        "xaijax": f"#!/bin/bash\ntrap 'sleep 1; exit {ends_with}' TERM\ntouch \"$STARTED\"\n"
        "while :; do sleep 0.1; done\n",
        "squeue": "#!/bin/bash\necho RUNNING\n",
        "scontrol": '#!/bin/bash\necho "$@" > "$REQUEUED"\n',
    }
    for name, content in stand_ins.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    started, requeued = tmp_path / "started", tmp_path / "requeued"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "STARTED": str(started), "REQUEUED": str(requeued)}
    shell = subprocess.Popen(["bash", launch("slurm")], env=environment | {"SLURM_JOB_ID": "71"})
    while not started.exists():
        time.sleep(0.05)
    shell.send_signal(signal.SIGTERM)
    assert shell.wait(30) == ends_with
    assert requeued.exists() == (ends_with == 143)


def test_a_slurm_array_is_stopped_in_time_and_starts_again(launch):
    lines = launch("slurm").read_text().splitlines()
    options = [shlex.split(line, comments=False)[1] for line in lines if line.startswith("#SBATCH")]
    assert {"--array=0-7", "--signal=B:TERM@300", "--requeue", "--open-mode=append"} <= set(options)


def test_a_pod_of_an_indexed_job_is_a_process(launch, start):
    job = yaml.safe_load(launch("kubernetes").read_text())["spec"]
    (container,) = job["template"]["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]} | {"JOB_COMPLETION_INDEX": "7"}
    code, arguments, (cache, *_) = start(container["command"], **environment)
    assert code == 143
    assert_explains(arguments)
    assert share(arguments, environment) == (7, job["completions"])
    (mount,) = container["volumeMounts"]
    assert all(path.startswith(f"{mount['mountPath']}/") for path in (cache, arguments[1], option(arguments, "--out")))
    assert mount["name"] == job["template"]["spec"]["volumes"][0]["name"]


@pytest.mark.parametrize(
    ("code", "actions"),
    [(1, ["FailIndex"]), (2, ["FailIndex"]), (130, ["Ignore"]), (143, ["Ignore"]), (137, []), (139, [])],
)
def test_a_pod_that_was_stopped_starts_again_and_one_that_cannot_do_more_does_not(launch, code, actions):
    job = yaml.safe_load(launch("kubernetes").read_text())["spec"]
    assert job["completionMode"] == "Indexed"
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert job["backoffLimitPerIndex"] > 0
    rules = [rule for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert [rule["action"] for rule in rules if code in rule["onExitCodes"]["values"]] == actions


def test_a_host_of_a_tpu_slice_is_a_process_with_its_own_chips(launch, start):
    code, arguments, variables = start(["bash", launch("tpu")])
    assert code == 143
    assert_explains(arguments)
    assert share(arguments, {}) == (1, 4)
    assert variables == ["/mnt/share/cache", "1,1,1", "0"]


def test_a_host_of_xpk_is_a_process_with_its_own_chips(launch, start):
    environment = {"JOB_COMPLETION_INDEX": "3"}
    code, arguments, variables = start(["bash", launch("xpk")], **environment)
    assert code == 143
    assert_explains(arguments)
    assert share(arguments, environment) == (3, 4)
    assert variables == ["/mnt/share/cache", "1,1,1", "0"]


@pytest.mark.parametrize("where", ["tpu", "xpk"])
def test_what_never_ran_says_so(launch, where):
    assert launch(where).read_text().splitlines()[1].startswith("# UNTRIED")


def test_an_unknown_cluster_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["launch", "pbs"])
    assert stopped.value.code == 2
    assert "kubernetes" in capsys.readouterr().err


def test_every_file_has_a_name():
    folder = importlib.resources.files("xaijax.cli") / "launch"
    assert sorted(file.name for file in folder.iterdir() if "__" not in file.name) == sorted(LAUNCH.values())
