#include "cli/temporary_sandbox.h"

#include <chrono>

#include "cli/values.h"

namespace lmsb::cli {
namespace {

constexpr std::chrono::minutes kUnused{1};
constexpr std::chrono::minutes kRenewedLife{10};
constexpr std::chrono::minutes kRenewEvery{3};

Call update(const std::string& id, const LifeFlags& life) {
  UpdateCommand command;
  command.life = life;
  return {"PATCH", sandbox_url(id), update_body(command)};
}

}  // namespace

Result<std::unique_ptr<TemporarySandbox>> TemporarySandbox::create(CreateCommand command, const Inputs& inputs,
                                                                   bool needs_renewal, Connection& connection,
                                                                   Console& console) {
  command.life = LifeFlags();
  command.life.idle = kUnused;
  command.life.on_idle = "delete";
  if (needs_renewal) command.life.timeout = kRenewedLife;
  LMSB_TRY(const auto made, call_json(connection, Call("POST", "/v1/sandboxes", create_body(command, inputs))));
  return std::unique_ptr<TemporarySandbox>(new TemporarySandbox(text_field(made.root(), "id"), connection, console));
}

Renewal TemporarySandbox::renewal() const {
  LifeFlags life;
  life.timeout = kRenewedLife;
  return {update(id_, life), kRenewEvery};
}

Status TemporarySandbox::keep(std::chrono::milliseconds idle) {
  LifeFlags life;
  life.idle = idle;
  life.on_idle = "stop";
  LMSB_CHECK(call_json(connection_, update(id_, life)));
  stays_ = true;
  return {};
}

TemporarySandbox::~TemporarySandbox() {
  if (stays_) return;
  const auto removed = call_json(connection_, Call("DELETE", sandbox_url(id_)));
  if (!removed.ok() && removed.error().code() != ErrorCode::not_found)
    report(console_, Error(removed.error()).with_context("remove sandbox " + id_));
}

}  // namespace lmsb::cli
