#!/bin/bash
# A SLURM array whose tasks share a run. Change what says CHANGE, then: sbatch job.sh
#
# The same again goes on where it stopped, after scancel too, with as many tasks as you like (ids in a row). The task
# that ends last writes results.jsonl.
# A task ends with 0: all explained; 1: some images failed, results.jsonl says why; 2: it cannot run, its log says why;
# 75: the same again goes on once what the log names is mended; 143: stopped in time, and queued again unless it was
# cancelled. `xaijax status run` tells what is left.

#SBATCH --job-name=xaijax
#SBATCH --array=0-7                # CHANGE: the processes; 0-63%16 lets 16 of 64 run at a time
#SBATCH --gres=gpu:1               # CHANGE: the GPUs of a task, which uses all of them; delete it where there are none
#SBATCH --cpus-per-task=8          # they read images, and search where there is no GPU
#SBATCH --time=04:00:00            # CHANGE
#SBATCH --signal=B:TERM@300        # five minutes before that time is up: finish the batches in flight, write, end
#SBATCH --requeue                  # a task that loses its node starts again, and goes on
#SBATCH --open-mode=append
#SBATCH --output=xaijax-%A_%a.log

# CHANGE: whatever puts xaijax on the PATH of a node.
# source ~/venv/bin/activate

# Tasks share what they compile in ~/.cache/xaijax. Name another folder that all nodes see where that is none:
# export XDG_CACHE_HOME=/scratch/me/cache

# CHANGE: images, weights and folder of the run.
xaijax explain photos/ --model mobilenet_v2 --weights mobilenet_v2.safetensors --out run --processes auto &

# This shell gets the signal, before the time limit and from a job that preempts this one, and passes it on.
explaining=$!
trap 'kill -TERM "$explaining"' TERM
wait "$explaining"
code=$?
while kill -0 "$explaining" 2>/dev/null; do # the signal ended the wait, and not xaijax
    wait "$explaining"
    code=$?
done
if [ "$code" -eq 143 ] && [ "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" = RUNNING ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
