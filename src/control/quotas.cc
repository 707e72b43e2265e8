#include "control/quotas.h"

#include <utility>

#include "control/admission.h"

namespace lmsb::control {
namespace {

Error exceeded(const std::string& what) {
  return Error(ErrorCode::resource_exhausted, "this key may have " + what + " at a time")
      .with_slug("quota_exceeded")
      .with_hint(
          "stop or delete sandboxes or volumes of yours, or ask for less; an administrator makes keys with more");
}

bool is_over(std::uint64_t held, std::uint64_t more, std::uint64_t most) {
  return most > 0 && more > 0 && (held > most || more > most - held);
}

// As its policy says; a gate that it had before stays as long as it lives.
bool has_network(const KeptSandbox& sandbox) {
  return sandbox.info.egress.mode != network::Mode::none || (sandbox.handle && sandbox.handle->network);
}

bool counts_as_running(const KeptSandbox& sandbox) { return sandbox.handle || !sandbox.counts_as_running.expired(); }

}  // namespace

Holding& Holding::operator+=(const Holding& more) {
  sandboxes += more.sandboxes;
  memory += more.memory;
  cpu_millis += more.cpu_millis;
  disk += more.disk;
  return *this;
}

Holding running(const Limits& limits, bool has_network) {
  return {0, with_gate(limits, has_network).memory.count(), limits.cpu_millis, 0};
}

Holding kept(const Limits& limits) { return {1, 0, 0, limits.disk.count()}; }

Holding disk_of(const Limits& limits) { return {0, 0, 0, limits.disk.count()}; }

Holding begun(const Limits& limits, bool has_network) {
  Holding one = kept(limits);
  one += running(limits, has_network);
  return one;
}

Holding gate() { return running(Limits{Bytes(0), 0, 0, Bytes(0)}, true); }

Holding holding_of(const KeptSandbox& sandbox) {
  if (!counts_as_running(sandbox)) return kept(sandbox.info.limits);
  return begun(sandbox.info.limits, has_network(sandbox));
}

Holding growth(const KeptSandbox& sandbox, const Limits& limits) {
  const auto more = [](std::uint64_t from, std::uint64_t to) { return to > from ? to - from : 0; };
  const Limits& now = sandbox.info.limits;
  Holding grown;
  grown.disk = more(now.disk.count(), limits.disk.count());
  if (!counts_as_running(sandbox)) return grown;
  grown.memory = more(now.memory.count(), limits.memory.count());
  grown.cpu_millis = more(now.cpu_millis, limits.cpu_millis);
  return grown;
}

Holding Quotas::held(const std::string& owner) const {
  Holding all;
  const auto [first, end] = pending_->equal_range(owner);
  for (auto pending = first; pending != end; ++pending) all += pending->second;
  for (const auto& [id, sandbox] : parts_.registry.all()) {
    if (sandbox.owner == owner) all += holding_of(sandbox);
  }
  all.disk += parts_.other_disk(owner);
  return all;
}

Status Quotas::check(const std::string& owner, const Holding& more) const {
  const Quota* const quota = parts_.quota_of(owner);
  if (quota == nullptr) return {};
  const Holding has = held(owner);
  if (is_over(has.sandboxes, more.sandboxes, quota->sandboxes))
    return exceeded(std::to_string(quota->sandboxes) + " sandboxes");
  if (is_over(has.memory, more.memory, quota->memory.count()))
    return exceeded(format_bytes(quota->memory) + " of memory");
  if (is_over(has.cpu_millis, more.cpu_millis, quota->cpu_millis))
    return exceeded(std::to_string(quota->cpu_millis) + " thousandths of a CPU");
  if (is_over(has.disk, more.disk, quota->disk.count())) return exceeded(format_bytes(quota->disk) + " of disk");
  return {};
}

Result<Quotas::Held> Quotas::take(const std::string& owner, const Holding& more) {
  LMSB_CHECK(check(owner, more));
  return hold(owner, more);
}

Quotas::Held Quotas::hold(const std::string& owner, const Holding& what) {
  if (parts_.quota_of(owner) == nullptr) return {};
  const auto own = pending_->emplace(owner, what);
  return {pending_.get(), [pending = pending_, own](const void*) { pending->erase(own); }};
}

Result<Quotas::Held> Quotas::take_running(KeptSandbox& sandbox) {
  if (Held held = sandbox.counts_as_running.lock()) return held;
  if (!sandbox.handle) LMSB_CHECK(check(sandbox.owner, running(sandbox.info.limits, has_network(sandbox))));
  const auto held = std::make_shared<const bool>();
  sandbox.counts_as_running = held;
  return Held(held);
}

}  // namespace lmsb::control
