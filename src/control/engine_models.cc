// Who may do what with models: the daemon's clients, and sandboxes within what they were made with.
#include <algorithm>
#include <chrono>
#include <utility>

#include "base/text.h"
#include "control/engine.h"
#include "control/metered_answer.h"

namespace lmsb::control {

io::Task<std::vector<ModelInfo>> Engine::models(Principal who) {
  constexpr std::chrono::seconds kMoment{1};
  const auto now = std::chrono::steady_clock::now();
  if (!who.models) co_return co_await models_->list();
  if (!recent_models_ || now - recent_models_->at > kMoment) {
    LMSB_CO_TRY(auto listed, co_await models_->list());
    RecentModels recent{now, std::move(listed)};
    recent_models_ = std::move(recent);
  }
  std::vector<ModelInfo> models = recent_models_->models;
  std::erase_if(models, [&who](const ModelInfo& model) { return !who.models->has(model.id); });
  for (ModelInfo& model : models) model.is_default = model.id == who.models->access().names.front();
  co_return models;
}

// Nobody is to learn in the sandbox that it has none.
io::Task<void> Engine::check_models(ModelAccess access) {
  LMSB_CO_CHECK(check_form(access));
  LMSB_CO_CHECK(control::check_models(options_.policy, access));
  if (!access.is_something()) co_return Status();
  LMSB_CO_TRY(const auto there, co_await models_->list());
  for (const std::string& name : access.names) {
    const bool is_there =
        std::any_of(there.begin(), there.end(), [&name](const ModelInfo& model) { return model.id == name; });
    if (is_there) continue;
    co_return Error(ErrorCode::not_found, "no model is named " + quoted(name))
        .with_slug("model_not_found")
        .with_hint("GET /v1/models lists them; lm-sandbox model pull adds one");
  }
  co_return Status();
}

std::shared_ptr<ModelAllowance> Engine::allowance_of(const ModelAccess& access) {
  return access.is_something() ? std::make_shared<ModelAllowance>(loop_, access) : nullptr;
}

void Engine::keep_models(const KeptSandbox& sandbox) {
  if (!sandbox.models || !sandbox.info.keeps_disk) return;
  sandbox.models->on_change([this, id = sandbox.info.id] {
    const auto found = registry_.get(id);
    if (found.ok()) ledger_.put_later(**found);
  });
}

io::Task<std::unique_ptr<PullStream>> Engine::pull_model(Principal, PullModel request) {
  return models_->pull(std::move(request));
}

io::Task<ModelDetails> Engine::show_model(Principal, std::string name) { return models_->show(std::move(name)); }
io::Task<ModelInfo> Engine::load_model(Principal, LoadModel request) { return models_->load(std::move(request)); }
io::Task<ModelInfo> Engine::unload_model(Principal who, std::string name) {
  const bool may_unpin = check_may(who, Operation::admin).ok();
  return models_->unload(std::move(name), may_unpin);
}
io::Task<void> Engine::remove_model(Principal, std::string name) { return models_->remove(std::move(name)); }

io::Task<Completion> Engine::complete(Principal, std::string prompt) {
  co_return co_await models_->complete(std::move(prompt));
}

// For a sandbox: within what it may, and counted.
io::Task<ModelAnswer> Engine::ask_model(Principal who, ModelRequest request) {
  if (!who.models) co_return co_await models_->ask(std::move(request));
  LMSB_CO_CHECK(control::check_models(options_.policy, who.models->access()));
  request.keep_alive.reset();  // models are not a sandbox's
  // It may outlive this, where it goes on for longer than drain() waits, which waits for `asking`.
  CountTokens counted = [weak = std::weak_ptr<Engine*>(self_), asking = sandbox_asks_.begin()](const TokenCount& used) {
    if (const auto self = weak.lock()) (*self)->count(used);
  };
  AskModel ask = [this, name = who.name](ModelRequest allowed) { return ask_in_turn(this, name, std::move(allowed)); };
  auto asking = ask_within(who.models, std::move(request), std::move(ask), std::move(counted));
  co_return co_await std::move(asking);
}

void Engine::count(const TokenCount& used) {
  const auto tokens = [this](const char* kind, std::uint64_t number) {
    metrics_.counter("lmsb_sandbox_model_tokens_total", "Tokens of models that sandboxes have used", {{"kind", kind}})
        .increment(static_cast<double>(number));
  };
  tokens("prompt", used.prompt);
  tokens("completion", used.completion);
}

io::Task<ModelAnswer> Engine::ask_in_turn(Engine* self, std::string who, ModelRequest request) {
  LMSB_CO_TRY(auto turn, co_await self->model_turns_.take(request.model, std::move(who)));
  auto asking = self->models_->ask(std::move(request));
  auto answer = co_await std::move(asking);
  if (answer.ok()) answer->place = std::move(turn);
  co_return answer;
}

io::Task<Control::UpstreamAnswer> Engine::ask_upstream(Principal, std::string prompt) {
  co_return co_await models_->ask_upstream(std::move(prompt));
}

}  // namespace lmsb::control
