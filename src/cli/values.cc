#include "cli/values.h"

#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/moment.h"
#include "base/text.h"
#include "http/target.h"

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestDuration = std::chrono::hours(24);
constexpr milliseconds kLongestLife = std::chrono::hours(24 * 3660);
constexpr std::uint32_t kHighestCount = 4'194'304;

Error invalid(std::string message, std::string hint) {
  return Error(ErrorCode::invalid_argument, std::move(message)).with_hint(std::move(hint));
}

// Reads digits off the front of `text`; nothing when there are none or they do not fit.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

// A number from `least` to 65535.
std::optional<std::uint16_t> parse_port(std::string_view text, std::uint16_t least) {
  const auto number = take_number(text);
  if (!number || !text.empty() || *number < least || *number > UINT16_MAX) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
  const auto duration = lmsb::parse_duration(text, kLongestDuration);
  if (duration && duration->count() > 0) return *duration;
  return invalid("not a duration: " + lmsb::quoted(text), "write 30 (seconds), 500ms, 5m or 1h30m; at most 24h");
}

Result<milliseconds> parse_life(std::string_view text) {
  if (text == "none") return milliseconds(0);
  const auto duration = lmsb::parse_duration(text, kLongestLife);
  if (!duration) return invalid("not a duration: " + lmsb::quoted(text), "write 30 (seconds), 5m, 1h30m, 7d, or none");
  return *duration;
}

Result<milliseconds> parse_grace(std::string_view text) {
  return text == "0" ? Result<milliseconds>(milliseconds(0)) : parse_duration(text);
}

std::string human_size(double bytes) {
  static constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

Result<std::uint32_t> parse_cpus(std::string_view text) {
  const Error bad = invalid("not a number of CPUs: " + lmsb::quoted(text), "write 1, 0.5 or 2.25");
  std::string_view rest = text;
  const auto whole = take_number(rest);
  if (!whole || *whole > 4096) return bad;
  std::uint32_t millis = static_cast<std::uint32_t>(*whole) * 1000;
  if (rest.starts_with('.')) {
    std::string digits(rest.substr(1));
    if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("0123456789") != std::string::npos) return bad;
    digits.resize(3, '0');
    millis += static_cast<std::uint32_t>(std::stoul(digits));
  } else if (!rest.empty()) {
    return bad;
  }
  if (millis == 0) return bad;
  return millis;
}

Result<PortFlag> parse_port_flag(std::string_view text) {
  std::string_view ports = text;
  if (ports.ends_with("/udp"))
    return Error(ErrorCode::invalid_argument, quoted(text) + ": only TCP ports can be led here")
        .with_hint("exec SANDBOX speaks to what listens inside");
  if (ports.ends_with("/tcp")) ports.remove_suffix(4);
  for (const std::string_view loopback : {"127.0.0.1:", "localhost:"}) {
    if (!ports.starts_with(loopback)) continue;
    ports.remove_prefix(loopback.size());
    break;
  }
  const std::size_t colon = ports.find(':');
  const auto guest = parse_port(colon == std::string_view::npos ? ports : ports.substr(colon + 1), 1);
  const auto host = colon == std::string_view::npos ? guest : parse_port(ports.substr(0, colon), 0);
  if (guest && host) return PortFlag{*host, *guest};
  return Error(ErrorCode::invalid_argument, quoted(text) + " is not [HOST:]GUEST, two numbers up to 65535")
      .with_hint("a port of this machine's loopback leads to one of the sandbox: 8080:80");
}

Result<std::uint32_t> parse_count(std::string_view text) {
  std::string_view rest = text;
  const auto number = take_number(rest);
  if (!number || !rest.empty() || *number == 0 || *number > kHighestCount) {
    return invalid("not a count: " + lmsb::quoted(text), "write a number from 1 to 4194304");
  }
  return static_cast<std::uint32_t>(*number);
}

Result<Bytes> parse_size(std::string_view text) {
  const auto bytes = parse_bytes(text);
  if (!bytes || bytes->count() == 0) return invalid("not a size: " + lmsb::quoted(text), "write 512m, 1.5g or 64k");
  return *bytes;
}

Result<std::pair<std::string, std::uint64_t>> parse_ulimit(std::string_view text) {
  const std::size_t equals = std::min(text.find('='), text.size());
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = text.substr(std::min(equals + 1, text.size()));
  if (name == "cpu") {
    LMSB_TRY(const std::uint32_t seconds, parse_count(value));
    return std::pair<std::string, std::uint64_t>("cpu_ms", std::uint64_t{seconds} * 1000);
  }
  if (name == "nofile") {
    LMSB_TRY(const std::uint32_t count, parse_count(value));
    return std::pair<std::string, std::uint64_t>("open_files", count);
  }
  if (name != "as" && name != "fsize")
    return invalid("not a limit: " + lmsb::quoted(text), "write cpu=SECONDS, as=SIZE, fsize=SIZE or nofile=NUMBER");
  LMSB_TRY(const Bytes size, parse_size(value));
  return std::pair<std::string, std::uint64_t>(name == "as" ? "memory_bytes" : "file_bytes", size.count());
}

Result<MountFlag> parse_mount_flag(std::string_view text) {
  const std::string_view whole = text;
  MountFlag flag;
  if (text.ends_with(":ro") || text.ends_with(":rw")) {
    flag.read_only = text.ends_with(":ro");
    text.remove_suffix(3);
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || text.substr(colon + 1, 1) != "/") {
    return invalid("-v " + lmsb::quoted(whole) + " is not SRC:DST[:ro]",
                   "write -v ./data:/workspace or -v /srv/in:/in:ro");
  }
  flag.source = text.substr(0, colon);
  flag.target = text.substr(colon + 1);
  return flag;
}

Status add_variable(Variables& variables, std::string_view text, const Lookup& lookup) {
  const std::size_t equals = text.find('=');
  const std::string key(text.substr(0, equals));
  if (key.empty() || text.find('\0') != std::string_view::npos) {
    return invalid("not a variable: " + lmsb::quoted(text), "write KEY=VALUE, or KEY to pass on your own");
  }
  if (equals != std::string_view::npos) {
    variables[key] = text.substr(equals + 1);
  } else if (auto own = lookup(key)) {
    variables[key] = *std::move(own);
  }
  return {};
}

Status add_variables_of_file(Variables& variables, std::string_view content, const Lookup& lookup) {
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    std::string_view line = content.substr(0, end);
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.empty() || line.starts_with('#')) continue;
    LMSB_CHECK(add_variable(variables, line, lookup));
  }
  return {};
}

Status add_label(Variables& labels, std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string key(text.substr(0, equals));
  if (key.empty()) return invalid("not a label: " + lmsb::quoted(text), "write KEY=VALUE");
  labels[key] = equals == std::string_view::npos ? "" : text.substr(equals + 1);
  return {};
}

std::string url_segment(std::string_view text) { return http::percent_encode(text); }

void add_credential(std::optional<NetworkFlag>& network, const std::string& name) {
  if (!network || network->mode == "none") network = NetworkFlag{"allowlist", {}};
  network->allow.push_back("credential:" + name);
}

Result<NetworkFlag> parse_network(std::string_view text) {
  if (text == "none" || text == "open") return NetworkFlag{std::string(text), {}};
  if (text == "host")
    return Error(ErrorCode::invalid_argument, "a sandbox never has the machine's own network")
        .with_hint("open is all but private addresses; lm-sandbox port leads from here into it");
  NetworkFlag network{"allowlist", {}};
  while (!text.empty()) {
    const std::string_view entry = text.substr(0, text.find(','));
    text.remove_prefix(entry.size());
    if (entry.empty() || text == ",")
      return Error(ErrorCode::invalid_argument, "a host is missing at a comma").with_hint("--network HOST,HOST:PORT");
    network.allow.emplace_back(entry);
    if (!text.empty()) text.remove_prefix(1);
  }
  if (!network.allow.empty()) return network;
  return Error(ErrorCode::invalid_argument, "needs none, open, or hosts").with_hint("--network HOST,HOST:PORT");
}

}  // namespace lmsb::cli
