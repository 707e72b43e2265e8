#include "server/refusal_log.h"

namespace lmsb::server {
namespace {

constexpr std::chrono::minutes kWindow{1};
constexpr std::uint64_t kMaxInWindow = 60;

}  // namespace

void RefusalLog::add(const http::Request& request, const Refusal& refusal, Time now) {
  if (now - window_ >= kWindow) {
    if (in_window_ > kMaxInWindow) {
      log_.log(LogLevel::warning, "http.refused_more", {{"count", in_window_ - kMaxInWindow}});
    }
    window_ = now;
    in_window_ = 0;
  }
  if (++in_window_ > kMaxInWindow) return;
  log_.log(LogLevel::warning, "http.refused",
           {{"status", refusal.status},
            {"why", refusal.error.slug()},
            {"peer", request.peer.address},
            {"path", request.path}});
}

}  // namespace lmsb::server
