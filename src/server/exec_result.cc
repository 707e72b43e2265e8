#include "server/exec_result.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "server/answers.h"

namespace lmsb::server {
namespace {

constexpr std::size_t kMaxSequence = 4;  // octets of the longest UTF-8 character

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

std::size_t incomplete_begin(std::string_view tail) {
  std::size_t count = 0;
  while (count < kMaxSequence - 1 && count < tail.size() && is_continuation(tail[count])) ++count;
  return count;
}

void write_base64(json::Writer& out, std::string_view name, const std::string& bytes) {
  if (!is_utf8(bytes)) out.key(name).string(base64_encode(bytes));
}

// Durations are whole numbers of their unit.
json::Writer& write_ms(json::Writer& out, double ms) { return out.integer(std::llround(ms)); }
void write_or_null(json::Writer& out, const std::optional<double>& ms) { ms ? write_ms(out, *ms) : out.null(); }
void write_or_null(json::Writer& out, const std::optional<std::uint64_t>& value) {
  value ? out.unsigned_integer(*value) : out.null();
}

void write_usage(json::Writer& out, const control::Usage& usage) {
  out.key("usage").begin_object();
  write_ms(out.key("queue_ms"), usage.queue_ms);
  write_ms(out.key("wall_ms"), usage.wall_ms);
  write_or_null(out.key("cpu_user_ms"), usage.cpu_user_ms);
  write_or_null(out.key("cpu_system_ms"), usage.cpu_system_ms);
  write_or_null(out.key("max_memory_bytes"), usage.max_memory_bytes);
  write_or_null(out.key("max_processes"), usage.max_processes);
  out.end_object();
}

void write_verdict(json::Writer& out, const control::ExecResult& result) {
  out.key("outcome").string(to_string(result.outcome)).key("exit_code");
  if (result.exit_code) {
    out.integer(*result.exit_code);
  } else {
    out.null();
  }
  string_or_null(out.key("signal"), result.signal.value_or(""));
  out.key("timed_out").boolean(result.outcome == control::Outcome::timed_out);
  out.key("oom_killed").boolean(result.oom_killed);
}

}  // namespace

ShownOutput show_output(control::Output output) {
  if (output.truncated_bytes == 0) return {std::move(output.data), 0};
  const std::string_view all = output.data;
  std::string_view head = all.substr(0, std::min(output.cut_at, all.size()));
  std::string_view tail = all.substr(head.size());
  const std::size_t lost_end = incomplete_utf8_end(head);
  const std::size_t lost_begin = incomplete_begin(tail);
  head.remove_suffix(lost_end);
  tail.remove_prefix(lost_begin);
  ShownOutput shown;
  shown.missing_bytes = output.truncated_bytes + lost_end + lost_begin;
  shown.bytes.reserve(all.size() + 64);
  shown.bytes.append(head)
      .append("\n[... ")
      .append(std::to_string(shown.missing_bytes))
      .append(" bytes missing ...]\n");
  shown.bytes.append(tail);
  return shown;
}

void write_truncated(json::Writer& out, std::uint64_t stdout_bytes, std::uint64_t stderr_bytes,
                     std::string_view spill_path) {
  out.key("truncated").begin_object();
  out.key("stdout_bytes").unsigned_integer(stdout_bytes).key("stderr_bytes").unsigned_integer(stderr_bytes);
  string_or_null(out.key("spill_path"), spill_path);
  out.end_object();
}

void write_ending_fields(json::Writer& out, const control::ExecResult& result) {
  write_verdict(out, result);
  write_usage(out, result.usage);
  out.key("sandbox_id").string(result.sandbox_id).key("image_digest").string(result.image_digest);
  string_or_null(out.key("hint"), result.hint);
  out.key("background_left").boolean(result.background_left);
}

void write_exec_fields(json::Writer& out, control::ExecResult result) {
  const ShownOutput shown_out = show_output(std::move(result.out));
  const ShownOutput shown_err = show_output(std::move(result.err));
  write_verdict(out, result);
  out.key("stdout").string(shown_out.bytes).key("stderr").string(shown_err.bytes);
  write_base64(out, "stdout_base64", shown_out.bytes);
  write_base64(out, "stderr_base64", shown_err.bytes);
  write_truncated(out, shown_out.missing_bytes, shown_err.missing_bytes, result.spill_path);
  write_usage(out, result.usage);
  out.key("sandbox_id").string(result.sandbox_id);
  string_or_null(out.key("process_id"), result.process_id);
  out.key("image_digest").string(result.image_digest);
  string_or_null(out.key("hint"), result.hint);
  out.key("background_left").boolean(result.background_left);
}

}  // namespace lmsb::server
