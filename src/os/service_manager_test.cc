#include "os/service_manager.h"

#include <array>
#include <cstdlib>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.h"

namespace lmsb::os {
namespace {

// A manager that listens, at an abstract address or at a path.
class Listener {
 public:
  explicit Listener(const std::string& address) : address_(address) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    (void)address.copy(name.sun_path, sizeof name.sun_path - 1);
    if (address[0] == '@') name.sun_path[0] = '\0';
    const std::size_t size = offsetof(sockaddr_un, sun_path) + address.size() + (address[0] == '@' ? 0 : 1);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&name), static_cast<socklen_t>(size)), 0);
  }
  ~Listener() {
    if (address_[0] == '/') ::unlink(address_.c_str());
  }
  std::string heard() const {
    std::array<char, 100> text{};
    const ssize_t size = ::recv(socket_.get(), text.data(), text.size(), MSG_DONTWAIT);
    return size < 0 ? "nothing" : std::string(text.data(), static_cast<std::size_t>(size));
  }

 private:
  std::string address_;
  UniqueFd socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST(ServiceManager, HearsEachStateAtThePlaceThatTheEnvironmentNames) {
  const std::string number = std::to_string(::getpid());
  for (const std::string& address : {"@lmsb-test-" + number, "/tmp/lmsb-test-" + number}) {
    const Listener listener(address);
    ::setenv("NOTIFY_SOCKET", address.c_str(), 1);
    const ServiceManager manager = ServiceManager::from_environment();
    EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr) << "nobody else is to speak for us";
    manager.tell("READY=1");
    EXPECT_EQ(listener.heard(), "READY=1");
  }
}

TEST(ServiceManager, NeedNotBeThereOrBeAnything) {
  ServiceManager().tell("READY=1");
  for (const std::string& address :
       {std::string("@lmsb-test-nobody"), std::string("relative"), "/" + std::string(200, 'a')}) {
    ::setenv("NOTIFY_SOCKET", address.c_str(), 1);
    ServiceManager::from_environment().tell("READY=1");
  }
}

}  // namespace
}  // namespace lmsb::os
