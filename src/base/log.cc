#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "base/text.h"

namespace lmsb {
namespace {

constexpr std::size_t kMaxValue = 512;

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

// JSON's escapes are a subset of what quoted() makes, except for \xNN, which JSON spells \u00NN.
std::string json_string(std::string_view text) {
  std::string out = quoted(text, kMaxValue);
  for (std::size_t at = out.find("\\x"); at != std::string::npos; at = out.find("\\x", at + 1))
    out.replace(at, 2, "\\u00");
  return out;
}

bool has_controls(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if (control_size(text, i) > 0) return true;
  return false;
}

bool is_plain(std::string_view text) {
  return !text.empty() && text.size() <= kMaxValue && text.find_first_of(" \"=\\") == std::string_view::npos &&
         is_utf8(text) && !has_controls(text);
}

}  // namespace

LogField::LogField(std::string_view key, std::string_view value) : key_(key), value_(value), is_text_(true) {}
LogField::LogField(std::string_view key, std::int64_t value) : key_(key), value_(std::to_string(value)) {}
LogField::LogField(std::string_view key, std::uint64_t value) : key_(key), value_(std::to_string(value)) {}
LogField::LogField(std::string_view key, double value) : key_(key), value_(fmt::format("{:.3f}", value)) {}
LogField::LogField(std::string_view key, bool value) : key_(key), value_(value ? "true" : "false") {}

struct Logger::Sink {
  spdlog::logger logger{"lm-sandbox", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
};

Logger::Logger(LogLevel level, LogFormat format) : level_(level), format_(format), sink_(std::make_unique<Sink>()) {
  sink_->logger.set_level(to_spdlog(level));
  sink_->logger.set_pattern(format == LogFormat::json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",\"level\":\"%l\",%v}"
                                                      : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                            spdlog::pattern_time_type::utc);
}

Logger::~Logger() = default;

void Logger::log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!enabled(level)) return;
  const bool json = format_ == LogFormat::json;
  std::string line = json ? "\"event\":" + json_string(event) : std::string(event);
  for (const LogField& field : fields) {
    if (json) {
      line += ',' + json_string(field.key()) + ':' + (field.is_text() ? json_string(field.value()) : field.value());
    } else {
      line += ' ' + field.key() + '=' + (is_plain(field.value()) ? field.value() : quoted(field.value(), kMaxValue));
    }
  }
  sink_->logger.log(to_spdlog(level), "{}", line);
}

}  // namespace lmsb
