// GET /v1/sandboxes/{id}/logs: what the detached processes of a sandbox have written, and write.
#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "base/text.h"
#include "control/process_service.h"
#include "server/log_events.h"
#include "server/output_times.h"
#include "server/process_events.h"
#include "server/query_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::Stream;

constexpr std::uint64_t kTail = 8192;  // of each stream in a whole answer: there may be 256 processes
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

// What is asked of one of them.
struct Wanted {
  control::Principal who;
  std::string sandbox;
  OutputTimes times;
};

bool is_gone(const Error& error) { return error.slug() == "process_not_found"; }

// The end of what one stream has, or has of the time that is wanted. Nothing: there is none.
io::Task<std::optional<control::OutputPiece>> tail_of(Control& control, Wanted wanted, std::string process,
                                                      Stream stream) {
  const auto which = static_cast<std::size_t>(stream);
  control::FollowFrom from;
  from.offsets[which] = 0;
  LMSB_CO_TRY(from, co_await within(control, wanted.who, wanted.sandbox, process, from, wanted.times));
  control::OutputAsked asked;
  asked.stream = stream;
  asked.offset = *from.offsets[which];
  asked.end = from.ends[which];
  const std::uint64_t begin = asked.offset;
  LMSB_CO_TRY(auto piece, co_await control.processes().output(wanted.who, wanted.sandbox, process, asked));
  const std::uint64_t end = std::min(piece.end, asked.end);
  if (end <= begin) co_return std::optional<control::OutputPiece>();
  if (end - begin > kTail) {
    asked.offset = end - kTail;
    LMSB_CO_TRY(piece, co_await control.processes().output(wanted.who, wanted.sandbox, process, asked));
  }
  co_return std::optional(std::move(piece));
}

io::Task<http::Response> tails(Control& control, Wanted wanted, std::vector<control::ProcessInfo> processes) {
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const control::ProcessInfo& process : processes) {
    for (const Stream stream : {Stream::out, Stream::err}) {
      auto piece = co_await tail_of(control, wanted, process.id, stream);
      if (!piece.ok() && !is_gone(piece.error())) co_return std::move(piece).error();
      if (!piece.ok() || !*piece) continue;  // it has been forgotten meanwhile, or has written nothing
      write_tail(out, process.id, stream, **std::move(piece));
    }
  }
  out.end_array().key("next_cursor").null().end_object();
  co_return http::Response::json(200, std::move(out).str());
}

// Of those that have ended, or of those that run.
io::Task<std::vector<LogSource>> sources_of(Control& control, Wanted wanted,
                                            std::vector<control::ProcessInfo> processes, bool ended, bool wait) {
  std::vector<LogSource> sources;
  for (const control::ProcessInfo& process : processes) {
    if (process.result.has_value() != ended) continue;
    control::FollowFrom from;
    from.wait = wait;
    from.offsets.fill(0);
    auto begun = co_await within(control, wanted.who, wanted.sandbox, process.id, from, wanted.times);
    if (!begun.ok() && is_gone(begun.error())) continue;
    if (!begun.ok()) co_return std::move(begun).error();
    auto stream = control.processes().follow(wanted.who, wanted.sandbox, process.id, *begun);
    if (!stream.ok() && is_gone(stream.error())) continue;
    if (!stream.ok()) co_return std::move(stream).error();
    sources.push_back({process.id, std::make_unique<CommandEvents>(*std::move(stream))});
  }
  co_return sources;
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
  LMSB_CO_CHECK(check_names(call.request.query, {"follow", "since", "until", "timestamps"}));
  LMSB_CO_TRY(const bool follow, flag_of(call.request.query, "follow", false));
  Wanted wanted{call.who, call.request.params["id"], {}};
  LMSB_CO_TRY(wanted.times, output_times_of(call.request.query, follow));
  LMSB_CO_TRY(auto processes, control.processes().list(wanted.who, wanted.sandbox));
  std::erase_if(processes, [](const control::ProcessInfo& info) { return info.is_attached; });  // of their callers
  const AnswerFormat format = wanted_format(call.request.headers, follow ? AnswerFormat::ndjson : AnswerFormat::json);
  if (format == AnswerFormat::json && (follow || wanted.times.timestamps))
    co_return invalid_query(std::string(follow ? "follow needs" : "timestamps need") +
                            " Accept: application/x-ndjson or text/event-stream");
  if (format == AnswerFormat::json) co_return co_await tails(control, std::move(wanted), std::move(processes));
  if (follow) LMSB_CO_CHECK(check_count(processes));
  LMSB_CO_TRY(auto ended, co_await sources_of(control, wanted, processes, true, follow));
  LMSB_CO_TRY(auto running, co_await sources_of(control, wanted, processes, false, follow));
  if (follow) co_return event_answer(followed_log(std::move(ended), std::move(running)), format);
  std::move(running.begin(), running.end(), std::back_inserter(ended));
  co_return event_answer(log_so_far(std::move(ended)), format);
}

}  // namespace

void add_log_routes(RouteTable& table, Control& control) {
  table.add_asking("GET", "/v1/sandboxes/{id}/logs", [&control](Call call) { return logs(control, std::move(call)); });
}

}  // namespace lmsb::server
