#include "server/process_octets.h"

#include <array>
#include <string_view>
#include <utility>

#include "server/accept.h"
#include "server/answers.h"

namespace lmsb::server {
namespace {

using control::CommandEvent;

Error lost_octets() { return Error(ErrorCode::unavailable, "octets of the output are lost"); }

}  // namespace

bool wants_octets(const http::Headers& headers) {
  constexpr std::array<std::string_view, 4> kTypes = {"application/json", "application/x-ndjson", "text/event-stream",
                                                      "application/octet-stream"};
  return most_wanted(headers, kTypes, 0) == std::size_t{3};
}

CommandOctets::CommandOctets(std::shared_ptr<control::CommandStream> events, control::Stream stream,
                             std::uint64_t offset, std::shared_ptr<io::PipeRelay> relay)
    : events_(std::move(events)), stream_(stream), offset_(offset), relay_(std::move(relay)) {}

io::Task<std::string> CommandOctets::next() {
  LMSB_CO_TRY(auto piece, co_await next_piece());
  if (piece.relay) co_return lost_octets();  // who has a relay asks for pieces
  co_return std::move(piece.octets);
}

io::Task<http::BodyPiece> CommandOctets::next_piece() {
  while (true) {
    LMSB_CO_TRY(auto event, co_await events_->next(io::Deadline::never()));
    if (!event) co_return http::BodyPiece();
    if (event->kind == CommandEvent::Kind::result) {
      LMSB_CO_CHECK(end(*event->result));
    } else if (event->kind == CommandEvent::Kind::output && event->stream == stream_) {
      co_return take(*std::move(event));
    }
  }
}

Result<http::BodyPiece> CommandOctets::take(CommandEvent event) {
  if (event.offset != offset_) return lost_octets();
  http::BodyPiece piece;
  if (event.relayed > 0) piece.relay = relay_;
  piece.octets = std::move(event.data);
  offset_ += piece.size();
  return piece;
}

// What was killed on its way has still written all that came; what nobody knows the end of may have written more.
Status CommandOctets::end(const control::ExecResult& result) {
  if (result.outcome == control::Outcome::lost || result.outcome == control::Outcome::cancelled) return lost_octets();
  trailer_.set("X-Outcome", std::string(to_string(result.outcome)));
  if (result.exit_code) trailer_.set("X-Exit-Code", std::to_string(*result.exit_code));
  return {};
}

http::Response octets_answer(std::shared_ptr<CommandOctets> octets) {
  http::Response response = streamed_answer("application/octet-stream", std::move(octets));
  response.headers.set("X-Content-Type-Options", "nosniff");
  response.headers.set("Content-Disposition", "attachment");
  response.headers.set("Trailer", "X-Outcome, X-Exit-Code");
  return response;
}

}  // namespace lmsb::server
