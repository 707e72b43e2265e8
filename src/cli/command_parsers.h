#pragma once
// One parser a command: the words behind the command's name become its value (command_line.h). Pure.
#include "cli/command_line.h"

namespace lmsb::cli {

Result<AnyCommand> parse_run(const Words& words);
Result<AnyCommand> parse_create(const Words& words);
// process_parsers.cc
Result<AnyCommand> parse_exec(const Words& words);
Result<AnyCommand> parse_shell(const Words& words);
Result<AnyCommand> parse_top(const Words& words);
Result<AnyCommand> parse_logs(const Words& words);
Result<AnyCommand> parse_attach(const Words& words);
Result<AnyCommand> parse_wait(const Words& words);
Result<AnyCommand> parse_kill(const Words& words);
// session_parsers.cc
Result<AnyCommand> parse_session_list(const Words& words);
Result<AnyCommand> parse_session_remove(const Words& words);

// lifecycle_parsers.cc
Result<AnyCommand> parse_pause(const Words& words);
Result<AnyCommand> parse_resume(const Words& words);
Result<AnyCommand> parse_snapshot(const Words& words);
Result<AnyCommand> parse_snapshot_list(const Words& words);
Result<AnyCommand> parse_snapshot_inspect(const Words& words);
Result<AnyCommand> parse_snapshot_remove(const Words& words);
Result<AnyCommand> parse_snapshot_export(const Words& words);
Result<AnyCommand> parse_snapshot_import(const Words& words);
Result<AnyCommand> parse_fork(const Words& words);
Result<AnyCommand> parse_rollback(const Words& words);
Result<AnyCommand> parse_volume_create(const Words& words);
Result<AnyCommand> parse_volume_list(const Words& words);
Result<AnyCommand> parse_volume_inspect(const Words& words);
Result<AnyCommand> parse_volume_update(const Words& words);
Result<AnyCommand> parse_volume_remove(const Words& words);
Result<AnyCommand> parse_key_create(const Words& words);
Result<AnyCommand> parse_key_list(const Words& words);
Result<AnyCommand> parse_key_remove(const Words& words);
Result<AnyCommand> parse_stop(const Words& words);
Result<AnyCommand> parse_start(const Words& words);
Result<AnyCommand> parse_restart(const Words& words);
Result<AnyCommand> parse_update(const Words& words);
Result<AnyCommand> parse_stats(const Words& words);
Result<AnyCommand> parse_events(const Words& words);

Result<AnyCommand> parse_watch(const Words& words);
Result<AnyCommand> parse_port(const Words& words);  // port_parsers.cc
Result<AnyCommand> parse_copy(const Words& words);
Result<AnyCommand> parse_list(const Words& words);
Result<AnyCommand> parse_inspect(const Words& words);
Result<AnyCommand> parse_remove(const Words& words);
Result<AnyCommand> parse_image_list(const Words& words);
Result<AnyCommand> parse_model_list(const Words& words);
Result<AnyCommand> parse_doctor(const Words& words);
Result<AnyCommand> parse_verify(const Words& words);
Result<AnyCommand> parse_model_pull(const Words& words);
Result<AnyCommand> parse_model_show(const Words& words);
Result<AnyCommand> parse_env(const Words& words);
Result<AnyCommand> parse_model_processes(const Words& words);
Result<AnyCommand> parse_model_load(const Words& words);
Result<AnyCommand> parse_model_unload(const Words& words);
Result<AnyCommand> parse_model_remove(const Words& words);
Result<AnyCommand> parse_chat(const Words& words);
Result<AnyCommand> parse_image_build(const Words& words);
Result<AnyCommand> parse_image_remove(const Words& words);
Result<AnyCommand> parse_bench(const Words& words);
Result<AnyCommand> parse_config_show(const Words& words);
Result<AnyCommand> parse_config_check(const Words& words);
Result<AnyCommand> parse_config_example(const Words& words);
Result<AnyCommand> parse_version(const Words& words);
// documentation_parsers.cc
Result<AnyCommand> parse_completion(const Words& words);
Result<AnyCommand> parse_complete(const Words& words);
Result<AnyCommand> parse_man(const Words& words);

// Only its help: `serve` itself never comes here (bin/lm_sandbox.cc).
Result<AnyCommand> parse_serve(const Words& words);

}  // namespace lmsb::cli
