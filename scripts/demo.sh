#!/usr/bin/env bash
# make demo: from nothing to the whole idea at work. Installs, builds, makes the images, starts a daemon on a free port
# with a temporary data directory, shows each step with command, result and time, stops the daemon and counts what is
# left. Exits 0 only if every step passed. MODEL=file.gguf answers instead of the demonstration model.
source "$(dirname "$0")/lib.sh"

# The first half runs as whoever called; the sandboxes' half needs root.
if [ "${1:-}" != --built ]; then
  scripts/setup-build.sh build image demo
  build release
  make_images build/bin
  as_root "$PWD/scripts/demo.sh" --built
  exit
fi

lm_sandbox=$PWD/build/bin/lm-sandbox
work=$(mktemp -d /var/tmp/lm-sandbox-demo.XXXXXX)
daemon='' upstream='' failures=0

stop() {  # stop PID: asks it to end and waits, 15 s at most
  [ -n "$1" ] || return 0
  kill "$1" 2>/dev/null || true
  timeout 15 tail --pid="$1" -f /dev/null || kill -KILL "$1"
  wait "$1" 2>/dev/null || true
}

clean_up() {
  stop "$daemon"
  stop "$upstream"
  rm -rf --one-file-system "$work"
}
trap clean_up EXIT

# Everything on this machine that could be a sandbox or a part of one.
traces() {
  {
    find /sys/fs/cgroup -type d -name 'lmsb*' -printf 'cgroup %p\n' 2>/dev/null || true
    awk '/lmsb|lm-sandbox/ { print "mount " $5 }' /proc/self/mountinfo
    ps -eo pid=,uid=,comm= | awk '$2 >= 1073741824 { print "process " $1 " " $3 }'
    find "$work/run" -mindepth 1 -printf 'file %p\n' 2>/dev/null || true
  } | sort
}

give_up() {
  printf 'error: %s\n' "$1" >&2
  tail -n 20 "$2" >&2 || true
  exit 1
}

field() { python3 -c 'import json, sys; print(eval("answer" + sys.argv[1], {"answer": json.load(sys.stdin)}))' "$1"; }

step() {  # step NUMBER NAME COMMAND RESULT VERDICT [MILLISECONDS]
  local result=${4//$'\n'/\\n}
  [ "$5" = ok ] || failures=$((failures + 1))
  printf '[%s/6] %-10s %-52.52s %-48.48s %-6s %s\n' "$1" "$2" "$3" "$result" "$5" "${6:+$6 ms}"
}

milliseconds() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", (to - from) * 1000 }'; }

# post PATH BODY: the answer goes to $answer, the time in milliseconds to $took.
post() {
  local from=$EPOCHREALTIME
  answer=$(curl --silent --show-error --max-time 120 -X POST "http://$address$1" -H 'Content-Type: application/json' -d "$2" 2>&1) || true
  took=$(milliseconds "$from")
}

# A second llama-server, apart from ours, over TCP: what an Ollama or another server would be.
start_upstream() {
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  upstream_url=http://127.0.0.1:$port
  # shellcheck disable=SC2016  # expanded by the inner shell
  unshare --mount sh -ec '
    mount --bind "$1" "$2/models"
    exec chroot --groups= --userspec=65534:65534 "$2" /usr/bin/llama-server --model /models/model.gguf \
      --host 127.0.0.1 --port "$3" --ctx-size 2048 --threads 1' \
    sh "$work/model" "$LMSB_TEST_DATA/images/llama/rootfs" "$port" >"$work/upstream.log" 2>&1 </dev/null &
  upstream=$!
  for _ in {1..100}; do
    curl --silent --fail --output /dev/null "$upstream_url/health" && return
    sleep 0.1
  done
  give_up "the upstream llama-server did not start" "$work/upstream.log"
}

start_daemon() {
  local ready
  mkfifo "$work/ready"
  LM_SANDBOX_UPSTREAM__BASE_URL=$upstream_url LM_SANDBOX_UPSTREAM__MODEL=demo \
    "$lm_sandbox" serve --listen 127.0.0.1:0 --ssh-listen off --data-dir "$work/data" --run-dir "$work/run" \
    --ready-fd 3 3>"$work/ready" >"$work/serve.log" 2>&1 </dev/null &
  daemon=$!
  read -r -t 60 ready <"$work/ready" || give_up "the daemon did not start" "$work/serve.log"
  address=$(field '["http"][0]' <<<"$ready")
  LM_SANDBOX_HOST=unix:$(field '["socket"]' <<<"$ready")
  export LM_SANDBOX_HOST
}

step_sandbox() {
  local from=$EPOCHREALTIME output verdict=FAILED
  output=$("$lm_sandbox" run -- whoami 2>&1) && [ "$output" = user ] && verdict=ok
  step 1 sandbox 'lm-sandbox run -- whoami' "$output" $verdict "$(milliseconds "$from")"
}

step_original() {
  local verdict=FAILED
  post /run-bash/ '{"cmd":"whoami"}'
  [ "$(field '["output"]' <<<"$answer" 2>&1)" = user ] && verdict=ok
  step 2 original 'POST /run-bash/   {"cmd":"whoami"}' "$answer" $verdict "$took"
}

step_model() {
  local verdict=FAILED
  post /llama-cpp/ '{"cmd":"What is AI?"}'
  [[ $(field '["output"]' <<<"$answer" 2>/dev/null) == *"$knows"?* ]] && verdict=ok
  step 3 model 'POST /llama-cpp/  {"cmd":"What is AI?"}' "$answer" $verdict "$took"
}

step_upstream() {
  local verdict=FAILED text
  post /ollama/ '{"cmd":"Introduce yourself."}'
  text=$(field '["choices"][0]["message"]["content"]' <<<"$answer" 2>/dev/null) && [ -n "$text" ] && verdict=ok
  step 4 upstream 'POST /ollama/     {"cmd":"Introduce yourself."}' "${text:-$answer}" $verdict "$took"
}

# Attacks from inside, then the daemon ends, then this machine is searched for what is left.
step_contained() {
  local output status=0 from=$EPOCHREALTIME left found=() bad=()
  output=$("$lm_sandbox" run -- bash -c 'exec 3<>/dev/tcp/192.0.2.1/80' 2>&1) || true
  [[ $output == *unreachable* ]] && found+=("network unreachable") || bad+=("network: $output")
  output=$("$lm_sandbox" run -- bash -c '! touch /written /usr/bin/written /etc/written 2>&1' 2>&1) &&
    found+=("/ not writable") || bad+=("/ is writable: $output")
  "$lm_sandbox" run --timeout 3s -- bash -c 'bomb() { bomb | bomb & }; bomb; sleep 2' >/dev/null 2>&1 || status=$?
  [ $status != 125 ] && curl --silent --fail --max-time 5 --output /dev/null "http://$address/healthz" &&
    found+=("fork bomb stopped") || bad+=("fork bomb: exit status $status")
  stop "$daemon" && daemon=''
  for _ in {1..50}; do
    left=$(comm -13 "$work/before" <(traces))
    [ -z "$left" ] && break
    sleep 0.1
  done
  found+=("$(grep -c . <<<"$left" || true) leftovers on the host")
  [ -z "$left" ] || bad+=("left over: $left")
  if [ ${#bad[@]} = 0 ]; then
    printf '[6/6] %-10s %-101s %-6s %s ms\n' contained "$(printf '%s, ' "${found[@]}" | sed 's/, $//')" ok "$(milliseconds "$from")"
  else
    failures=$((failures + 1))
    printf '[6/6] %-10s %s %s\n' contained "$(printf '%s; ' "${bad[@]}")" "FAILED"
  fi
}

gpu() {
  local found
  found=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | paste -sd ,) || true
  [ -n "$found" ] || found=$(compgen -G '/dev/dri/renderD*' | paste -sd ' ') || true
  echo "${found:-none found}"
}

weaker() {
  { "$lm_sandbox" doctor --json 2>/dev/null || true; } | python3 -c '
import json, sys
try:
    checks = json.load(sys.stdin)["checks"]
except ValueError:
    sys.exit(print("doctor did not answer"))
print("; ".join(c["detail"] for c in checks if c["outcome"] == "weaker") or "nothing")'
}

chmod 755 "$work"
mkdir -m 755 "$work/data" "$work/model"
cp -al "$LMSB_TEST_DATA/images" "$work/data/" 2>/dev/null || cp -a "$LMSB_TEST_DATA/images" "$work/data/"
cp "${MODEL:-models/tiny/tiny.gguf}" "$work/model/model.gguf"
chmod 644 "$work/model/model.gguf"
traces >"$work/before"

start_upstream
start_daemon
if [ -n "${MODEL:-}" ]; then
  model=$MODEL knows=''
  "$lm_sandbox" model pull "$work/model/model.gguf" >"$work/pull.log" 2>&1 || give_up "the model was not taken" "$work/pull.log"
else
  model='the demonstration model, tiny and made for this; MODEL=file.gguf make demo asks another'
  knows='artificial intelligence' # what the answer of step 3 must have in it
fi

printf '\n'
step_sandbox
step_original
step_model
step_upstream
printf '[5/6] %-10s comes with the agent loop: not here yet\n' agent
weaker_here=$(weaker)
step_contained
printf 'Model: %s.  Upstream: a second llama-server with it at %s.\n' "$model" "$upstream_url"
printf 'GPU: %s.  Weaker on this machine: %s.\nNext: build/bin/lm-sandbox doctor | docs/user/start.md | make uninstall\n' "$(gpu)" "$weaker_here"
[ $failures = 0 ] || give_up "$failures of the steps failed; the daemon's last words:" "$work/serve.log"
