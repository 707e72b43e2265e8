#include "cli/parser_parts.h"

#include <algorithm>

namespace lmsb::cli {

Error usage_error(const std::string& command, std::string message) {
  return Error(ErrorCode::invalid_argument, command + ": " + std::move(message))
      .with_hint("see lm-sandbox " + command + " --help");
}

void HostFlags::apply(Target& target) const {
  target.host = host.value_or("");
  target.ca = ca;
}

void add_target(FlagSet& flags, HostFlags& host) {
  flags.value("--host", "URL", host.host,
              "Daemon to ask: https://HOST:PORT, http://ADDR:PORT or unix:/PATH (also LM_SANDBOX_HOST)");
  flags.value("--ca", "FILE", host.ca,
              "Trust the authorities in FILE instead of the system's, for https (also LM_SANDBOX_CA)");
}

void add_private_target(FlagSet& flags, HostFlags& host, std::optional<std::string>& data_dir) {
  add_target(flags, host);
  flags.value("--data-dir", "DIR", data_dir, "Data directory of a private daemon, where none runs");
}

Target target_of(const HostFlags& host, bool json, const std::optional<std::string>& data_dir) {
  Target target;
  host.apply(target);
  target.data_dir = data_dir.value_or("");
  target.json = json;
  return target;
}

void add_quiet(FlagSet& flags, bool& quiet, const std::string& help) {
  flags.flag("-q,--quiet", quiet, help);
  flags.one_of({"--quiet", "--json"});
}

void add_place(FlagSet& flags, std::optional<std::string>& cwd, std::optional<std::string>& user) {
  flags.value("-w,--workdir", "PATH", cwd, "Working directory inside");
  flags.value("-u,--user", "USER", user, "User inside");
}

bool any_empty(const Words& words) {
  return std::any_of(words.begin(), words.end(), [](const std::string& word) { return word.empty(); });
}

Result<std::optional<Words>> parse_sandboxes(FlagSet& flags, const std::string& command, const SandboxWords& wanted,
                                             Target& target, const Words& words) {
  HostFlags host;
  add_target(flags, host);
  flags.flag("--json", target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return std::optional<Words>();
  if (parsed.words.size() < wanted.least || parsed.words.size() > wanted.most || any_empty(parsed.words))
    return usage_error(command, wanted.need);
  host.apply(target);
  return std::optional<Words>(std::move(parsed.words));
}

void add_life_flags(FlagSet& flags, LifeTexts& texts) {
  flags.value("--timeout", "DURATION", texts.timeout, "Its life, from now on: 30m, 7d, or none");
  flags.value("--idle", "DURATION", texts.idle, "How long it may stand unused");
  flags.value("--on-timeout", "delete|stop|pause", texts.on_timeout, "At the end of its life (default delete)");
  flags.value("--on-idle", "stop|pause|delete", texts.on_idle,
              "When unused for so long (default stop, or pause without a disk that stays)");
}

Result<LifeFlags> life_flags(const LifeTexts& texts) {
  LifeFlags life;
  LMSB_CHECK(convert("--timeout", texts.timeout, parse_life, life.timeout));
  LMSB_CHECK(convert("--idle", texts.idle, parse_life, life.idle));
  life.on_timeout = texts.on_timeout.value_or("");
  life.on_idle = texts.on_idle.value_or("");
  return life;
}

void add_limit_flags(FlagSet& flags, LimitTexts& texts) {
  flags.value("-m,--memory", "SIZE", texts.memory, "Memory limit, for example 512m");
  flags.value("--cpus", "NUMBER", texts.cpus, "CPU limit, for example 1.5");
  flags.value("--pids,--pids-limit", "NUMBER", texts.processes, "Limit of processes and threads");
}

Result<LimitFlags> limit_flags(const LimitTexts& texts) {
  LimitFlags limits;
  LMSB_CHECK(convert("--memory", texts.memory, parse_size, limits.memory));
  LMSB_CHECK(convert("--cpus", texts.cpus, parse_cpus, limits.cpu_millis));
  LMSB_CHECK(convert("--pids", texts.processes, parse_count, limits.processes));
  return limits;
}

void add_process_flags(FlagSet& flags, ProcessTexts& texts) {
  add_place(flags, texts.cwd, texts.user);
  flags.flag("-i,--interactive", texts.interactive, "Pass on stdin");
  flags.flag("--merge-stderr", texts.merge_stderr, "Print what it writes to stderr on stdout, in the order of writing");
  flags.value("--timeout", "DURATION", texts.timeout, "Wall time limit, for example 30s or 5m; then exit status 124");
}

Result<ProcessFlags> process_flags(const ProcessTexts& texts, Words command) {
  ProcessFlags process;
  process.command = std::move(command);
  process.cwd = texts.cwd.value_or("");
  process.user = texts.user.value_or("");
  process.interactive = texts.interactive;
  process.merge_stderr = texts.merge_stderr;
  LMSB_CHECK(convert("--timeout", texts.timeout, parse_duration, process.timeout));
  return process;
}

}  // namespace lmsb::cli
