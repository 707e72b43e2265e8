// Models: its runners: who gets one, which are let go, and when.
#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/text.h"
#include "control/machine.h"
#include "control/models.h"
#include "io/spawn.h"

namespace lmsb::control {

io::Task<std::shared_ptr<Runner>> Models::runner_for(model::Model model, ModelWork work) {
  const SlotKey key(model.name, work == ModelWork::embedding);
  let_go(key);
  const auto slot = slots_.find(key);
  std::shared_ptr<Slot> found = slot == slots_.end() ? nullptr : slot->second;
  const auto unable = no_embedders_.find(model.name);
  if (key.second && unable != no_embedders_.end()) co_return unable->second;
  if (!found) {
    LMSB_CO_TRY(auto share, take_share(Runner::limits_for(model, options_.context).memory));
    found = std::make_shared<Slot>(loop_);
    found->share = std::move(share);
    found->keep_alive = options_.keep_alive;
    found->is_pinned = std::count(options_.pinned.begin(), options_.pinned.end(), model.name) > 0;
    slots_[key] = found;
    // A task of its own: the load goes on when the client that asked first goes away.
    io::spawn(loop_, start_runner(this, found, key, std::move(model)));
  }
  const std::shared_ptr<Slot> waited = found;
  waited->asked = ++asked_;
  while (!waited->runner && !waited->failure) LMSB_CO_CHECK(co_await waited->changed.wait());
  if (waited->failure) co_return *waited->failure;
  co_return use_of(key, waited->runner);
}

// Part of what may be loaded.
class Models::Share {
 public:
  Share(std::shared_ptr<Loaded> all, Bytes memory) : all_(std::move(all)), memory_(memory) {
    ++all_->models;
    all_->memory += memory_.count();
  }
  ~Share() {
    --all_->models;
    all_->memory -= memory_.count();
  }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

 private:
  const std::shared_ptr<Loaded> all_;
  const Bytes memory_;
};

Result<std::shared_ptr<void>> Models::take_share(Bytes memory) {
  Loaded left = *loaded_;
  std::vector<std::pair<std::uint64_t, SlotKey>> idle;  // by who was asked last
  for (const auto& [key, slot] : slots_) {
    if (!is_idle(slot)) continue;
    idle.emplace_back(slot->asked, key);
    if (!slot->runner || !slot->runner->is_alive()) continue;  // it has no share any more
    --left.models;
    left.memory -= Runner::limits_for(slot->runner->model(), options_.context).memory.count();
  }
  if (!has_room(left, memory)) return busy(left);
  std::sort(idle.begin(), idle.end());
  for (auto next = idle.begin(); !has_room(*loaded_, memory) && next != idle.end(); ++next) {
    log_.log(LogLevel::info, "model.let_go", {{"name", next->second.first}});
    slots_.erase(next->second);
  }
  return std::shared_ptr<void>(std::make_shared<Share>(loaded_, memory));
}

bool Models::has_room(const Loaded& loaded, Bytes memory) const {
  if (loaded.models == 0) return true;
  return loaded.models < options_.max_loaded && loaded.memory + memory.count() <= machine_memory().count();
}

Error Models::busy(const Loaded& at_work) const {
  const bool are_too_many = at_work.models >= options_.max_loaded;
  return Error(ErrorCode::resource_exhausted,
               std::to_string(at_work.models) + " models are at work or pinned, and there is no room for one more")
      .with_slug("models_busy")
      .with_hint(are_too_many ? "try again when one of them has answered, or raise [model] max_loaded"
                              : "try again when one of them has answered: the machine has no memory for all of them");
}

io::Task<std::shared_ptr<Runner>> Models::make_runner(SlotKey key, model::Model model, std::shared_ptr<void> share) {
  auto find = [images = images_, configured = options_.llama_server] { return find_llama_server(images, configured); };
  auto job = pool_.run(std::move(find));
  RunnerOptions options;
  LMSB_CO_TRY(options.program, co_await std::move(job));
  options.mount_desk = options_.mount_desk;
  options.context = options_.context;
  options.threads = options_.threads;
  options.makes_embeddings = key.second;
  options.load_timeout = options_.load_timeout;
  options.share = std::move(share);
  // In the name of nobody who asks: the model is there for all of them.
  const sandbox::Limits limits = Runner::limits_for(model, options_.context);
  auto waiting = admission_.take_room("model " + model.name, limits, sandbox::Lifetime::kept);
  LMSB_CO_TRY(options.room, co_await std::move(waiting));
  co_return co_await Runner::start(loop_, fleet_, std::move(options), std::move(model));
}

io::Always<void> Models::start_runner(Models* self, std::shared_ptr<Slot> slot, SlotKey key, model::Model model) {
  const std::string name = key.first;
  const SlotKey of = key;
  auto runner = co_await self->make_runner(std::move(key), std::move(model), std::move(slot->share));
  std::shared_ptr<Runner> use;  // its time without work begins behind those who have waited for it
  if (runner.ok()) {
    slot->runner = *std::move(runner);
    use = self->use_of(of, slot->runner);
    self->log_.log(LogLevel::info, "model.loaded", {{"name", name}});
  } else {
    self->log_.log(LogLevel::warning, "model.load_failed", {{"name", name}, {"error", runner.error().message()}});
    slot->failure = std::move(runner).error();
  }
  slot->changed.notify_all();
  slot.reset();
}

bool Models::is_loaded(const std::string& name) const {
  return is_loaded(SlotKey(name, false)) || is_loaded(SlotKey(name, true));
}

void Models::forget(const std::string& name) {
  slots_.erase({name, false});
  slots_.erase({name, true});
  no_embedders_.erase(name);
}

bool Models::is_loaded(const SlotKey& key) const {
  const auto slot = slots_.find(key);
  return slot != slots_.end() && slot->second->runner && slot->second->runner->is_alive();
}

bool Models::Slot::is_of_use() const { return runner ? runner->is_usable() : !failure; }

// One thread has all owners, so their count is exact: a request holds its runner, and who waits for one holds the slot.
bool Models::is_idle(const std::shared_ptr<Slot>& slot) {
  if (slot.use_count() > 1) return false;
  if (slot->failure || !slot->runner->is_alive()) return true;
  return !slot->is_pinned && slot->runner.use_count() == 1;
}

void Models::let_go(const SlotKey& key) {
  const auto slot = slots_.find(key);
  if (slot == slots_.end() || slot->second->is_of_use()) return;
  const std::shared_ptr<Runner>& runner = slot->second->runner;
  if (runner && runner->fault() != nullptr)
    log_.log(LogLevel::warning, "model.retired", {{"name", key.first}, {"error", runner->fault()->message()}});
  slots_.erase(slot);
}

// Who has one asks the runner. Its end may come after that of Models.
struct Models::Use {
  Use(std::weak_ptr<Models*> m, SlotKey k, std::shared_ptr<Runner> r)
      : models(std::move(m)), key(std::move(k)), runner(std::move(r)) {}
  ~Use() {
    runner.reset();
    if (const auto alive = models.lock()) (*alive)->end_use(key);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  std::weak_ptr<Models*> models;
  SlotKey key;
  std::shared_ptr<Runner> runner;
};

std::shared_ptr<Runner> Models::use_of(const SlotKey& key, std::shared_ptr<Runner> runner) {
  Runner* const asked = runner.get();
  auto use = std::make_shared<Use>(self_, key, std::move(runner));
  return {std::move(use), asked};
}

void Models::end_use(const SlotKey& key) {
  const auto found = slots_.find(key);
  if (found == slots_.end() || !is_idle(found->second)) return;
  Slot& slot = *found->second;
  slot.ends = slot.keep_alive == kKeptWhileThereIsRoom ? io::Deadline::never() : io::Deadline::in(slot.keep_alive);
  // An alarm that rings too early waits anew then: most requests set none.
  if (!slot.alarm || slot.ends < slot.rings) look_at(key);
}

void Models::look_at(const SlotKey& key) {
  const auto found = slots_.find(key);
  if (found == slots_.end()) return;
  Slot& slot = *found->second;
  slot.alarm.reset();
  if (!is_idle(found->second) || slot.ends.is_never()) return;
  if (slot.ends.passed()) {
    log_.log(LogLevel::info, "model.let_go", {{"name", key.first}});
    slots_.erase(found);
    return;
  }
  slot.rings = slot.ends;
  slot.alarm = std::make_unique<io::Alarm>(loop_.get_executor(), slot.ends, [this, key] { look_at(key); });
}

Models::Slot* Models::slot_with(const SlotKey& key, const std::shared_ptr<Runner>& runner) {
  const auto found = slots_.find(key);
  return found != slots_.end() && found->second->runner == runner ? found->second.get() : nullptr;
}

RunnerInfo Models::info_of(const SlotKey& key, const Slot& slot) const {
  RunnerInfo info;
  info.is_loaded = slot.runner != nullptr;
  info.makes_embeddings = key.second;
  info.is_pinned = slot.is_pinned;
  if (!slot.runner) return info;
  info.requests = static_cast<std::size_t>(slot.runner.use_count()) - 1;
  info.memory = Runner::limits_for(slot.runner->model(), options_.context).memory;
  if (info.requests == 0 && !slot.is_pinned && !slot.ends.is_never()) info.ends_at = rfc3339_in(slot.ends.left());
  return info;
}

ModelInfo Models::info_of(const model::Model& model) const {
  ModelInfo info;
  info.id = model.name;
  info.size_bytes = model.facts.size.count();
  if (!model.is_demonstration) info.path = model.directory + "/model.gguf";
  info.is_demonstration = model.is_demonstration;
  for (const bool makes_embeddings : {false, true}) {
    const SlotKey key(model.name, makes_embeddings);
    const auto found = slots_.find(key);
    if (found != slots_.end() && found->second->is_of_use()) info.runners.push_back(info_of(key, *found->second));
  }
  info.loaded = is_loaded(model.name);
  return info;
}

io::Task<ModelInfo> Models::load(LoadModel request) {
  LMSB_CO_TRY(const model::Model model, co_await choose_asked(std::move(request.name)));
  LMSB_CO_TRY(auto runner, co_await runner_for(model, ModelWork::answer));
  if (Slot* const slot = slot_with({model.name, false}, runner); slot != nullptr) {
    if (request.is_pinned) slot->is_pinned = *request.is_pinned;
    if (request.keep_alive) slot->keep_alive = *request.keep_alive;
  }
  runner.reset();
  co_return info_of(model);
}

io::Task<ModelInfo> Models::unload(std::string name, bool may_unpin) {
  LMSB_CO_TRY(const model::Model model, co_await choose_asked(std::move(name)));
  const std::array<SlotKey, 2> keys = {SlotKey(model.name, false), SlotKey(model.name, true)};
  const auto is_pinned = [this](const SlotKey& key) { return slots_.contains(key) && slots_.at(key)->is_pinned; };
  if (!may_unpin && std::any_of(keys.begin(), keys.end(), is_pinned))
    co_return Error(ErrorCode::permission_denied, "model " + quoted(model.name) + " is pinned")
        .with_slug("permission_denied")
        .with_hint("an administrator lets it go");
  for (const SlotKey& key : keys)
    if (slots_.erase(key) > 0) log_.log(LogLevel::info, "model.let_go", {{"name", model.name}});
  co_return info_of(model);
}

void Models::begin() {
  if (!options_.pinned.empty()) io::spawn(loop_, load_pinned(this));
}

io::Always<void> Models::load_pinned(Models* self) {
  for (const std::string& name : self->options_.pinned) {
    LoadModel wanted;
    wanted.name = name;
    auto loading = self->load(std::move(wanted));
    const auto loaded = co_await std::move(loading);
    if (!loaded.ok())
      self->log_.log(LogLevel::warning, "model.not_pinned", {{"name", name}, {"error", loaded.error().message()}});
  }
}

}  // namespace lmsb::control
