// port: what listens in a sandbox, a URL of it for browsers, or a port of this machine that leads there.
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/port_forward.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

Row port_row(json::Value port) {
  const auto whole = [port](std::string_view name) {
    const auto number = number_field(port, name);
    return number ? std::to_string(static_cast<int>(*number)) : std::string();
  };
  return {whole("port"), text_field(port, "address"), text_field(port, "process"), whole("pid")};
}

Result<int> list_ports(Connection& connection, const PortCommand& command, Console& console) {
  LMSB_TRY(const auto answer, call_json(connection, Call("GET", sandbox_url(command.sandbox) + "/ports")));
  if (command.target.json) return console.out(pretty(answer.root())), 0;
  std::vector<Row> rows;
  if (const auto data = answer.root().find("data"))
    for (const json::Value port : data->items()) rows.push_back(port_row(port));
  console.out(format_table({"PORT", "ADDRESS", "PROCESS", "PID"}, rows));
  return 0;
}

Result<int> print_url(Connection& connection, const PortCommand& command, Console& console) {
  json::Writer body;
  body.begin_object().key("port").unsigned_integer(command.guest);
  if (command.expires) body.key("expires_in_s").integer(command.expires->count());
  const std::string text = std::move(body.end_object()).str();
  LMSB_TRY(const auto answer, call_json(connection, Call("POST", sandbox_url(command.sandbox) + "/previews", text)));
  console.out(command.target.json ? pretty(answer.root()) : text_field(answer.root(), "url") + "\n");
  return 0;
}

}  // namespace

Result<int> execute(const PortCommand& command, Console& console) {
  LMSB_TRY(const auto connection, Connection::open(command.target, PrivateDaemonUse::senseless, console));
  if (command.guest == 0) return list_ports(*connection, command, console);
  if (command.url) return print_url(*connection, command, console);
  LMSB_TRY(const auto sandbox, call_json(*connection, Call("GET", sandbox_url(command.sandbox))));
  PortForward forward;
  forward.sandbox = text_field(sandbox.root(), "id");  // a name could come to mean another one
  forward.host = command.host;
  forward.guest = command.guest;
  LMSB_CHECK(forward_port(*connection, forward, command.target.json, console));
  return 0;
}

}  // namespace lmsb::cli
