#pragma once
// ThisMachine: the computer that doctor really runs on.
#include "cli/command_line.h"
#include "cli/console.h"
#include "cli/machine.h"

namespace lmsb::cli {

class ThisMachine final : public Machine {
 public:
  // `target` is the daemon for the throw-away sandbox; `console` hears when a private one is started. Borrowed.
  ThisMachine(const Target& target, Console& console) : target_(target), console_(console) {}

  std::optional<std::string> read_file(const std::string& path) override;
  bool exists(const std::string& path) override;
  std::string data_directory() override;
  std::vector<std::string> list_directory(const std::string& path) override;
  Result<ProgramOutput> run_program(const std::vector<std::string>& argv, std::chrono::milliseconds timeout) override;
  std::optional<std::string> http_get(const std::string& url, std::chrono::milliseconds timeout) override;
  Trial try_feature(Feature feature) override;
  int landlock_abi() override;
  std::string kernel_release() override;
  bool is_root() override;
  std::string user_name() override;
  SandboxTrial try_sandbox() override;

 private:
  SandboxTrial make_trial();

  const Target& target_;
  Console& console_;
  std::optional<SandboxTrial> trial_;
};

}  // namespace lmsb::cli
