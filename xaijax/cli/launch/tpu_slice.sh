#!/bin/bash
# UNTRIED: written from documentation and run without a TPU only.
#
# A multi-host TPU slice whose hosts share a run, each with its own chips. Change what says CHANGE, then: bash job.sh
# The same again goes on where it stopped. Every host needs xaijax installed (`pip install xaijax[tpu]`) and one folder
# that all of them see, such as a Filestore share.
set -euo pipefail

name=my-slice zone=us-central2-b  # CHANGE
hosts=4                           # CHANGE: 4 in a v4-32 or a v5litepod-16
folder=/mnt/share                 # CHANGE: what all hosts see

# A host that believes to be alone, with its 4 chips, waits for no other and survives the end of any: the run needs no
# jax.distributed. Without these variables the runtime brings the whole slice up: all hosts have to start together, and
# if one dies, all have to start again.
alone="TPU_PROCESS_BOUNDS=1,1,1 TPU_CHIPS_PER_PROCESS_BOUNDS=2,2,1"
alone+=" TPU_WORKER_ID=0 TPU_WORKER_HOSTNAMES=localhost CLOUD_TPU_TASK_ID=0"

# The true number of a host, from 0; asked on the host.
attributes=http://metadata.google.internal/computeMetadata/v1/instance/attributes
number="\$(curl -fsS -H Metadata-Flavor:Google $attributes/agent-worker-number)"

gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command="
  env $alone XDG_CACHE_HOME=$folder/cache xaijax explain $folder/photos \
    --model mobilenet_v2 --weights $folder/mobilenet_v2.safetensors --dtype bfloat16 --out $folder/run \
    --processes $hosts --process-index $number"
