// Client: connections on which something else is spoken after the answer's head.
#include <functional>

#include <boost/asio/this_coro.hpp>

#include "base/text.h"
#include "http/answer_reader.h"
#include "http/client.h"
#include "http/client_wire.h"
#include "io/alarm.h"

namespace lmsb::http {
namespace asio = boost::asio;
namespace {

io::Task<void> read_more(ClientWire& wire, AnswerReader& reader) {
  LMSB_CO_TRY(const std::span<char> room, reader.room());
  LMSB_CO_TRY(const std::size_t count, co_await wire.read_some(room));
  co_return count == 0 ? reader.end() : reader.took(count);
}

// All three are of open_upgrade()'s frame.
io::Task<UpgradeOpening> ask(const Endpoint& endpoint, const ClientRequest& request, ClientWire& wire) {
  LMSB_CO_TRY(const std::string octets, to_octets(request, host_field(endpoint)));
  LMSB_CO_CHECK(co_await wire.open(endpoint));
  LMSB_CO_CHECK(co_await wire.write(octets, {}));
  AnswerReader reader(request.max_body, false);
  while (!reader.has_head()) LMSB_CO_CHECK(co_await read_more(wire, reader));
  UpgradeOpening opening;
  if (reader.response().status == 101) {
    LMSB_CO_TRY(UniqueFd socket, wire.release());
    opening.connection.emplace(io::HeldSocket(std::move(socket)), reader.rest());
    co_return opening;
  }
  while (!reader.is_complete()) LMSB_CO_CHECK(co_await read_more(wire, reader));
  opening.refusal = std::move(reader.response());
  co_return opening;
}

}  // namespace

io::Task<UpgradeOpening> open_upgrade(Endpoint endpoint, ClientRequest request) {
  const auto loop = co_await asio::this_coro::executor;
  ClientWire wire(loop);
  std::function<void()> stop = [&wire] { wire.give_up(); };
  const io::Alarm alarm(loop, io::Deadline::in(request.timeout), std::move(stop));
  auto opened = co_await ask(endpoint, request, wire);
  if (opened.ok()) co_return opened;
  const std::string step = quoted(request.target) + " of " + describe(endpoint);
  if (wire.gave_up()) co_return Error(ErrorCode::deadline_exceeded, step + ": no answer within the time limit");
  co_return std::move(opened).error().with_context(step);
}

}  // namespace lmsb::http
