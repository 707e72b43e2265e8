// GET /v1/sandboxes/{id}/logs: what the detached processes of a sandbox have written, and write.
#include <algorithm>
#include <iterator>
#include <string_view>

#include "base/text.h"
#include "control/process_service.h"
#include "server/log_events.h"
#include "server/process_events.h"
#include "server/query_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::Stream;

constexpr std::uint64_t kTail = 8192;  // of each stream in a whole answer: there may be 256 processes
constexpr std::chrono::milliseconds kNow{0};
constexpr std::ptrdiff_t kMostFollowed = 32;

// What is left in front of a character that began earlier.
std::size_t torn_begin(std::string_view text) {
  std::size_t size = 0;
  while (size < std::min<std::size_t>(text.size(), 3) && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U)
    ++size;
  return size;
}

// The end of one stream.
void write_tail(json::Writer& out, const std::string& process, Stream stream, control::OutputPiece piece) {
  const std::size_t older = piece.data.size() - std::min<std::size_t>(piece.data.size(), kTail);
  std::string_view tail = std::string_view(piece.data).substr(older);
  const std::size_t torn = piece.offset + older == 0 ? 0 : torn_begin(tail);
  std::string_view text = tail.substr(torn);
  if (!piece.ended) text.remove_suffix(incomplete_utf8_end(text));  // the rest is still to come
  piece.offset += older;
  const bool is_text = is_utf8(text);
  if (is_text) piece.offset += torn;
  out.begin_object().key("process").string(process);
  out.key("stream").string(stream == Stream::err ? "stderr" : "stdout").key("offset").unsigned_integer(piece.offset);
  if (is_text) {
    out.key("text").string(text);
  } else {
    out.key("base64").string(base64_encode(tail));
  }
  out.end_object();
}

io::Task<http::Response> tails(Control& control, control::Principal who, std::string sandbox,
                               std::vector<control::ProcessInfo> processes) {
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const control::ProcessInfo& process : processes) {
    for (const Stream stream : {Stream::out, Stream::err}) {
      auto piece = co_await control.processes().output(who, sandbox, process.id, stream, 0, kNow);
      if (piece.ok() && piece->end > kTail)
        piece = co_await control.processes().output(who, sandbox, process.id, stream, piece->end - kTail, kNow);
      if (!piece.ok() && piece.error().slug() != "process_not_found") co_return std::move(piece).error();
      if (!piece.ok() || piece->end == 0) continue;  // it has been forgotten meanwhile, or has written nothing
      write_tail(out, process.id, stream, *std::move(piece));
    }
  }
  out.end_array().key("next_cursor").null().end_object();
  co_return http::Response::json(200, std::move(out).str());
}

// Of those that have ended, or of those that run.
Result<std::vector<LogSource>> sources_of(Control& control, const Call& call,
                                          const std::vector<control::ProcessInfo>& processes, bool ended, bool wait) {
  std::vector<LogSource> sources;
  for (const control::ProcessInfo& process : processes) {
    if (process.result.has_value() != ended) continue;
    control::FollowFrom from;
    from.wait = wait;
    from.offsets.fill(0);
    LMSB_TRY(auto stream, control.processes().follow(call.who, call.request.params.at("id"), process.id, from));
    sources.push_back({process.id, std::make_unique<CommandEvents>(std::move(stream))});
  }
  return sources;
}

// Each that runs holds an event of up to 64 KiB for a client that is slow.
Status check_count(const std::vector<control::ProcessInfo>& processes) {
  const auto running = std::count_if(processes.begin(), processes.end(), [](const auto& info) { return !info.result; });
  if (running <= kMostFollowed) return {};
  return Error(ErrorCode::invalid_argument, std::to_string(running) + " detached processes run, and " +
                                                std::to_string(kMostFollowed) + " can be followed at once")
      .with_slug("too_many_to_follow")
      .with_hint("follow one: GET /v1/sandboxes/{id}/processes/{process}/output?follow=true");
}

io::Task<http::Response> logs(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {"follow"}));
  LMSB_CO_TRY(const bool follow, flag_of(call.request.query, "follow", false));
  std::string id = call.request.params["id"];
  LMSB_CO_TRY(auto processes, control.processes().list(call.who, id));
  std::erase_if(processes, [](const control::ProcessInfo& info) { return info.is_attached; });  // of their callers
  const AnswerFormat format = wanted_format(call.request.headers, follow ? AnswerFormat::ndjson : AnswerFormat::json);
  if (format == AnswerFormat::json && follow)
    co_return invalid_query("follow needs Accept: application/x-ndjson or text/event-stream");
  if (format == AnswerFormat::json)
    co_return co_await tails(control, std::move(call.who), std::move(id), std::move(processes));
  if (follow) LMSB_CO_CHECK(check_count(processes));
  LMSB_CO_TRY(auto ended, sources_of(control, call, processes, true, follow));
  LMSB_CO_TRY(auto running, sources_of(control, call, processes, false, follow));
  if (follow) co_return event_answer(followed_log(std::move(ended), std::move(running)), format);
  std::move(running.begin(), running.end(), std::back_inserter(ended));
  co_return event_answer(log_so_far(std::move(ended)), format);
}

}  // namespace

void add_log_routes(RouteTable& table, Control& control) {
  table.add_asking("GET", "/v1/sandboxes/{id}/logs", [&control](Call call) { return logs(control, std::move(call)); });
}

}  // namespace lmsb::server
