// config show, config check, config example: what `serve` would read, without starting it.
#include <unistd.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "config/config.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

constexpr const char* kSystemFile = "/etc/lm-sandbox/config.toml";

// As `serve` has it: the system's file if it is there, or the one that is named, which must exist.
std::string file_to_read(const std::string& named) { return named.empty() ? kSystemFile : "!" + named; }

config::Sources sources_of(const ConfigCommand& command) {
  config::Sources sources;
  sources.files = {file_to_read(command.file)};
  for (char** variable = environ; *variable != nullptr; ++variable) sources.environment.emplace_back(*variable);
  return sources;
}

// {"config": {section: {key: value}}, "origin": {key: where from}, "warnings": []}
std::string as_json(const config::Loaded& loaded) {
  json::Writer writer;
  writer.begin_object().key("config").raw(config::show_json(loaded)).key("origin").begin_object();
  for (const auto& [key, origin] : loaded.origin) writer.key(key).string(origin);
  writer.end_object().key("warnings").begin_array();
  for (const std::string& warning : loaded.warnings) writer.string(warning);
  return pretty_text(std::move(writer.end_array().end_object()).str());
}

}  // namespace

Result<int> execute(const ConfigCommand& command, Console& console) {
  if (command.what == ConfigCommand::What::example) {
    console.out(config::example());
    return 0;
  }
  LMSB_TRY(const auto loaded, config::load(sources_of(command)));
  for (const std::string& warning : loaded.warnings) note(console, warning);
  if (command.json) {
    console.out(as_json(loaded));
  } else {
    console.out(command.what == ConfigCommand::What::check ? "the configuration is good\n"
                                                           : config::show(loaded, command.origin));
  }
  return 0;
}

}  // namespace lmsb::cli
