#include "control/registry.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "base/text.h"
#include "control/named.h"
#include "control/names.h"
#include "control/paging.h"

namespace lmsb::control {
namespace {

bool may_see(const Principal& who, const KeptSandbox& sandbox) { return who.sees(sandbox.owner, sandbox.info.labels); }

Error not_found(const std::string& id_or_name) {
  return Error(ErrorCode::not_found, "no sandbox " + quoted(id_or_name))
      .with_slug("sandbox_not_found")
      .with_hint("lm-sandbox ls shows what there is");
}

}  // namespace

Error disk_lost(const std::string& id) {
  return Error(ErrorCode::failed_precondition, "the disk of sandbox " + id + " is gone, or nothing but it is known")
      .with_slug("disk_lost")
      .with_hint("delete the sandbox");
}

SandboxState KeptSandbox::state() const {
  return handle && handle->channel().is_closed() ? SandboxState::failed : info.state;
}

SandboxInfo KeptSandbox::describe() const {
  SandboxInfo described = info;
  described.state = state();
  return described;
}

void KeptSandbox::move_to(SandboxState state) {
  LMSB_ASSERT(may_move(info.state, state));
  info.state = state;
}

Result<KeptSandbox*> Registry::add(KeptSandbox sandbox) {
  if (by_id_.size() >= kMaxSandboxes)
    return Error(ErrorCode::resource_exhausted, "there are 10000 sandboxes already")
        .with_slug("too_many_sandboxes")
        .with_hint("remove some of them: lm-sandbox ls --state stopped shows those that do not run");
  if (has_name(sandbox.info.name)) return name_taken("sandbox", sandbox.info.name);
  const std::string id = sandbox.info.id;
  return &by_id_.emplace(id, std::move(sandbox)).first->second;
}

bool Registry::has_name(const std::string& name) const {
  if (name.empty()) return false;
  return std::any_of(by_id_.begin(), by_id_.end(), [&](const auto& entry) { return entry.second.info.name == name; });
}

Result<KeptSandbox*> Registry::get(const std::string& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return not_found(id);
  return &found->second;
}

Result<KeptSandbox*> Registry::find(const Principal& who, const std::string& id_or_name) {
  const auto sees = [&who](const KeptSandbox& sandbox) { return may_see(who, sandbox); };
  const auto name = [](const KeptSandbox& sandbox) -> const std::string& { return sandbox.info.name; };
  const auto found = find_named(by_id_, id_or_name, "", sees, name);
  if (found.empty()) return not_found(id_or_name);
  if (found.size() == 1) return found.front();
  return Error(ErrorCode::invalid_argument, quoted(id_or_name) + " begins more than one sandbox id")
      .with_slug("sandbox_ambiguous")
      .with_hint("say more of it: " + found.front()->info.id + ", " + found.back()->info.id + " or another one");
}

Error being_stopped(const std::string& id) {
  return Error(ErrorCode::failed_precondition, "sandbox " + id + " is being stopped")
      .with_slug("sandbox_stopping")
      .with_hint("POST /v1/sandboxes/{id}/start, or lm-sandbox start, waits for that and starts it again");
}

Result<Visit> KeptSandbox::visit() const {
  if (state() == SandboxState::paused)
    return Error(ErrorCode::failed_precondition, "sandbox " + info.id + " is paused")
        .with_slug("sandbox_paused")
        .with_hint("POST /v1/sandboxes/{id}/resume, or lm-sandbox resume, lets it go on");
  if (is_stopping) return being_stopped(info.id);
  if (!handle && info.state == SandboxState::lost) return disk_lost(info.id);
  if (!handle)
    return Error(ErrorCode::failed_precondition, "sandbox " + info.id + " is stopped")
        .with_slug("sandbox_stopped")
        .with_hint("POST /v1/sandboxes/{id}/start, or lm-sandbox start, starts it on its disk");
  return Visit{handle, processes, defaults, Life::Use(life)};
}

Result<Visit> KeptSandbox::visit_to_talk() const {
  if (is_stopping && handle) return Visit{handle, processes, defaults, Life::Use(life)};
  return visit();
}

Result<Visit> Registry::visit(const Principal& who, const std::string& id_or_name) {
  LMSB_TRY(const KeptSandbox* sandbox, find(who, id_or_name));
  return sandbox->visit();
}

Result<Visit> Registry::come_back(const Principal& who, const std::string& id) {
  if (by_id_.contains(id)) return visit(who, id);
  return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost");
}

Result<SandboxPage> Registry::list(const Principal& who, std::optional<SandboxState> state,
                                   const std::map<std::string, std::string>& labels, std::size_t limit,
                                   const std::string& cursor) const {
  std::vector<const KeptSandbox*> matching;
  for (const auto& [id, sandbox] : by_id_)
    if (may_see(who, sandbox) && (!state || sandbox.state() == *state) && has_labels(sandbox.info.labels, labels) &&
        order_key(sandbox.info) > cursor)
      matching.push_back(&sandbox);
  const auto info_of = [](const KeptSandbox& sandbox) -> const SandboxInfo& { return sandbox.info; };
  const auto show = [](const KeptSandbox& sandbox) { return sandbox.describe(); };
  return first_page<SandboxPage>(std::move(matching), limit, info_of, show);
}

std::optional<KeptSandbox> Registry::take(const std::string& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  KeptSandbox sandbox = std::move(found->second);
  by_id_.erase(found);
  return sandbox;
}

}  // namespace lmsb::control
