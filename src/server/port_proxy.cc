#include "server/port_proxy.h"

#include "control/port_service.h"
#include "server/answers.h"
#include "server/unread_request.h"

namespace lmsb::server {
namespace {

// Of an exchange that has no answer.
Result<http::Response> explain(const Error& error, std::uint16_t port) {
  const Dialect v1 = Dialect::v1;
  const std::string of_port = "port " + std::to_string(port) + " of the sandbox";
  const auto of = [&](ErrorCode code) { return Error(error).with_code(code).with_context(of_port); };
  if (error.slug() == "request_timeout" || error.slug() == "malformed_request") {
    const Refusal refusal = unread_request(error.slug() == "request_timeout" ? 408 : 400, error.message());
    return error_answer(v1, refusal.status, refusal.error);
  }
  switch (error.code()) {
    case ErrorCode::cancelled: return error;
    case ErrorCode::deadline_exceeded: return of(ErrorCode::deadline_exceeded).with_slug("port_timeout");
    case ErrorCode::invalid_argument:
      return error_answer(v1, 502,
                          of(ErrorCode::invalid_argument)
                              .with_slug("port_bad_answer")
                              .with_hint("what does not speak HTTP/1.1 is reached by lm-sandbox port"));
    default:
      return error_answer(v1, 502,
                          of(ErrorCode::unavailable)
                              .with_slug("port_no_answer")
                              .with_hint("look at the output of the server in the sandbox"));
  }
}

}  // namespace

Result<http::Response> no_connection(Error error) {
  const bool is_of_port = error.slug() == "port_not_listening" || error.slug() == "port_no_answer";
  if (is_of_port) return error_answer(Dialect::v1, 502, error);
  return error;
}

io::Task<http::Response> pass_to_port(control::Control& control, control::Principal who, std::string sandbox,
                                      std::uint16_t port, http::ForwardedRequest request) {
  auto socket = co_await control.ports().connect(std::move(who), std::move(sandbox), port);
  if (!socket.ok()) co_return no_connection(std::move(socket).error());
  auto answer = co_await http::forward(*std::move(socket), std::move(request));
  if (answer.ok()) co_return answer;
  co_return explain(answer.error(), port);
}

}  // namespace lmsb::server
