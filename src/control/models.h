#pragma once
// Models: the real ModelService: the store, one warm runner a model, and the upstream.
#include <map>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "base/secret.h"
#include "control/fleet.h"
#include "control/model_service.h"
#include "control/runner.h"
#include "image/store.h"
#include "io/blocking_pool.h"
#include "io/event.h"
#include "model/store.h"

namespace lmsb::control {

struct ModelOptions {
  std::string default_model;  // "" = the only one
  std::string llama_server;   // "" = image llama, else one on PATH
  std::uint32_t max_tokens = 512;
  std::uint32_t context = 4096;
  std::uint32_t threads = 0;
  std::string mount_desk;
  std::string upstream_url;  // "http://127.0.0.1:11434/v1"
  std::string upstream_model;
  Secret upstream_key;
  std::chrono::milliseconds upstream_timeout{120'000};
};

class Models final : public ModelService {
 public:
  // All references outlive it.
  Models(boost::asio::io_context& loop, io::BlockingPool& pool, Fleet& fleet, image::Store images, model::Store store,
         ModelOptions options, Logger& log);
  ~Models() override;

  Result<std::vector<ModelInfo>> list() override;
  io::Task<ModelInfo> pull(std::string source, std::string name) override;
  io::Task<std::string> complete(std::string prompt) override;
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
  Result<model::Model> choose() const;
  Result<RunnerProgram> find_program() const;
  io::Task<std::shared_ptr<Runner>> runner_for(model::Model model);
  static io::Always<void> start_runner(Models* self, std::shared_ptr<Slot> slot, RunnerOptions options,
                                       model::Model model);

  boost::asio::io_context& loop_;
  io::BlockingPool& pool_;
  Fleet& fleet_;
  image::Store images_;
  model::Store store_;
  ModelOptions options_;
  Logger& log_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;
};

}  // namespace lmsb::control
