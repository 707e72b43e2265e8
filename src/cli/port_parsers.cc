// port: its words.
#include <charconv>

#include "base/text.h"
#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

constexpr std::chrono::seconds kShortestPreview{1};
constexpr std::chrono::hours kLongestPreview{168};

// A number from `least` to 65535.
std::optional<std::uint16_t> parse_number(std::string_view text, std::uint16_t least) {
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least) return std::nullopt;
  return number;
}

// [HOST:]GUEST; without HOST it is the same.
Status read_ports(const std::string& text, PortCommand& command) {
  const std::size_t colon = text.find(':');
  const auto guest = parse_number(colon == std::string::npos ? text : text.substr(colon + 1), 1);
  const auto host = colon == std::string::npos ? guest : parse_number(text.substr(0, colon), 0);
  if (!guest || !host) return usage_error("port", quoted(text) + " is not [HOST:]GUEST, two numbers up to 65535");
  command.guest = *guest;
  command.host = *host;
  return {};
}

}  // namespace

Result<AnyCommand> parse_port(const Words& words) {
  FlagSet flags("port", {"port [OPTIONS] SANDBOX", "port [OPTIONS] SANDBOX [HOST:]GUEST"},
                "List what listens in a sandbox, or let a port of this machine's loopback lead to one of it until "
                "Ctrl-C.\nHOST 0 is any free port; the sandbox needs no network.",
                FlagSet::Order::anywhere);
  PortCommand command;
  std::optional<std::string> expires;
  flags.flag("--url", command.url, "Print a URL that opens the port in a browser, and end");
  flags.value("--expires", "TIME", expires, "How long the URL works (default: 1h; at most 168h)");
  const SandboxWords wanted{1, 2, "needs a sandbox, and then a port at most"};
  LMSB_TRY(auto parsed, parse_sandboxes(flags, "port", wanted, command.target, words));
  if (!parsed) return HelpCommand{flags.help()};
  command.sandbox = parsed->front();
  if (parsed->size() == 2) LMSB_CHECK(read_ports(parsed->back(), command));
  if (command.url && command.guest == 0) return usage_error("port", "--url needs a port");
  if (expires && !command.url) return usage_error("port", "--expires is of --url");
  std::optional<std::chrono::milliseconds> life;
  LMSB_CHECK(convert("--expires", expires, parse_life, life));
  if (life && (*life < kShortestPreview || *life > kLongestPreview))
    return usage_error("port", "--expires is from 1s to 168h");
  if (life) command.expires = std::chrono::duration_cast<std::chrono::seconds>(*life);
  return command;
}

}  // namespace lmsb::cli
