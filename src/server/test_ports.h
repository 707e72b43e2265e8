#pragma once
// FakePorts: a PortService whose connections lead to the test, and which remembers what it was asked. For tests.
#include <array>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "base/assert.h"
#include "control/port_service.h"

namespace lmsb::server {

class FakePorts final : public control::PortService {
 public:
  // One connection is there at a time; its other end says `answer` at once, and keeps what it is sent.
  io::Task<io::HeldSocket> connect(control::Principal who, std::string sandbox, std::uint16_t asked) override {
    asker = std::move(who);
    named = std::move(sandbox);
    port = asked;
    if (error) co_return *error;
    std::array<int, 2> pair{};
    LMSB_ASSERT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
    server.reset(pair[1]);
    LMSB_ASSERT(::send(server.get(), answer.data(), answer.size(), 0) == static_cast<ssize_t>(answer.size()));
    co_return io::HeldSocket(UniqueFd(pair[0]));
  }
  Result<std::string> may_connect(const control::Principal& who, const std::string& sandbox) override {
    preview_asker = who;
    if (error) return *error;
    return sandbox == "box" ? id : sandbox;
  }
  void note_preview(const control::Principal& by, const std::string& sandbox, std::uint16_t to_port,
                    const std::string& expires_at) override {
    preview_noted = by.name + " " + sandbox + " " + std::to_string(to_port) + " " + expires_at;
  }
  std::string preview_noted;
  std::string id = "s0000000000000000000";  // of the sandbox named box
  control::Principal preview_asker;
  io::Task<std::vector<control::ListeningPort>> list(control::Principal who, std::string sandbox) override {
    asker = std::move(who);
    named = std::move(sandbox);
    if (error) co_return *error;
    co_return listening;
  }
  // What the port has been sent so far.
  std::string heard() const {
    std::string text(65536, '\0');
    const ssize_t count = ::recv(server.get(), text.data(), text.size(), MSG_DONTWAIT);
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }

  std::optional<Error> error;
  std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  std::vector<control::ListeningPort> listening;
  UniqueFd server;
  control::Principal asker;
  std::string named;
  std::uint16_t port = 0;
};

}  // namespace lmsb::server
