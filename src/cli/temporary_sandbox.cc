#include "cli/temporary_sandbox.h"

#include <chrono>

#include "cli/values.h"

namespace lmsb::cli {
namespace {

constexpr std::chrono::minutes kUnused{1};

}  // namespace

Result<std::unique_ptr<TemporarySandbox>> TemporarySandbox::create(CreateCommand command, const Inputs& inputs,
                                                                   Connection& connection, Console& console) {
  command.life = LifeFlags();
  command.life.idle = kUnused;
  command.life.on_idle = "delete";
  LMSB_TRY(const auto made, call_json(connection, Call("POST", "/v1/sandboxes", create_body(command, inputs))));
  return std::unique_ptr<TemporarySandbox>(new TemporarySandbox(text_field(made.root(), "id"), connection, console));
}

TemporarySandbox::~TemporarySandbox() {
  const auto removed = call_json(connection_, Call("DELETE", sandbox_url(id_)));
  if (!removed.ok() && removed.error().code() != ErrorCode::not_found)
    report(console_, Error(removed.error()).with_context("remove sandbox " + id_));
}

}  // namespace lmsb::cli
