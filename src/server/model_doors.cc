#include "server/model_doors.h"

#include <string>
#include <utility>

#include "http/server.h"
#include "io/spawn.h"
#include "server/answers.h"
#include "server/anthropic_routes.h"
#include "server/ollama_routes.h"
#include "server/openai_routes.h"
#include "server/request_pace.h"
#include "server/unread_request.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

constexpr int kBacklog = static_cast<int>(ModelDoors::kConnections);

std::uint64_t now_ms() {
  const auto now = io::Deadline::Clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

http::ServerLimits limits_of_one() {
  http::ServerLimits limits;
  limits.body = ModelDoors::kBody;
  limits.bodies = ModelDoors::kBodies;
  limits.answers = ModelDoors::kAnswers;
  limits.connections = ModelDoors::kConnections;
  return limits;
}

http::Response not_here(Dialect dialect, const std::vector<std::string>& allowed) {
  if (!allowed.empty()) return wrong_method(dialect, allowed);
  return no_such_path(dialect,
                      "a sandbox asks its models here: GET /v1/models, POST /v1/chat/completions and the like");
}

http::Response refuse(const std::string& path, int status, const std::string& why) {
  const Refusal refusal = unread_request(status, why);
  return error_answer(dialect_of(path), refusal.status, refusal.error);
}

}  // namespace

struct ModelDoors::State {
  State(control::Control& c, Metrics& m) : control(c), metrics(m), doors(DoorPolicy{}) {
    add_model_list_routes(table, control);
    add_openai_routes(table, control);
    add_anthropic_routes(table, control);
    add_ollama_routes(table, control);
  }
  http::Response counted(http::Response response) {
    const std::string status = std::to_string(response.status / 100) + "xx";
    metrics.counter("lmsb_sandbox_model_requests_total", "Requests of sandboxes to their models", {{"status", status}})
        .increment();
    return response;
  }

  control::Control& control;
  Metrics& metrics;
  Doors doors;  // for what they say of hosts, origins and bodies: nobody comes in by them
  RouteTable table;
  std::shared_ptr<http::Server::SharedOctets> bodies = std::make_shared<http::Server::SharedOctets>(kAllBodies);
};

struct ModelDoors::Visitor {
  explicit Visitor(control::Principal w) : who(std::move(w)) {}
  const control::Principal who;
  RequestPace pace;
};

ModelDoors::ModelDoors(boost::asio::io_context& loop, control::Control& control, Metrics& metrics)
    : loop_(loop), state_(std::make_shared<State>(control, metrics)) {}

ModelDoors::~ModelDoors() = default;

const RouteTable& ModelDoors::routes() const { return state_->table; }

Result<std::shared_ptr<void>> ModelDoors::open(control::Principal who, UniqueFd socket) {
  const auto visitor = std::make_shared<Visitor>(std::move(who));
  http::Serve serve = [state = state_, visitor](http::Request request) {
    return answer_in_turn(state, visitor, std::move(request));
  };
  const auto server =
      std::make_shared<http::Server>(loop_, limits_of_one(), std::move(serve), http::StreamedBody(), &refuse);
  server->share_octets(state_->bodies);
  LMSB_CHECK(server->listen_on_foreign(std::move(socket), kBacklog));
  return std::shared_ptr<void>(server);
}

io::Always<http::Response> ModelDoors::answer(control::Principal who, http::Request request) {
  return answer_with(state_, std::move(who), std::move(request));
}

// Who asks faster than that waits: nothing is refused for it.
io::Always<http::Response> ModelDoors::answer_in_turn(std::shared_ptr<State> state, std::shared_ptr<Visitor> visitor,
                                                      http::Request request) {
  const std::size_t size = request.body.size();
  for (auto wait = visitor->pace.wait_ms(size, now_ms()); wait > 0; wait = visitor->pace.wait_ms(size, now_ms())) {
    const Status slept = co_await io::sleep_until(io::Deadline::in(std::chrono::milliseconds(wait)));
    if (!slept.ok()) co_return error_answer(dialect_of(request.path), slept.error());  // the client has gone
  }
  co_return co_await answer_with(std::move(state), visitor->who, std::move(request));
}

io::Always<http::Response> ModelDoors::answer_with(std::shared_ptr<State> state, control::Principal who,
                                                   http::Request request) {
  const Dialect dialect = dialect_of(request.path);
  if (const auto refusal = state->doors.check_source(request))
    co_return state->counted(error_answer(dialect, refusal->status, refusal->error));
  RouteTable::Match match = state->table.match(request.method, request.encoded_path);
  if (match.row == nullptr) co_return state->counted(not_here(dialect, match.allowed_methods));
  if (!state->control.is_ready()) co_return state->counted(error_answer(dialect, not_ready("try again in a moment")));
  if (const auto refusal = state->doors.check_body(request))
    co_return state->counted(error_answer(dialect, refusal->status, refusal->error));
  Call call;
  call.who = std::move(who);
  call.request = std::move(request);
  call.request.params = std::move(match.params);
  auto handling = match.row->handler(std::move(call));
  auto result = co_await std::move(handling);
  co_return state->counted(result.ok() ? *std::move(result) : error_answer(dialect, result.error()));
}

}  // namespace lmsb::server
