#include "control/llama_server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <span>
#include <sstream>
#include <unistd.h>

#include "model/program_files.h"

namespace lmsb::control {
namespace {

constexpr const char* kImage = "llama";
constexpr const char* kProgram = "llama-server";
// Tokens of a text whose embedding is made: it must fit in one batch.
constexpr std::uint32_t kMaxEmbedded = 2048;

std::string find_on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string directory; std::getline(directories, directory, ':');) {
    std::string file = directory + "/" + program;
    if (directory.starts_with('/') && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

Error no_program(const std::string& why) {
  return Error(ErrorCode::unavailable, why)
      .with_slug("no_llama_server")
      .with_hint("build its image: sudo lm-sandbox image build llama");
}

// Flags that spare memory and time where the program knows them: no trial run, no trying of sizes, no second copy of
// contexts in memory, no pages for people. And no answers about a text whose beginning was thrown away unsaid.
struct Extra {
  std::string_view flag;
  std::string_view value;  // "" = none
};
constexpr std::array<Extra, 8> kExtras = {{{"--parallel", "2"},
                                           {"--no-slots", ""},
                                           {"--no-warmup", ""},
                                           {"--no-webui", ""},
                                           {"--offline", ""},
                                           {"--fit", "off"},
                                           {"--no-context-shift", ""},
                                           {"--cache-ram", "0"}}};

// What comes again within the last 20 tokens for longer than 9 of them is a loop: whatever else has a chance comes
// next. Nothing of sense is hit: a path or a line that is copied stands further away than it is long.
constexpr std::array<Extra, 5> kEndLoops = {{{"--dry-multiplier", "20"},
                                             {"--dry-base", "2"},
                                             {"--dry-allowed-length", "9"},
                                             {"--dry-penalty-last-n", "20"},
                                             {"--dry-sequence-breaker", "none"}}};

Error too_old(const std::string& program, const std::string& why) {
  return Error(ErrorCode::failed_precondition, program + " is too old: it cannot " + why)
      .with_slug("llama_server_too_old")
      .with_hint("install a newer llama.cpp, or build its image: sudo lm-sandbox image build llama");
}

void add_known(std::vector<std::string>& command, std::span<const Extra> extras, std::string_view help) {
  for (const Extra& extra : extras) {
    if (!lists_flag(help, extra.flag)) continue;
    command.emplace_back(extra.flag);
    if (!extra.value.empty()) command.emplace_back(extra.value);
  }
}

}  // namespace

Result<RunnerProgram> find_llama_server(const image::Store& images, const std::string& configured) {
  RunnerProgram program;
  if (configured.empty() && images.find(kImage).ok()) {
    program.image = kImage;
    program.path = std::string("/usr/bin/") + kProgram;
    return program;
  }
  const std::string path = configured.empty() ? find_on_path(kProgram) : configured;
  if (path.empty()) return no_program("there is no llama-server");
  if (::access(path.c_str(), X_OK) != 0) return no_program(Error::from_errno(errno, "execute " + path).message());
  LMSB_TRY(auto files, model::find_program_files(path, model::loader_places_of_machine()));
  program.image = "host";
  program.path = std::move(files.program);
  program.directories = std::move(files.directories);
  program.search = std::move(files.search);
  return program;
}

bool lists_flag(std::string_view help, std::string_view flag) {
  const auto is_of_flag = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  for (std::size_t at = help.find(flag); at != std::string_view::npos; at = help.find(flag, at + 1)) {
    const std::size_t end = at + flag.size();
    if ((at == 0 || !is_of_flag(help[at - 1])) && (end == help.size() || !is_of_flag(help[end]))) return true;
  }
  return false;
}

Result<std::vector<std::string>> server_command(const std::string& program, std::string_view help,
                                                const ServerSettings& settings) {
  if (help.find(".sock") == std::string_view::npos) return too_old(program, "listen on a unix socket");
  if (settings.makes_embeddings && !lists_flag(help, "--embeddings"))
    return too_old(program, "make embeddings as they are asked for now");
  std::vector<std::string> command = {
      program, "-m", settings.model, "--host", settings.socket, "-c", std::to_string(settings.context)};
  if (settings.threads > 0) {
    command.emplace_back("-t");
    command.push_back(std::to_string(settings.threads));
  }
  if (lists_flag(help, "--alias")) {
    command.emplace_back("--alias");
    command.push_back(settings.name);
  }
  add_known(command, kExtras, help);
  if (settings.ends_loops) add_known(command, kEndLoops, help);
  if (settings.makes_embeddings) {
    const std::string batch = std::to_string(std::min(settings.context, kMaxEmbedded));
    command.insert(command.end(), {"--embeddings", "-b", batch, "-ub", batch});
  }
  return command;
}

}  // namespace lmsb::control
