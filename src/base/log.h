#pragma once
// Logger: one line per event: `event name` (dotted, stable, listed in docs/reference/events.md) plus typed fields.
//
// Only control, the doors (server, ssh, mcp, cli) and bin log; a library returns its error instead. Levels by
// consequence: error = we failed a promise, warning = refused or degraded, info = lifecycle, debug = the rest.
// Values are quoted and cut to 512 bytes. A Secret cannot be a field. Thread-safe; writes to stderr and may block as
// long as stderr blocks.
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace lmsb {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
enum class LogFormat : std::uint8_t { text, json };

// One field of an event; numbers keep their type in JSON.
class LogField {
 public:
  LogField(std::string_view key, std::string_view value);
  LogField(std::string_view key, const char* value) : LogField(key, std::string_view(value)) {}
  LogField(std::string_view key, const std::string& value) : LogField(key, std::string_view(value)) {}
  LogField(std::string_view key, std::int64_t value);
  LogField(std::string_view key, std::uint64_t value);
  LogField(std::string_view key, int value) : LogField(key, static_cast<std::int64_t>(value)) {}
  LogField(std::string_view key, double value);
  LogField(std::string_view key, bool value);

  const std::string& key() const { return key_; }
  const std::string& value() const { return value_; }
  bool is_text() const { return is_text_; }

 private:
  std::string key_;
  std::string value_;
  bool is_text_ = false;
};

class Logger {
 public:
  Logger(LogLevel level, LogFormat format);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});
  bool enabled(LogLevel level) const { return level >= level_; }

 private:
  struct Sink;
  LogLevel level_;
  LogFormat format_;
  std::unique_ptr<Sink> sink_;
};

}  // namespace lmsb
