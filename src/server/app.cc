#include "server/app.h"

#include "http/body.h"
#include "server/anthropic_routes.h"
#include "server/ollama_routes.h"
#include "server/openai_routes.h"
#include "server/ops_routes.h"
#include "server/query_fields.h"
#include "server/refusal_log.h"
#include "server/request_metrics.h"
#include "server/seed_routes.h"
#include "server/unread_request.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kWhenReady = "try again in a moment: GET /readyz says when";

RouteTable make_table(control::Control& control, Metrics& metrics, const Doors& doors, const Previews& previews,
                      const AppOptions& options) {
  RouteTable table;
  add_seed_routes(table, control, options.run_bash_sandbox);
  add_run_routes(table, control);
  add_sandbox_routes(table, control);
  add_lifecycle_routes(table, control);
  add_snapshot_routes(table, control);
  add_volume_routes(table, control);
  add_key_routes(table, control);
  add_event_routes(table, control);
  add_exec_routes(table, control);
  add_session_routes(table, control);
  add_process_routes(table, control);
  add_log_routes(table, control);
  add_pty_routes(table, control);
  add_port_routes(table, control, doors, previews);
  add_file_routes(table, control);
  add_file_operation_routes(table, control);
  add_file_watch_routes(table, control);
  add_image_routes(table, control);
  add_model_routes(table, control);
  add_openai_routes(table, control);
  add_anthropic_routes(table, control);
  add_ollama_routes(table, control);
  add_ollama_store_routes(table, control);
  add_info_routes(table, control, previews);
  add_ledger_routes(table, control);
  add_ops_routes(table, control, metrics);
  return table;
}

// A browser asks whether a page of a listed origin may send what it is about to send.
bool is_preflight(const http::Request& request) {
  return request.method == "OPTIONS" && request.headers.find("Origin") &&
         request.headers.find("Access-Control-Request-Method");
}

http::Response preflight_answer() {
  http::Response response = http::Response::no_content();
  response.headers.set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE");
  response.headers.set("Access-Control-Allow-Headers",
                       "Authorization, Content-Type, Idempotency-Key, X-API-Key, anthropic-version, anthropic-beta, "
                       "anthropic-dangerous-direct-browser-access");
  response.headers.set("Access-Control-Max-Age", "600");
  return response;
}

// Of our own paths: clients of other APIs send what those know.
Status check_query(const http::Request& request, const RouteRow& row) {
  if (dialect_of(request.path) != Dialect::v1) return {};
  if (!row.reads_query) LMSB_CHECK(check_names(request.query, {}));
  return check_once(request.target);
}

// Who sends one wants to be sure that nothing is done twice: where that is not so he is to know.
Status check_key(const http::Request& request, const RouteRow& row) {
  if (row.takes_key || request.method != "POST" || dialect_of(request.path) != Dialect::v1) return {};
  if (!request.headers.find("Idempotency-Key")) return {};
  return Error(ErrorCode::invalid_argument, "this request takes no Idempotency-Key: sent again, it is done again")
      .with_slug("idempotency_key_not_taken")
      .with_hint("leave it out; what makes a sandbox, a snapshot, forks or a volume, or imports a snapshot, takes one");
}

// What is still asked of a request once its handler has taken it.
struct Asked {
  std::string method;
  std::string path;
  std::string listed_origin;  // "" = none
  const RouteRow* row = nullptr;
  Clock::time_point begin;
};

}  // namespace

struct App::State {
  State(control::Control& c, Metrics& metrics, Logger& logger, const AppOptions& options)
      : control(c),
        doors(options.doors, &control.keys()),
        previews(control, doors),
        table(make_table(control, metrics, doors, previews, options)),
        counts(metrics, table),
        log(logger),
        refusals(logger) {}

  // The refusal, or nothing: then `who` may call the matched handler.
  std::optional<http::Response> receive(const http::Request& request, const RouteTable::Match& match,
                                        control::Principal& who);
  io::Always<http::Response> answer(http::Request request);
  Asked remember(const http::Request& request, const RouteRow* row) const;
  http::Response conclude(const Asked& asked, http::Response response);
  void count_and_log(const Asked& asked, const http::Response& response);
  io::Always<http::Response> answer_preview(PreviewHost place, http::Request request);
  http::Response failed(const std::string& path, const Error& error);
  http::Response refused(const http::Request& request, const Refusal& refusal);

  control::Control& control;
  Doors doors;
  Previews previews;
  RouteTable table;
  RequestMetrics counts;
  Logger& log;
  RefusalLog refusals;
};

http::Response App::State::refused(const http::Request& request, const Refusal& refusal) {
  refusals.add(request, refusal);
  return refusal_answer(request.path, refusal.status, refusal.error);
}

std::optional<http::Response> App::State::receive(const http::Request& request, const RouteTable::Match& match,
                                                  control::Principal& who) {
  if (auto refusal = doors.check_source(request)) return refused(request, *refusal);
  if (is_preflight(request) && doors.is_listed_origin(*request.headers.find("Origin"))) return preflight_answer();
  if (match.row == nullptr || !match.row->is_public) {
    auto principal = doors.authenticate(request);
    if (!principal.ok()) return refused(request, {http_status(principal.error().code()), principal.error()});
    who = *std::move(principal);
    if (request.on_behalf_of) *request.on_behalf_of = who.name;
  }
  if (match.row == nullptr) {
    return match.allowed_methods.empty() ? no_such_path(dialect_of(request.path), "/docs lists all paths")
                                         : wrong_method(dialect_of(request.path), match.allowed_methods);
  }
  if (!match.row->is_early && !control.is_ready()) return error_answer(dialect_of(request.path), not_ready(kWhenReady));
  if (match.row->takes_any_body) return std::nullopt;
  if (const Status asked = check_query(request, *match.row); !asked.ok())
    return error_answer(dialect_of(request.path), asked.error());
  if (const Status key = check_key(request, *match.row); !key.ok())
    return error_answer(dialect_of(request.path), key.error());
  if (const auto refusal = match.row->streamed_body ? doors.check_streamed_body(request) : doors.check_body(request)) {
    return refusal_answer(request.path, refusal->status, refusal->error);
  }
  return std::nullopt;
}

http::Response App::State::failed(const std::string& path, const Error& error) {
  if (error.code() == ErrorCode::internal) {
    counts.count_bug();
    log.log(LogLevel::error, "http.failed", {{"path", path}, {"error", error.message()}});
  }
  return error_answer(dialect_of(path), error);
}

Asked App::State::remember(const http::Request& request, const RouteRow* row) const {
  Asked asked;
  asked.begin = Clock::now();
  asked.method = request.method;
  asked.path = request.path;
  asked.row = row;
  if (const auto origin = request.headers.find("Origin"); origin && doors.is_listed_origin(*origin)) {
    asked.listed_origin = std::string(*origin);
  }
  return asked;
}

// The part of every answer that no handler writes.
http::Response App::State::conclude(const Asked& asked, http::Response response) {
  response.headers.set("X-Content-Type-Options", "nosniff");
  if (!asked.listed_origin.empty()) {
    response.headers.set("Access-Control-Allow-Origin", asked.listed_origin);
    response.headers.set("Vary", "Origin");
  }
  count_and_log(asked, response);
  return response;
}

void App::State::count_and_log(const Asked& asked, const http::Response& response) {
  const auto time = Clock::now() - asked.begin;
  counts.count(asked.row, response.status, time);
  if (log.enabled(LogLevel::debug)) {
    log.log(LogLevel::debug, "http.answered",
            {{"method", asked.method},
             {"path", asked.path},
             {"status", response.status},
             {"ms", std::chrono::duration<double, std::milli>(time).count()}});
  }
}

// By the name of a port of a sandbox: nothing of the API is there, and its answers are the sandbox's own.
io::Always<http::Response> App::State::answer_preview(PreviewHost place, http::Request request) {
  const Asked asked = remember(request, nullptr);
  Previews::Entry entry = previews.receive(place, request);
  http::Response response;
  if (entry.refusal) {
    refusals.add(request, *entry.refusal);
    response = error_answer(Dialect::v1, entry.refusal->status, entry.refusal->error);
  } else if (!control.is_ready()) {
    response = error_answer(Dialect::v1, not_ready(kWhenReady));
  } else {
    if (request.on_behalf_of) *request.on_behalf_of = entry.on_behalf_of;
    auto result = co_await previews.answer(std::move(place), std::move(entry), std::move(request));
    response = result.ok() ? *std::move(result) : error_answer(Dialect::v1, result.error());
  }
  count_and_log(asked, response);
  co_return response;
}

io::Always<http::Response> App::State::answer(http::Request request) {
  if (auto place = PreviewHost::parse(request.headers.find("Host").value_or(""))) {
    co_return co_await answer_preview(*std::move(place), std::move(request));
  }
  RouteTable::Match match = table.match(request.method, request.encoded_path);
  const Asked asked = remember(request, match.row);
  Call call;
  if (auto refusal = receive(request, match, call.who)) co_return conclude(asked, *std::move(refusal));
  call.request = std::move(request);
  call.request.params = std::move(match.params);
  if (match.row->streamed_body && !call.request.incoming) {  // it did not come by a server
    call.request.incoming = http::reader_of(std::move(call.request.body));
    call.request.body.clear();
  }
  auto result = co_await match.row->handler(std::move(call));
  http::Response response = result.ok() ? *std::move(result) : failed(asked.path, result.error());
  co_return conclude(asked, std::move(response));
}

App::App(control::Control& control, Metrics& metrics, Logger& log, const AppOptions& options)
    : state_(std::make_unique<State>(control, metrics, log, options)) {}

App::~App() = default;

http::Serve App::serve() {
  return [state = state_.get()](http::Request request) { return state->answer(std::move(request)); };
}

http::StreamedBody App::streamed_body() const {
  return [table = &state_->table](const http::Request& request) {
    if (PreviewHost::parse(request.headers.find("Host").value_or(""))) return std::optional(Bytes(UINT64_MAX));
    return table->streamed_body(request.method, request.encoded_path);
  };
}

http::Response App::refuse(const std::string& path, int status, const std::string& why) {
  const Refusal refusal = unread_request(status, why);
  return refusal_answer(path, refusal.status, refusal.error);
}

std::vector<std::string> App::set_doors(DoorPolicy policy) {
  const Doors before = std::exchange(state_->doors, Doors(std::move(policy), &state_->control.keys()));
  return before.principals_not_of(state_->doors);
}

void App::set_listening_port(std::uint16_t port, bool is_tls, std::string host) {
  state_->previews.set_listening_port(port, is_tls, std::move(host));
}

const RouteTable& App::routes() const { return state_->table; }

}  // namespace lmsb::server
