#include "control/model_channels.h"

#include <algorithm>
#include <utility>

#include "io/spawn.h"

namespace lmsb::control {
namespace {

constexpr std::chrono::seconds kShortestPause{1};
constexpr std::chrono::seconds kLongestPause{32};

}  // namespace

Principal principal_of(const std::string& sandbox, std::shared_ptr<ModelAllowance> allowance) {
  auto grant = std::make_shared<Grant>();
  grant->may_models = true;
  Principal who;
  who.name = "sandbox:" + sandbox;
  who.grant = std::move(grant);
  who.models = std::move(allowance);
  return who;
}

io::Task<void> ModelChannels::open(SandboxHandle* handle, std::shared_ptr<ModelAllowance> allowance) {
  if (!allowance) co_return Status();
  if (doors_ == nullptr) co_return Error(ErrorCode::unsupported, "nothing here serves models to sandboxes");
  LMSB_CO_TRY(UniqueFd socket, co_await handle->channel().take_models());
  LMSB_CO_TRY(handle->model_door, doors_->open(principal_of(handle->id(), std::move(allowance)), std::move(socket)));
  co_return Status();
}

void ModelChannels::open_later(const std::shared_ptr<SandboxHandle>& handle,
                               std::shared_ptr<ModelAllowance> allowance) {
  if (allowance) io::spawn(loop_, keep_trying(this, handle, std::move(allowance)));
}

// Nothing keeps the sandbox from going meanwhile.
io::Always<void> ModelChannels::keep_trying(ModelChannels* self, std::weak_ptr<SandboxHandle> weak,
                                            std::shared_ptr<ModelAllowance> allowance) {
  for (std::chrono::seconds pause = kShortestPause;; pause = std::min(2 * pause, kLongestPause)) {
    {
      const auto handle = weak.lock();
      if (!handle || handle->is_removed() || handle->channel().is_closed()) co_return;
      const Status opened = co_await self->open(handle.get(), allowance);
      if (opened.ok() || handle->is_removed() || handle->channel().is_closed()) co_return;
      self->log_.log(LogLevel::warning, "models.not_served",
                     {{"id", handle->id()}, {"error", opened.error().message()}});
    }
    const Status slept = co_await io::sleep_until(io::Deadline::in(pause));
    if (!slept.ok()) co_return;
  }
}

}  // namespace lmsb::control
