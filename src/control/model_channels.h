#pragma once
// ModelChannels: how programs in a sandbox reach its models (docs/adr/0046). The guest gives a socket that is bound in
// the sandbox; what answers there is the edge's (ModelDoors), for a principal that may ask for these models and nothing
// else. One loop, one thread.
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/model_allowance.h"
#include "control/principal.h"
#include "control/sandbox_handle.h"
#include "io/task.h"

namespace lmsb::control {

// What answers HTTP at a sandbox's own socket.
class ModelDoors {
 public:
  virtual ~ModelDoors() = default;
  // Listens on `socket`, which is bound, and serves there for `who` alone, until what it returns goes.
  virtual Result<std::shared_ptr<void>> open(Principal who, UniqueFd socket) = 0;
};

class ModelChannels {
 public:
  // Both outlive it.
  ModelChannels(boost::asio::io_context& loop, Logger& log) : loop_(loop), log_(log) {}

  // Before any sandbox asks for it; outlives this.
  void serve_by(ModelDoors& doors) { doors_ = &doors; }

  // Of a sandbox of which nobody knows yet; returns when its programs reach its models. `handle` outlives the task. No
  // allowance: nothing happens. Errors: those of Channel::take_models().
  io::Task<void> open(SandboxHandle* handle, std::shared_ptr<ModelAllowance> allowance);
  // The same for one that has run on since an earlier daemon: soon, and again where it fails.
  void open_later(const std::shared_ptr<SandboxHandle>& handle, std::shared_ptr<ModelAllowance> allowance);

 private:
  static io::Always<void> keep_trying(ModelChannels* self, std::weak_ptr<SandboxHandle> handle,
                                      std::shared_ptr<ModelAllowance> allowance);

  boost::asio::io_context& loop_;
  Logger& log_;
  ModelDoors* doors_ = nullptr;
};

// Who speaks by a sandbox's model channel: it may ask for these models, and nothing else.
Principal principal_of(const std::string& sandbox, std::shared_ptr<ModelAllowance> allowance);

}  // namespace lmsb::control
