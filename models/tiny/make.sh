#!/usr/bin/env bash
# make.sh: trains the demonstration model, exports it, evaluates it (make tiny-model). The result is models/tiny/tiny.gguf.
# An hour and a quarter on two idle cores with bfloat16, several hours without. STEPS=N: shorter or longer. A run that was
# stopped goes on where it was: its files are in build/tiny-model. Evaluation needs root (it starts llama-server from the
# image) and, end to end, the built programs.
source "$(dirname "$0")/../../scripts/lib.sh"

run=build/tiny-model
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1  # two processes, one thread each: faster than one process with two

scripts/setup-build.sh build model
mkdir -p $run
if [ ! -f $run/model.pt ]; then
  say "training"
  again=()
  [ -f $run/checkpoint.pt ] && again=(--resume)
  models/tiny/train.py $run --steps "${STEPS:-5000}" "${again[@]}"
fi
models/tiny/export.py $run models/tiny/tiny.gguf

say "evaluation"
build dev
make_images build/dev/bin
as_root models/tiny/evaluate.py models/tiny/tiny.gguf | tee $run/evaluation.txt
as_root models/tiny/end_to_end.py models/tiny/tiny.gguf | tee $run/end_to_end.txt
