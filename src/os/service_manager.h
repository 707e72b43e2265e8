#pragma once
// ServiceManager: who started us as a service and wants to know how far we are, by sd_notify(3)'s protocol: one
// datagram for each state to a socket that the environment names.
#include <string>
#include <string_view>

namespace lmsb::os {

class ServiceManager {
 public:
  // Nobody wants to know.
  ServiceManager() = default;
  // Of NOTIFY_SOCKET, which leaves the environment: what this process starts has nothing to say there. Before there is
  // a second thread.
  static ServiceManager from_environment();

  // "READY=1"; several, one a line. Never blocks; one that does not listen is no error.
  void tell(std::string_view state) const;

 private:
  explicit ServiceManager(std::string address) : address_(std::move(address)) {}
  std::string address_;  // of a Unix socket; begins with '@' when it is an abstract one; "" = there is none
};

}  // namespace lmsb::os
