#include "http/tunnel_answer.h"

#include <sys/socket.h>
#include <utility>

#include "http/upgrade.h"
#include "io/socket_stream.h"

namespace lmsb::http {
namespace {

class Tunnelling final : public Upgrade {
 public:
  explicit Tunnelling(io::TunnelEnd other) : other_(std::move(other)) {}

  io::Always<void> run(TakenOver taken) override {
    const int yes = 1;  // a client that has vanished without a word is found out in the end
    (void)::setsockopt(taken.socket.get(), SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    io::TunnelEnd client(io::HeldSocket(std::move(taken.socket)), std::move(taken.read_ahead));
    other_.read_ahead.insert(0, taken.head);
    co_await io::carry(std::move(client), std::move(other_));
  }

 private:
  io::TunnelEnd other_;
};

}  // namespace

Response tunnel_answer(Response head, io::TunnelEnd other) {
  head.upgrade = std::make_shared<Tunnelling>(std::move(other));
  return head;
}

}  // namespace lmsb::http
