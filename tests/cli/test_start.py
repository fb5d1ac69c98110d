"""How the command line starts: commands that do not compute import neither JAX nor Flax."""

import importlib
import inspect
import json
import subprocess
import sys

import pytest

import xaijax
from xaijax.cli.main import COMMANDS, main

LIGHT = {
    "help": (["--help"], "Explains image files and writes a folder of results"),
    "version": (["--version"], f"xaijax {xaijax.__version__}\n"),
    "status": (["status", "RUN"], "0 of 3 images explained, 0 failed, 3 left"),
    "models": (["models"], "scenes-resnet"),
    "launch": (["launch", "slurm"], "#SBATCH"),
}
CODE = """
import sys
from xaijax.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
assert not {"jax", "jaxlib", "flax"} & set(sys.modules), "JAX was imported"
sys.exit(code)
"""


@pytest.mark.parametrize("name", LIGHT)
def test_commands_that_do_not_compute_start_without_jax(name, tmp_path):
    arguments, told = LIGHT[name]
    record = {"format": "xaijax run 1", "settings": {"target": "top3"}, "images": 3, "unlisted": 0}
    (tmp_path / "run.json").write_text(json.dumps(record | {"list": "", "folder": None}))
    command = [str(tmp_path) if argument == "RUN" else argument for argument in arguments]
    done = subprocess.run([sys.executable, "-c", CODE, *command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_a_module_that_runs_its_options(name):
    run = importlib.import_module(f"xaijax.cli.{name}").run
    assert next(iter(inspect.signature(run).parameters.values())).annotation is COMMANDS[name]


def test_help_lists_every_command_and_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(f"• {name} " in told for name in COMMANDS)
    assert "xaijax --version" in told


def test_a_completion_for_the_shell_has_the_options_of_the_method(capsys):
    with pytest.raises(SystemExit):
        main(["--tyro-print-completion", "bash"])
    assert "--tournament-size" in capsys.readouterr().out


def test_an_option_of_another_method_is_refused_and_named(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["explain", "a.png", "--method", "lime", "--tournament-size", "3", "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert "--tournament-size" in capsys.readouterr().err
