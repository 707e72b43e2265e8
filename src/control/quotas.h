#pragma once
// Quotas: how much each owner with a quota has, and whether he may have more. Counted anew each time from what there
// is, so that nothing has to be written down or given back; what is on its way to be, or to go, counts as long as a
// Held lives.
//
// One with a network counts for the memory of its gate as well, as it does for admission. The gate's CPU counts for
// nobody.
//
// Costs nothing for an owner without a quota. One loop, one thread.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "control/key_service.h"
#include "control/registry.h"

namespace lmsb::control {

struct Holding {
  std::uint64_t sandboxes = 0;
  std::uint64_t memory = 0;  // bytes, as disk
  std::uint64_t cpu_millis = 0;
  std::uint64_t disk = 0;
  Holding& operator+=(const Holding& more);
};

// What one that lives counts for, and a kept one, be it a stopped one; and a copy of a disk.
Holding running(const Limits& limits, bool has_network);
Holding kept(const Limits& limits);
Holding disk_of(const Limits& limits);
// Of a kept one that begins: both.
Holding begun(const Limits& limits, bool has_network);
// What a network adds to what one that lives counts for.
Holding gate();
// What that one counts for.
Holding holding_of(const KeptSandbox& sandbox);
// What one would count for more than it does, by other limits.
Holding growth(const KeptSandbox& sandbox, const Limits& limits);

class Quotas {
 public:
  struct Parts {
    Registry& registry;
    std::function<const Quota*(const std::string& owner)> quota_of;     // nullptr: none
    std::function<std::uint64_t(const std::string& owner)> other_disk;  // limits of his volumes and snapshots
  };
  explicit Quotas(Parts parts) : parts_(std::move(parts)) {}

  // It may go before what is held.
  using Held = std::shared_ptr<const void>;
  // Counts for `owner` until it is dropped; null: he has no quota. Error: quota_exceeded.
  Result<Held> take(const std::string& owner, const Holding& more);
  // The same, unasked: of what he has, and is about to go.
  Held hold(const std::string& owner, const Holding& what);
  // That sandbox counts as one that lives until this is dropped by all who have it, whether it lives or not. Nothing is
  // asked of one that does so already. Error: quota_exceeded.
  Result<Held> take_running(KeptSandbox& sandbox);
  // Whether `owner` may have so much more. Error: quota_exceeded.
  Status check(const std::string& owner, const Holding& more) const;

 private:
  using Pending = std::multimap<std::string, Holding>;  // by owner, one for each that is held
  Holding held(const std::string& owner) const;

  Parts parts_;
  std::shared_ptr<Pending> pending_ = std::make_shared<Pending>();
};

}  // namespace lmsb::control
