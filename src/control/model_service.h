#pragma once
// ModelService: the daemon's local models and its upstream, as control needs them. model/ knows files and formats;
// this knows sandboxes: a runner is one.
#include <memory>
#include <string>
#include <vector>

#include "control/control.h"

namespace lmsb::control {

class ModelService {
 public:
  virtual ~ModelService() = default;
  // Sandboxes can be made from now on.
  virtual void begin() = 0;
  virtual io::Task<std::vector<ModelInfo>> list() = 0;
  virtual io::Task<std::unique_ptr<PullStream>> pull(PullModel request) = 0;
  virtual io::Task<ModelDetails> show(std::string name) = 0;
  virtual io::Task<ModelInfo> load(LoadModel request) = 0;
  // `may_unpin`: one that is pinned goes, too; else that is permission_denied.
  virtual io::Task<ModelInfo> unload(std::string name, bool may_unpin) = 0;
  virtual io::Task<void> remove(std::string name) = 0;
  virtual io::Task<Completion> complete(std::string prompt) = 0;
  virtual io::Task<ModelAnswer> ask(ModelRequest request) = 0;
  virtual io::Task<Control::UpstreamAnswer> ask_upstream(std::string prompt) = 0;
  // Lets answers finish, then ends the runners.
  virtual io::Always<void> drain() = 0;
};

}  // namespace lmsb::control
