// /v1/sandboxes/{id}/processes: commands that nobody waits for, and their output.
#include <algorithm>

#include "base/clock.h"
#include "base/signal_name.h"
#include "base/text.h"
#include "control/process_service.h"
#include "server/event_stream.h"
#include "server/output_times.h"
#include "server/process_events.h"
#include "server/process_octets.h"
#include "server/query_fields.h"
#include "server/v1_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::Stream;

constexpr std::uint64_t kMaxWaitMs = 60'000;

struct OutputQuery {
  std::optional<Stream> stream;  // nothing: both, from their beginnings
  std::uint64_t offset = 0;
  bool follow = false;
  std::chrono::milliseconds wait{0};
  OutputTimes times;
};

Result<OutputQuery> parse_output_query(const Query& query) {
  LMSB_CHECK(check_names(query, {"stream", "offset", "follow", "wait_ms", "since", "until", "timestamps"}));
  OutputQuery out;
  if (const auto stream = query.find("stream"); stream != query.end()) {
    if (stream->second != "stdout" && stream->second != "stderr")
      return invalid_query("stream must be stdout or stderr");
    out.stream = stream->second == "stderr" ? Stream::err : Stream::out;
  }
  LMSB_TRY(out.offset, number_of(query, "offset", 0, UINT64_MAX));
  LMSB_TRY(out.follow, flag_of(query, "follow", false));
  LMSB_TRY(const std::uint64_t wait, number_of(query, "wait_ms", 0, kMaxWaitMs));
  out.wait = std::chrono::milliseconds(wait);
  LMSB_TRY(out.times, output_times_of(query, out.follow || wait > 0));
  if (out.offset > 0 && !out.stream) out.stream = Stream::out;  // an offset is of one stream
  return out;
}

// A name or a number; nothing, and a fault, for anything else.
std::optional<int> read_signal(json::ObjectReader& reader) {
  const auto value = reader.raw("signal", json::Need::required);
  if (!value) return std::nullopt;
  const auto number = value->integer();
  const auto name = value->string();
  const std::string text = number ? std::to_string(*number) : std::string(name.value_or(""));
  const auto signal = parse_signal(text);
  if (!signal)
    reader.refuse("signal",
                  (number || name ? quoted(text) + " is no signal" : std::string("must be a name or a number")) +
                      ": say TERM, SIGTERM or 15");
  return signal;
}

std::string text_of(const control::ProcessInfo& info) {
  json::Writer out;
  write_process(out, info);
  return std::move(out).str();
}

io::Task<http::Response> list(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {}));
  LMSB_CO_TRY(const auto all, control.processes().list(call.who, call.request.params["id"]));
  json::Writer out;
  out.begin_object().key("data").begin_array();
  for (const auto& info : all) write_process(out, info);
  out.end_array().key("next_cursor").null().end_object();
  co_return http::Response::json(200, std::move(out).str());
}

io::Task<http::Response> get(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {"wait_ms"}));
  LMSB_CO_TRY(const std::uint64_t wait, number_of(call.request.query, "wait_ms", 0, kMaxWaitMs));
  std::string id = call.request.params["id"];
  std::string process = call.request.params["process"];
  LMSB_CO_TRY(const auto info, co_await control.processes().get(std::move(call.who), std::move(id), std::move(process),
                                                                std::chrono::milliseconds(wait)));
  co_return http::Response::json(200, text_of(info));
}

io::Task<http::Response> remove(Control& control, Call call) {
  LMSB_CO_CHECK(control.processes().forget(call.who, call.request.params["id"], call.request.params["process"]));
  co_return http::Response::no_content();
}

io::Task<http::Response> write_stdin(Control& control, Call call) {
  std::string data;
  bool close = false;
  auto refusal = read_body(std::exchange(call.request.body, {}), [&](json::ObjectReader& reader) {
    if (const auto value = reader.raw("data"))
      if (auto octets = read_data(*value, reader.at("data"), reader.faults())) data = *std::move(octets);
    reader.boolean("close", close);
  });
  if (refusal) co_return *std::move(refusal);
  std::string id = call.request.params["id"];
  std::string process = call.request.params["process"];
  LMSB_CO_CHECK(co_await control.processes().write_stdin(std::move(call.who), std::move(id), std::move(process),
                                                         std::move(data), close));
  co_return http::Response::no_content();
}

io::Task<http::Response> signal(Control& control, Call call) {
  std::optional<int> number;
  bool tree = false;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    number = read_signal(reader);
    reader.boolean("tree", tree);
  });
  if (refusal) co_return *std::move(refusal);
  LMSB_CO_CHECK(
      control.processes().signal(call.who, call.request.params["id"], call.request.params["process"], *number, tree));
  co_return http::Response::no_content();
}

io::Task<http::Response> resize(Control& control, Call call) {
  std::optional<control::TerminalSize> size;
  auto refusal = read_body(call.request.body, [&](json::ObjectReader& reader) {
    read_terminal(reader, size);
    if (!size) reader.refuse("pty", "is needed: {\"cols\", \"rows\"}");
  });
  if (refusal) co_return *std::move(refusal);
  LMSB_CO_CHECK(control.processes().resize(call.who, call.request.params["id"], call.request.params["process"], *size));
  co_return http::Response::no_content();
}

// What of its streams is asked for: one of them, or both from their beginnings.
io::Task<control::FollowFrom> beginning_of(Control& control, const Call& call, const OutputQuery& query, bool is_one) {
  control::FollowFrom from;
  from.wait = query.follow;
  from.offsets.fill(0);
  if (is_one || query.stream) {
    from.offsets.fill(std::nullopt);
    from.offsets[static_cast<std::size_t>(query.stream.value_or(Stream::out))] = query.offset;
  }
  const auto& params = call.request.params;
  co_return co_await within(control, call.who, params.at("id"), params.at("process"), from, query.times);
}

std::string text_of(Stream stream, control::OutputPiece piece, const control::OutputAsked& asked) {
  json::Writer out;
  out.begin_object().key("stream").string(stream == Stream::err ? "stderr" : "stdout");
  out.key("offset").unsigned_integer(piece.offset).key("missing_bytes").unsigned_integer(piece.offset - asked.offset);
  if (piece.came_ms != 0) out.key("at").string(rfc3339_of_boottime(piece.came_ms));
  // A character that is not complete yet comes with the next piece.
  const std::size_t incomplete = incomplete_utf8_end(piece.data);
  const bool more_follows = !piece.ended || piece.offset + piece.data.size() < piece.end;
  if (more_follows && incomplete < piece.data.size()) piece.data.resize(piece.data.size() - incomplete);
  if (is_utf8(piece.data)) {
    out.key("text").string(piece.data);
  } else {
    out.key("base64").string(base64_encode(piece.data));
  }
  const std::uint64_t next = std::min(piece.offset + piece.data.size(), piece.end);  // asked for from beyond: the end
  out.key("next_offset").unsigned_integer(next).key("end").unsigned_integer(piece.end);
  out.key("ended").boolean(piece.ended && next >= std::min(piece.end, asked.end)).end_object();
  return std::move(out).str();
}

// One piece as an object; `next_offset` is where to go on.
io::Task<http::Response> output_piece(Control& control, Call call, OutputQuery query) {
  LMSB_CO_TRY(const auto from, co_await beginning_of(control, call, query, true));
  control::OutputAsked asked;
  asked.stream = query.stream.value_or(Stream::out);
  const auto which = static_cast<std::size_t>(asked.stream);
  asked.offset = *from.offsets[which];
  asked.end = from.ends[which];
  asked.wait = query.wait;
  asked.by_time = from.by_time;
  std::string id = call.request.params["id"];
  std::string process = call.request.params["process"];
  LMSB_CO_TRY(auto piece,
              co_await control.processes().output(std::move(call.who), std::move(id), std::move(process), asked));
  co_return http::Response::json(200, text_of(asked.stream, std::move(piece), asked));
}

// One stream from the offset on, or events of what is asked for.
io::Task<http::Response> output_stream(Control& control, Call call, OutputQuery query,
                                       std::optional<AnswerFormat> format) {
  LMSB_CO_TRY(const auto from, co_await beginning_of(control, call, query, !format));
  const auto& params = call.request.params;
  LMSB_CO_TRY(auto events, control.processes().follow(call.who, params.at("id"), params.at("process"), from));
  if (format) co_return event_answer(std::make_unique<CommandEvents>(std::move(events)), *format);
  const Stream stream = query.stream.value_or(Stream::out);
  const std::uint64_t offset = *from.offsets[static_cast<std::size_t>(stream)];
  co_return octets_answer(std::make_shared<CommandOctets>(std::move(events), stream, offset, nullptr));
}

io::Task<http::Response> output(Control& control, Call call) {
  LMSB_CO_TRY(const auto query, parse_output_query(call.request.query));
  const bool as_octets = wants_octets(call.request.headers);
  const auto format = wanted_format(call.request.headers, query.follow ? AnswerFormat::ndjson : AnswerFormat::json);
  const bool is_piece = !as_octets && format == AnswerFormat::json;
  if (is_piece && query.follow)
    co_return invalid_query("follow needs Accept: application/x-ndjson, text/event-stream or application/octet-stream");
  if (!is_piece && query.wait.count() > 0)
    co_return invalid_query("wait_ms is for one piece, as JSON: follow=true waits for all that comes");
  if (as_octets && query.times.timestamps)
    co_return invalid_query("timestamps are for JSON and events: octets have no room for them");
  if (is_piece) co_return co_await output_piece(control, std::move(call), query);
  std::optional<AnswerFormat> events;
  if (!as_octets) events = format;
  co_return co_await output_stream(control, std::move(call), query, events);
}

}  // namespace

void add_process_routes(RouteTable& table, Control& control) {
  const std::string all = "/v1/sandboxes/{id}/processes";
  const std::string one = all + "/{process}";
  table.add("GET", all, [&control](Call call) { return list(control, std::move(call)); });
  table.add_asking("GET", one, [&control](Call call) { return get(control, std::move(call)); });
  table.add("DELETE", one, [&control](Call call) { return remove(control, std::move(call)); });
  table.add("POST", one + "/stdin", [&control](Call call) { return write_stdin(control, std::move(call)); });
  table.add("POST", one + "/signal", [&control](Call call) { return signal(control, std::move(call)); });
  table.add("POST", one + "/resize", [&control](Call call) { return resize(control, std::move(call)); });
  table.add_asking("GET", one + "/output", [&control](Call call) { return output(control, std::move(call)); });
}

}  // namespace lmsb::server
