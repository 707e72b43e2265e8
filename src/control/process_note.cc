#include "control/process_note.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/assert.h"
#include "base/text.h"
#include "guest_protocol/messages.h"
#include "store/packed_map.h"

namespace lmsb::control {
namespace {

constexpr const char* kScript = "script";
constexpr std::size_t kIdLength = kProcessPrefix.size() + 20;
constexpr std::string_view kAnId = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kATime = "0000-00-00T00:00:00.000Z";  // a digit for each 0

constexpr std::uint64_t kLongestMs = 1ULL << 53U;  // as JSON says it exactly
constexpr std::size_t kMaxWords = 2048;
constexpr std::uint64_t kMostSeconds = 1ULL << 32U;

using Map = std::map<std::string, std::string>;

std::optional<std::uint64_t> number_in(const Map& map, const char* name) {
  const auto found = map.find(name);
  if (found == map.end()) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto read = std::from_chars(found->second.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return number;
}

// What users see of it goes out as JSON.
std::string text_in(const Map& map, const char* name) {
  const auto found = map.find(name);
  return found == map.end() ? std::string() : to_utf8(found->second);
}

// Each argument with a NUL behind it, which none of them has inside.
std::string joined(const Argv& argv) {
  std::string text;
  for (const std::string& argument : argv) text.append(argument).push_back('\0');
  return text;
}

Argv split(const std::string& text) {
  Argv argv;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\0', at), text.size());
    argv.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return argv;
}

bool is_process_id(const std::string& id) {
  return id.size() == kIdLength && id.starts_with(kProcessPrefix) &&
         id.find_first_not_of(kAnId, kProcessPrefix.size()) == std::string::npos;
}

bool is_time(const std::string& text) {
  const auto fits = [](char c, char form) { return form == '0' ? c >= '0' && c <= '9' : c == form; };
  return std::equal(text.begin(), text.end(), kATime.begin(), kATime.end(), fits);
}

}  // namespace

std::string pack(const ProcessNote& note) {
  Map map = {{"digest", note.attempt.image_digest}};
  if (!note.session.empty()) {
    map["session"] = note.session;
    map["reads"] = kScript;
    map["at"] = note.asked_at;
    return store::pack(map);
  }
  map["id"] = note.id;
  if (const auto* text = std::get_if<std::string>(&note.cmd)) map["cmd"] = *text;
  if (const auto* argv = std::get_if<Argv>(&note.cmd)) map["argv"] = joined(*argv);
  map["at"] = note.asked_at;
  map["began"] = std::to_string(note.began_ms);
  map["timeout"] = std::to_string(note.timeout.count());
  map["stdin"] = note.has_stdin ? "1" : "0";
  map["terminal"] = note.has_terminal ? "1" : "0";
  map["oom"] = std::to_string(note.oom_kills_before);
  if (note.told) {
    map["oom_then"] = std::to_string(note.told->oom_kills);
    map["ended"] = note.told->ended_at;
    map["wall_us"] = std::to_string(std::llround(note.told->wall_ms * 1000));
  }
  map["program"] = note.attempt.program;
  map["cwd"] = note.attempt.cwd;
  if (note.attempt.cpu_seconds > 0) map["cpu"] = std::to_string(note.attempt.cpu_seconds);
  if (note.attempt.merge_stderr) map["merge"] = "1";
  std::string packed = store::pack(map);
  LMSB_ASSERT(packed.size() <= guest_protocol::kMaxNote);  // three texts of 4 KiB, and the rest
  return packed;
}

std::optional<ProcessNote> unpack_process_note(std::string_view octets) {
  const auto map = store::unpack(octets);
  if (!map) return std::nullopt;
  ProcessNote note;
  note.attempt.image_digest = text_in(*map, "digest");
  note.session = text_in(*map, "session");
  note.asked_at = text_in(*map, "at");
  if (!note.session.empty() && !is_time(note.asked_at)) note.asked_at.clear();
  note.reads_script = text_in(*map, "reads") == kScript;
  if (!note.session.empty()) return note;
  note.id = text_in(*map, "id");
  const auto began = number_in(*map, "began");
  const auto timeout = number_in(*map, "timeout");
  const auto stdin_kept = number_in(*map, "stdin");
  const auto terminal = number_in(*map, "terminal");
  const auto oom_kills = number_in(*map, "oom");
  if (!is_process_id(note.id) || !is_time(note.asked_at)) return std::nullopt;
  if (!began || !timeout || !stdin_kept || !terminal || !oom_kills) return std::nullopt;
  if (*timeout > kLongestMs) return std::nullopt;
  if (map->contains("ended")) {
    const auto oom_then = number_in(*map, "oom_then");
    const auto wall_us = number_in(*map, "wall_us");
    note.told = ProcessNote::Told{oom_then.value_or(0), text_in(*map, "ended"), double(wall_us.value_or(0)) / 1000};
    if (!oom_then || !wall_us || !is_time(note.told->ended_at)) return std::nullopt;
  }
  if (map->contains("argv")) {
    Argv argv = split(text_in(*map, "argv"));
    if (argv.size() > kMaxWords) return std::nullopt;
    note.cmd = std::move(argv);
  } else {
    note.cmd = text_in(*map, "cmd");
  }
  note.began_ms = *began;
  note.timeout = std::chrono::milliseconds(*timeout);
  note.has_stdin = *stdin_kept != 0;
  note.has_terminal = *terminal != 0;
  note.oom_kills_before = *oom_kills;
  note.attempt.program = text_in(*map, "program");
  note.attempt.cwd = text_in(*map, "cwd");
  note.attempt.merge_stderr = map->contains("merge");
  note.attempt.cpu_seconds = std::min<std::uint64_t>(number_in(*map, "cpu").value_or(0), kMostSeconds);
  return note;
}

}  // namespace lmsb::control
