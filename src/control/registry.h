#pragma once
// Registry: the kept sandboxes, by id and by name, and who may see them.
#include <map>
#include <memory>
#include <string>

#include "control/command_run.h"
#include "control/control.h"
#include "control/sandbox_handle.h"

namespace lmsb::control {

class ProcessTable;  // control/processes.h

struct KeptSandbox {
  SandboxInfo info;
  std::string owner;
  std::shared_ptr<SandboxHandle> handle;  // shared with the commands that run in it
  std::shared_ptr<ProcessTable> processes;
  ImageDefaults image;
  std::map<std::string, std::string> env;

  // What every command in it begins with: the image's and the sandbox's variables.
  ImageDefaults defaults() const;
};

class Registry {
 public:
  // Errors: already_exists (the name), resource_exhausted (more than `kMaxSandboxes`).
  Status add(KeptSandbox sandbox);
  // By id, unique prefix of at least 3 characters, or name; only what `who` may see. Errors: sandbox_not_found,
  // sandbox_ambiguous.
  Result<KeptSandbox*> find(const Principal& who, const std::string& id_or_name);
  Result<SandboxPage> list(const Principal& who, std::optional<SandboxState> state,
                           const std::map<std::string, std::string>& labels, std::size_t limit,
                           const std::string& cursor) const;
  std::optional<KeptSandbox> take(const std::string& id);
  bool has_name(const std::string& name) const;
  std::size_t size() const { return by_id_.size(); }
  void clear() { by_id_.clear(); }

  static constexpr std::size_t kMaxSandboxes = 10'000;

 private:
  std::map<std::string, KeptSandbox> by_id_;
};

}  // namespace lmsb::control
