// GET /v1/sandboxes/{id}/pty: a terminal, over a WebSocket (terminal_session.h). A new shell, or with `process` that of
// a process which is there, from `offset` on.
#include "server/query_fields.h"
#include "server/terminal_session.h"
#include "server/v1_routes.h"
#include "server/web_sockets.h"

namespace lmsb::server {
namespace {

using control::Control;

constexpr std::uint64_t kMaxSize = 10'000;

Result<control::TerminalSize> parse_size(const Query& query) {
  LMSB_TRY(const std::uint64_t columns, number_of(query, "cols", 80, kMaxSize));
  LMSB_TRY(const std::uint64_t rows, number_of(query, "rows", 24, kMaxSize));
  if (columns == 0 || rows == 0) return invalid_query("cols and rows are 1 at least");
  return control::TerminalSize{static_cast<std::uint16_t>(columns), static_cast<std::uint16_t>(rows)};
}

std::string text_of(const Query& query, const std::string& name) {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

// The process whose terminal is meant: a new one where none is named.
io::Task<std::string> process_of(Control& control, const Call& call, control::TerminalSize size) {
  std::string named = text_of(call.request.query, "process");
  const std::string sandbox = call.request.params.at("id");
  if (!named.empty()) {
    LMSB_CO_CHECK(control.processes().resize(call.who, sandbox, named, size));
    co_return named;
  }
  control::StartProcess start;
  start.terminal = size;
  start.command.cmd = text_of(call.request.query, "cmd");
  start.command.cwd = text_of(call.request.query, "cwd");
  start.command.timeout = std::chrono::milliseconds(0);
  LMSB_CO_TRY(auto info, co_await control.processes().start(call.who, sandbox, std::move(start)));
  co_return std::move(info.id);
}

io::Task<http::Response> pty(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {"process", "offset", "cols", "rows", "cmd", "cwd"}));
  LMSB_CO_TRY(const std::uint64_t offset, number_of(call.request.query, "offset", 0, UINT64_MAX));
  LMSB_CO_TRY(const auto size, parse_size(call.request.query));
  // Nothing is started for whoever does not speak WebSocket.
  if (http::check_web_socket(call.request)) co_return open_web_socket(call, nullptr);
  LMSB_CO_TRY(const std::string process, co_await process_of(control, call, size));
  LMSB_CO_TRY(auto holder, control.processes().take_terminal(call.who, call.request.params["id"], process));
  const control::Principal who = call.who;
  co_return open_web_socket(call, make_terminal_session(control.processes(), who, std::move(holder), offset));
}

}  // namespace

void add_pty_routes(RouteTable& table, Control& control) {
  table.add("GET", "/v1/sandboxes/{id}/pty", [&control](Call call) { return pty(control, std::move(call)); });
}

}  // namespace lmsb::server
