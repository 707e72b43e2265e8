#pragma once
// Models: the real ModelService: the store, one warm runner a model (and one more where its embeddings are asked for),
// and the upstream.
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "base/secret.h"
#include "control/admission.h"
#include "control/file_desk.h"
#include "control/fleet.h"
#include "control/model_service.h"
#include "control/pull.h"
#include "control/runner.h"
#include "image/store.h"
#include "io/alarm.h"
#include "io/blocking_pool.h"
#include "io/event.h"
#include "model/hub.h"
#include "model/store.h"

namespace lmsb::control {

struct ModelOptions {
  std::string default_model;  // "" = the only one, else the demonstration model
  std::string llama_server;   // "" = image llama, else one on PATH
  std::uint32_t max_tokens = 512;
  std::uint32_t context = 4096;
  std::uint32_t threads = 0;
  std::size_t max_loaded = 3;  // models at once; their memory limits add up to no more than the machine has, too
  KeepAlive keep_alive = kKeptWhileThereIsRoom;  // of who says nothing of it
  std::vector<std::string> pinned;               // models that are loaded at the start, and stay
  std::string mount_desk;
  std::string file_desk;                      // where to listen for files to pull; "" = nowhere
  mode_t desk_mode = 0600;                    // of that socket
  gid_t desk_group = static_cast<gid_t>(-1);  // the daemon's own
  model::HubPlaces hub;                       // where models are pulled from by their names
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
  Models(boost::asio::io_context& loop, io::BlockingPool& pool, Admission& admission, Fleet& fleet, image::Store images,
         model::Store store, ModelOptions options, Logger& log);
  ~Models() override;

  void begin() override;
  io::Task<std::vector<ModelInfo>> list() override;
  io::Task<std::unique_ptr<PullStream>> pull(PullModel request) override;
  io::Task<ModelDetails> show(std::string name) override;
  io::Task<ModelInfo> load(LoadModel request) override;
  io::Task<ModelInfo> unload(std::string name, bool may_unpin) override;
  io::Task<void> remove(std::string name) override;
  io::Task<Completion> complete(std::string prompt) override;
  io::Task<ModelAnswer> ask(ModelRequest request) override;
  io::Task<Control::UpstreamAnswer> ask_upstream(std::string prompt) override;
  io::Always<void> drain() override;

 private:
  // Has those loaded that are pinned, one after the other; what fails is logged.
  static io::Always<void> load_pinned(Models* self);
  // Which runner: the model's name, and whether it makes embeddings.
  using SlotKey = std::pair<std::string, bool>;
  // A runner that is there or on its way: whoever needs it waits for the same one.
  struct Slot {
    explicit Slot(boost::asio::io_context& loop) : changed(loop) {}
    // Not to be replaced: on its way, or a runner that can be asked.
    bool is_of_use() const;
    std::shared_ptr<void> share;  // until the runner's start, which it is for
    std::uint64_t asked = 0;      // number of the last request that wanted it
    std::shared_ptr<Runner> runner;
    std::optional<Error> failure;
    io::Event changed;
    bool is_pinned = false;
    KeepAlive keep_alive = kKeptWhileThereIsRoom;
    io::Deadline ends = io::Deadline::never();  // when it is let go, if nobody asks it until then
    io::Deadline rings = io::Deadline::never();
    std::unique_ptr<io::Alarm> alarm;  // rings then, not later than it ends; none where it may be long at work
  };
  std::unique_ptr<FileDesk> open_desk();
  static io::Always<void> run_pull(Models* self, std::shared_ptr<Pull> pull, PullModel request,
                                   std::shared_ptr<UniqueFd> handed);
  io::Task<ModelInfo> bring(std::shared_ptr<Pull> pull, PullModel request, std::shared_ptr<UniqueFd> handed);
  // The file that was handed over for a handle; nullptr for none.
  Result<std::shared_ptr<UniqueFd>> take_handed(const std::string& handle);
  // Away with a runner that should not be asked again, and with a failure to start one. Whoever still hears an answer
  // of that runner keeps it until then.
  void let_go(const SlotKey& key);
  // The model of that name; "" = the default one.
  io::Task<model::Model> choose(std::string name);
  // The same for a request that could have named one.
  io::Task<model::Model> choose_asked(std::string name);
  io::Task<std::shared_ptr<Runner>> runner_for(model::Model model, ModelWork work);
  io::Task<std::shared_ptr<Runner>> make_runner(SlotKey key, model::Model model, std::shared_ptr<void> share);
  // What is loaded or on its way, also what no slot has any more because its last answers are still read.
  struct Loaded {
    std::size_t models = 0;
    std::uint64_t memory = 0;  // sum of the limits
  };
  class Share;
  // Room for one more model, as long as the share lives. Lets go of runners without work for it, of that first which
  // was not asked for longest; of none if that is not enough. Error: models_busy.
  Result<std::shared_ptr<void>> take_share(Bytes memory);
  bool has_room(const Loaded& loaded, Bytes memory) const;
  Error busy(const Loaded& at_work) const;
  // That runner, by somebody who asks it. When the last of them lets go of it its time without work begins.
  struct Use;
  std::shared_ptr<Runner> use_of(const SlotKey& key, std::shared_ptr<Runner> runner);
  void end_use(const SlotKey& key);
  // Lets go of it if its time is over; else waits for that.
  void look_at(const SlotKey& key);
  // Of the slot that has this runner, if it still has it.
  Slot* slot_with(const SlotKey& key, const std::shared_ptr<Runner>& runner);
  RunnerInfo info_of(const SlotKey& key, const Slot& slot) const;
  ModelInfo info_of(const model::Model& model) const;
  // Nobody would miss it now.
  static bool is_idle(const std::shared_ptr<Slot>& slot);
  static io::Task<ModelAnswer> ask_whole(std::shared_ptr<Runner> runner, http::ClientRequest request);
  static io::Task<ModelAnswer> open_events(std::shared_ptr<Runner> runner, http::ClientRequest request);
  bool is_loaded(const SlotKey& key) const;
  bool is_loaded(const std::string& name) const;  // for whatever work
  // Of a file that is no more: its runners end with their last answers.
  void forget(const std::string& name);
  // What follows from a failed request for the runner that was asked.
  void judge(const std::shared_ptr<Runner>& runner, const Error& error);
  static io::Always<void> start_runner(Models* self, std::shared_ptr<Slot> slot, SlotKey key, model::Model model);
  // The demonstration model, if a runner has it.
  std::optional<model::Model> loaded_demonstration() const;

  boost::asio::io_context& loop_;
  io::BlockingPool& pool_;
  Admission& admission_;
  Fleet& fleet_;
  image::Store images_;
  model::Store store_;
  ModelOptions options_;
  Logger& log_;
  std::map<SlotKey, std::shared_ptr<Slot>> slots_;
  // Names of models that make no embeddings, and what their runners said: none is started for that again.
  std::map<std::string, Error> no_embedders_;
  std::set<std::shared_ptr<Pull>> pulls_;                                  // that go on
  std::uint64_t asked_ = 0;                                                // requests for runners
  const std::shared_ptr<Models*> self_ = std::make_shared<Models*>(this);  // for those who may outlive it
  const std::shared_ptr<Loaded> loaded_ = std::make_shared<Loaded>();
  std::unique_ptr<FileDesk> desk_;  // nullptr = none; made last
};

}  // namespace lmsb::control
