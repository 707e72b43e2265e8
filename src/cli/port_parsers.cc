// port: its words.
#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

constexpr std::chrono::seconds kShortestPreview{1};
constexpr std::chrono::hours kLongestPreview{168};

Status read_ports(const std::string& text, PortCommand& command) {
  const auto ports = parse_port_flag(text);
  if (!ports.ok()) return usage_error("port", ports.error().message());
  command.guest = ports->guest;
  command.host = ports->host;
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
