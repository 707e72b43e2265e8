// Models: what is known of one, and its removal.
#include "control/models.h"
#include "model/demonstration.h"

namespace lmsb::control {

io::Task<ModelDetails> Models::show(std::string name) {
  LMSB_CO_TRY(const model::Model model, co_await choose(std::move(name)));
  ModelDetails details;
  details.id = model.name;
  details.loaded = is_loaded(model.name);
  details.is_demonstration = model.is_demonstration;
  details.facts = model.facts;
  details.memory = memory_of(model.facts);
  co_return details;
}

io::Task<void> Models::remove(std::string name) {
  auto work = [store = store_, name] { return store.remove(name); };
  auto job = pool_.run(std::move(work));
  Status removed = co_await std::move(job);
  const bool is_absent = !removed.ok() && removed.error().slug() == "model_not_found";
  if (is_absent && name == model::kDemonstrationName)
    co_return Error(ErrorCode::failed_precondition, "the demonstration model is part of the program")
        .with_slug("model_not_removable")
        .with_hint("it answers only where there is no other model, or where it is named");
  if (removed.ok() || is_absent) forget(name);  // a removal may have been cut off behind the store's part
  LMSB_CO_CHECK(std::move(removed));
  log_.log(LogLevel::info, "model.removed", {{"name", name}});
  co_return Status();
}

}  // namespace lmsb::control
