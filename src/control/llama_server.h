#pragma once
// llama_server: which llama-server serves a model, and how one of whatever age is told to.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "image/store.h"

namespace lmsb::control {

// Where the program comes from: the image to run in, its path inside, and what the machine brings along.
struct RunnerProgram {
  std::string image;                     // "llama" or "host"
  std::string path;                      // inside
  std::vector<std::string> directories;  // of the machine, shown read-only at their own paths
  std::vector<std::string> search;       // LD_LIBRARY_PATH inside
};

// The program at `configured` if that is given, else that of image llama, else one on PATH. Blocking. Errors:
// no_llama_server, program_not_showable, and those of opening it.
Result<RunnerProgram> find_llama_server(const image::Store& images, const std::string& configured);

constexpr std::uint32_t kModelSlots = 2;  // answers that a server gives at once

struct ServerSettings {
  std::string socket;             // path inside; ends in ".sock"
  std::string model;              // path inside
  std::string name;               // what its answers call the model
  bool ends_loops = false;        // for a model that may say the same few words for ever
  bool makes_embeddings = false;  // and answers nothing: how a text becomes one vector is the model's own matter
  std::uint32_t context = 0;
  std::uint32_t threads = 0;  // 0 = one for each CPU
};

// Whether `flag` ("--fit") stands in a program's help as a word of its own.
bool lists_flag(std::string_view help, std::string_view flag);
// The command line for the program whose `--help` said `help`: what it does not list is left out. Errors:
// llama_server_too_old when it cannot listen on a unix socket, or make embeddings that are wanted.
Result<std::vector<std::string>> server_command(const std::string& program, std::string_view help,
                                                const ServerSettings& settings);

}  // namespace lmsb::control
