// Messages to the launcher: requests of a daemon, offers of callers; and the tokens that name what was offered.
#include <cstring>
#include <vector>

#include "fuzz.h"
#include "sandbox/launcher_request.h"

namespace {

using namespace lmsb::sandbox;

void check_request(const std::vector<std::uint8_t>& message) {
  const LauncherRequest request = parse_launcher_request(message.data(), static_cast<ssize_t>(message.size()));
  if (const auto* launch = std::get_if<LaunchRequest>(&request)) {
    LMSB_ASSERT(message.size() == sizeof *launch && launch->header.operation == LauncherOperation::launch);
    if (validate(launch->plan).ok()) (void)to_text(launch->plan);
  } else if (const auto* destroy = std::get_if<DestroyRequest>(&request)) {
    LMSB_ASSERT(message.size() == sizeof *destroy && destroy->header.operation == LauncherOperation::destroy);
  } else if (const auto* limit = std::get_if<LimitRequest>(&request)) {
    LMSB_ASSERT(message.size() == sizeof *limit && limit->header.operation == LauncherOperation::limit);
  } else if (message.size() < sizeof(LauncherHeader)) {
    LMSB_ASSERT(std::get<UnknownRequest>(request).request == 0);
  }
}

void check_token(std::string_view text) {
  if (const auto token = parse_mount_token(std::string(text)))
    LMSB_ASSERT(parse_mount_token(to_text(*token)) == token && text.size() == 32);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lmsb::fuzz::Input input(data, size);
  const std::uint8_t kind = input.octet();
  const std::string_view rest = input.rest();
  std::vector<std::uint8_t> message(rest.begin(), rest.end());  // of the exact size: one octet too far is seen
  if ((kind & 1U) != 0) message.resize(sizeof(LaunchRequest));  // else hardly ever met
  check_request(message);
  if (is_offer(message.data(), static_cast<ssize_t>(message.size()), kind / 2U % 4U))
    LMSB_ASSERT(message.size() == sizeof(MountOffer));
  check_token(rest);
  return 0;
}
