// A launch plan as the launcher gets it from the daemon, which it does not trust.
#include <algorithm>
#include <cstring>

#include "base/ids.h"
#include "base/rel_path.h"
#include "fuzz.h"
#include "sandbox/launch_plan.h"

namespace {

using lmsb::sandbox::LaunchPlan;

constexpr std::string_view kImageLetters = "abcdefghijklmnopqrstuvwxyz0123456789._-";

// What the launcher makes paths and names of kernel objects from.
void check_names(const LaunchPlan& plan) {
  LMSB_ASSERT(std::memchr(plan.id.data(), '\0', plan.id.size()) != nullptr);
  LMSB_ASSERT(lmsb::SandboxId::parse(plan.id.data()).has_value());
  LMSB_ASSERT(std::memchr(plan.image.data(), '\0', plan.image.size()) != nullptr);
  const std::string_view image = plan.image.data();
  if (plan.root == lmsb::guest_protocol::RootKind::mounted)
    LMSB_ASSERT(!image.empty() && image[0] != '.' && image.find_first_not_of(kImageLetters) == std::string_view::npos);
  LMSB_ASSERT(plan.mount_count <= plan.mounts.size());
  for (std::uint32_t i = 0; i < plan.mount_count; ++i) {
    const auto& target = plan.mounts[i].target;
    LMSB_ASSERT(std::memchr(target.data(), '\0', target.size()) != nullptr && lmsb::RelPath::parse(target.data()));
  }
}

// One fact a line: what a plan names cannot make it look like another one.
void check_text(const LaunchPlan& plan) {
  const std::string text = to_text(plan);
  const auto is_control = [](char c) { return c != '\n' && static_cast<unsigned char>(c) < ' '; };
  const bool is_root = plan.profile == lmsb::guest_protocol::Profile::root;
  LMSB_ASSERT(is_root || plan.profile == lmsb::guest_protocol::Profile::user);
  LMSB_ASSERT(text.starts_with(is_root ? "profile root\n" : "profile user\n"));
  LMSB_ASSERT(std::none_of(text.begin(), text.end(), is_control));
  LMSB_ASSERT(text.find("\nprofile") == std::string::npos);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Behind the end of a short input stands a valid plan, so that single values are reached.
  static const LaunchPlan kValid = *lmsb::sandbox::plan(lmsb::sandbox::SandboxSpec());
  LaunchPlan plan = kValid;
  std::memcpy(static_cast<void*>(&plan), data, std::min(size, sizeof plan));
  if (!validate(plan).ok()) return 0;
  check_names(plan);
  check_text(plan);
  return 0;
}
