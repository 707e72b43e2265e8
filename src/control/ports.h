#pragma once
// Ports: PortService of the kept sandboxes of a Registry.
#include <map>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "control/event_log.h"
#include "control/port_service.h"
#include "control/registry.h"

namespace lmsb::control {

class Ports final : public PortService {
 public:
  // At once: connections, and questions for what listens.
  static constexpr std::size_t kMaxPlaces = 1024;
  static constexpr std::size_t kMaxOfOwner = 512;
  static constexpr std::size_t kMaxOfSandbox = 256;

  // All outlive it, and it outlives its tasks.
  Ports(boost::asio::io_context& loop, Registry& registry, EventLog& events);

  io::Task<io::HeldSocket> connect(Principal who, std::string sandbox, std::uint16_t port) override;
  Result<std::string> may_connect(const Principal& who, const std::string& sandbox) override;
  void note_preview(const Principal& by, const std::string& sandbox, std::uint16_t port,
                    const std::string& expires_at) override;
  io::Task<std::vector<ListeningPort>> list(Principal who, std::string sandbox) override;

 private:
  struct Counts;
  class Place;
  struct Connection;

  Result<Place> take_place(const Principal& who, const std::string& sandbox);
  // What listens, in words.
  io::Task<std::string> describe(std::shared_ptr<SandboxHandle> sandbox);

  boost::asio::io_context& loop_;
  Registry& registry_;
  EventLog& events_;
  std::shared_ptr<Counts> counts_;  // shared with the places, which may live longer
};

}  // namespace lmsb::control
