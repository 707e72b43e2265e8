// GET /v1/sandboxes/{id}/pty: a terminal, over a WebSocket (terminal_session.h). A new shell, or with `process` that of
// a process which is there, from `offset` on.
#include "server/query_fields.h"
#include "server/terminal_session.h"
#include "server/v1_routes.h"
#include "server/web_sockets.h"

namespace lmsb::server {
namespace {

using control::Control;

// Nothing: none is said.
Result<std::optional<control::TerminalSize>> parse_size(const Query& query) {
  control::TerminalSize size;
  LMSB_TRY(const std::uint64_t columns, number_of(query, "cols", size.columns, size.kMax));
  LMSB_TRY(const std::uint64_t rows, number_of(query, "rows", size.rows, size.kMax));
  if (columns == 0 || rows == 0) return invalid_query("cols and rows are 1 at least");
  if (!query.contains("cols") && !query.contains("rows")) return std::optional<control::TerminalSize>();
  size.columns = static_cast<std::uint16_t>(columns);
  size.rows = static_cast<std::uint16_t>(rows);
  return std::optional(size);
}

std::string text_of(const Query& query, const std::string& name) {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

// The process whose terminal is meant: a new one where none is named.
io::Task<std::string> process_of(Control& control, const Call& call, control::TerminalSize size) {
  std::string named = text_of(call.request.query, "process");
  if (!named.empty()) co_return named;
  const std::string sandbox = call.request.params.at("id");
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
  if (call.request.query.contains("process") &&
      (call.request.query.contains("cmd") || call.request.query.contains("cwd")))
    co_return invalid_query("cmd and cwd are of a new process: leave process out, or them");
  // Nothing is started for whoever does not speak WebSocket.
  if (http::check_web_socket(call.request)) co_return open_web_socket(call, nullptr);
  const control::TerminalSize new_size = size.value_or(control::TerminalSize());
  LMSB_CO_TRY(const std::string process, co_await process_of(control, call, new_size));
  LMSB_CO_TRY(auto holder, control.processes().take_terminal(call.who, call.request.params["id"], process));
  if (size && call.request.query.contains("process"))
    LMSB_CO_CHECK(control.processes().resize(call.who, call.request.params["id"], process, *size));
  const control::Principal who = call.who;
  co_return open_web_socket(call, make_terminal_session(control.processes(), who, std::move(holder), offset));
}

}  // namespace

void add_pty_routes(RouteTable& table, Control& control) {
  table.add_asking("GET", "/v1/sandboxes/{id}/pty", [&control](Call call) { return pty(control, std::move(call)); });
}

}  // namespace lmsb::server
