#include "control/port_reader.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <tuple>

#include "base/text.h"
#include "guest_protocol/port_records.h"

namespace lmsb::control {
namespace {

using guest_protocol::PortRecord;

bool adds_up(const PortRecord& record) {
  return record.magic == guest_protocol::kPortMagic && record.is_v6 <= 1 && record.port > 0 &&
         record.port <= UINT16_MAX && record.pid >= 0;
}

ListeningPort to_port(const PortRecord& record) {
  std::array<char, INET6_ADDRSTRLEN> address{};
  (void)::inet_ntop(record.is_v6 != 0 ? AF_INET6 : AF_INET, record.address.data(), address.data(), address.size());
  ListeningPort port;
  port.port = static_cast<std::uint16_t>(record.port);
  port.address = address.data();
  port.pid = record.pid;
  port.process = to_utf8({record.name.data(), ::strnlen(record.name.data(), record.name.size())});
  return port;
}

auto order_of(const ListeningPort& port) { return std::tie(port.port, port.address); }

}  // namespace

std::vector<ListeningPort> read_ports(std::string_view records) {
  std::vector<ListeningPort> ports;
  PortRecord record{};
  while (records.size() >= sizeof record && ports.size() < guest_protocol::kMaxListedPorts) {
    std::memcpy(&record, records.data(), sizeof record);
    records.remove_prefix(sizeof record);
    if (!adds_up(record)) break;
    ports.push_back(to_port(record));
  }
  std::sort(ports.begin(), ports.end(), [](const auto& a, const auto& b) { return order_of(a) < order_of(b); });
  const auto is_same = [](const auto& a, const auto& b) { return order_of(a) == order_of(b); };
  ports.erase(std::unique(ports.begin(), ports.end(), is_same), ports.end());
  return ports;
}

}  // namespace lmsb::control
