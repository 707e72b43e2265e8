#pragma once
// Models: the real ModelService: the store, one warm runner a model, and the upstream.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "base/secret.h"
#include "control/file_desk.h"
#include "control/fleet.h"
#include "control/model_service.h"
#include "control/runner.h"
#include "image/store.h"
#include "io/blocking_pool.h"
#include "io/event.h"
#include "model/store.h"

namespace lmsb::control {

struct ModelOptions {
  std::string default_model;  // "" = the only one, else the demonstration model
  std::string llama_server;   // "" = image llama, else one on PATH
  std::uint32_t max_tokens = 512;
  std::uint32_t context = 4096;
  std::uint32_t threads = 0;
  std::string mount_desk;
  std::string file_desk;                      // where to listen for files to pull; "" = nowhere
  mode_t desk_mode = 0600;                    // of that socket
  gid_t desk_group = static_cast<gid_t>(-1);  // the daemon's own
  std::string upstream_url;                   // "http://127.0.0.1:11434/v1"
  std::string upstream_model;
  Secret upstream_key;
  std::chrono::milliseconds upstream_timeout{120'000};
  std::chrono::milliseconds load_timeout{300'000};    // from nothing to a loaded model
  std::chrono::milliseconds answer_timeout{600'000};  // of a loaded one
};

class Models final : public ModelService {
 public:
  // All references outlive it. Blocks a moment: removes what killed pulls have left in the store.
  Models(boost::asio::io_context& loop, io::BlockingPool& pool, Fleet& fleet, image::Store images, model::Store store,
         ModelOptions options, Logger& log);
  ~Models() override;

  io::Task<std::vector<ModelInfo>> list() override;
  io::Task<ModelInfo> pull(PullModel request) override;
  io::Task<Completion> complete(std::string prompt) override;
  io::Task<Control::UpstreamAnswer> ask_upstream(std::string prompt) override;
  io::Always<void> drain() override;

 private:
  // A runner that is there or on its way: whoever needs it waits for the same one.
  struct Slot {
    explicit Slot(boost::asio::io_context& loop) : changed(loop) {}
    std::shared_ptr<Runner> runner;
    std::optional<Error> failure;
    io::Event changed;
  };
  std::unique_ptr<FileDesk> open_desk();
  // The file that was handed over for a handle; nullptr for none.
  Result<std::shared_ptr<UniqueFd>> take_handed(const std::string& handle);
  io::Task<std::shared_ptr<Runner>> runner_for(model::Model model);
  io::Task<std::shared_ptr<Runner>> make_runner(model::Model model);
  static io::Always<void> start_runner(Models* self, std::shared_ptr<Slot> slot, model::Model model);
  // The demonstration model, if a runner has it.
  std::optional<model::Model> loaded_demonstration() const;
  void retire(const std::shared_ptr<Runner>& runner, const Error& error);

  boost::asio::io_context& loop_;
  io::BlockingPool& pool_;
  Fleet& fleet_;
  image::Store images_;
  model::Store store_;
  ModelOptions options_;
  Logger& log_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::unique_ptr<FileDesk> desk_;  // nullptr = none; made last
};

}  // namespace lmsb::control
