#include "server/web_sockets.h"

#include <utility>

#include "server/answers.h"

namespace lmsb::server {

http::Response open_web_socket(const Call& call, std::shared_ptr<http::WebSocketSession> session,
                               http::WebSocketOptions options) {
  const auto refusal = http::check_web_socket(call.request);
  if (!refusal) return http::web_socket_answer(call.request, std::move(session), std::move(options));
  Error error(ErrorCode::invalid_argument, refusal->detail);
  if (refusal->status == 426) {
    error = Error(ErrorCode::invalid_argument, refusal->detail)
                .with_slug("upgrade_required")
                .with_hint("open it with a WebSocket client: a browser's `new WebSocket(url)`, websocat, lm-sandbox");
  }
  http::Response response = error_answer(dialect_of(call.request.path), refusal->status, error);
  http::add_web_socket_headers(response);
  return response;
}

}  // namespace lmsb::server
