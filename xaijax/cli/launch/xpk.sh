#!/bin/bash
# UNTRIED: written from documentation and run without a cluster only.
#
# A multi-host TPU slice on GKE by xpk, whose hosts share a run, each with its own chips. Change what says CHANGE, then:
# bash job.sh
# The same again (under another name of the workload) goes on where it stopped.
set -euo pipefail

hosts=4            # CHANGE: of the slice; 4 in a v5litepod-16
folder=/mnt/share  # CHANGE: what all hosts see, such as a Filestore share (`xpk storage attach`)

# A host that believes to be alone, with its 4 chips, waits for no other: see `xaijax launch tpu`.
alone="TPU_PROCESS_BOUNDS=1,1,1 TPU_CHIPS_PER_PROCESS_BOUNDS=2,2,1"
alone+=" TPU_WORKER_ID=0 TPU_WORKER_HOSTNAMES=localhost CLOUD_TPU_TASK_ID=0"

# xaijax reads the number of its host from JOB_COMPLETION_INDEX, which is the same in each slice: have one slice.
# xpk starts all hosts again when one ends with 127 or more (killed: 137, told to stop: 143), and not when one ends with
# 1 (some images failed) or 2 (it cannot run).
xpk workload create --cluster=my-cluster --workload=xaijax --tpu-type=v5litepod-16 --num-slices=1 \
  --docker-image=example/xaijax --max-restarts=50 --termination-grace-period-seconds=300 --command="\
env $alone XDG_CACHE_HOME=$folder/cache xaijax explain $folder/photos \
--model mobilenet_v2 --weights $folder/mobilenet_v2.safetensors --dtype bfloat16 --out $folder/run \
--processes $hosts"
