#include "cli/daemon_choice.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "http/client.h"
#include "os/small_file.h"

namespace lmsb::cli {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// A name that a resolver is asked for is none.
bool is_loopback(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24U == 127;
  if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
  return host == "localhost";
}

int try_unix_socket(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

Error needs_namespaces(const os::NamespaceFault& fault) {
  return Error(ErrorCode::failed_precondition, "no daemon is running, and sandboxes cannot be made here: " + fault.what)
      .with_hint(fault.mend);
}

// Why this user on this machine cannot have a private daemon; nothing = they can, as far as the machine's settings go.
std::optional<Error> private_daemon_fault(const Surroundings& surroundings) {
  const auto fault =
      surroundings.root ? os::fault_for_root(surroundings.read_file) : os::fault_for_users(surroundings.read_file);
  return fault ? std::optional(needs_namespaces(*fault)) : std::nullopt;
}

}  // namespace

Surroundings surroundings_of_this_process() {
  Surroundings surroundings;
  surroundings.host_variable = environment("LM_SANDBOX_HOST");
  surroundings.runtime_dir = environment("XDG_RUNTIME_DIR");
  surroundings.root = ::geteuid() == 0;
  surroundings.try_socket = try_unix_socket;
  surroundings.read_file = os::read_small_file;
  return surroundings;
}

Result<std::optional<std::string>> choose_daemon(const std::string& host_flag, PrivateDaemonUse use,
                                                 const Surroundings& surroundings) {
  using Choice = std::optional<std::string>;
  if (!host_flag.empty()) return Choice(host_flag);
  if (!surroundings.host_variable.empty()) return Choice(surroundings.host_variable);
  if (!surroundings.runtime_dir.empty()) {
    const std::string user_socket = surroundings.runtime_dir + "/lm-sandbox/api.sock";
    if (surroundings.try_socket(user_socket) == 0) return Choice("unix:" + user_socket);
  }
  const int refused = surroundings.try_socket(kSystemSocket);
  if (refused == 0) return Choice(std::string("unix:") + kSystemSocket);
  if (refused == EACCES || refused == EPERM) {
    return Error(ErrorCode::permission_denied,
                 std::string("a daemon is running, but ") + kSystemSocket + " is closed to you")
        .with_hint(kJoinGroup);
  }
  if (use == PrivateDaemonUse::senseless) {
    const char* start = surroundings.root
                            ? "start one: sudo lm-sandbox serve"
                            : "start one: lm-sandbox serve, or for all of this machine: sudo lm-sandbox serve";
    return Error(ErrorCode::unavailable, "no daemon is running").with_hint(start);
  }
  if (auto fault = private_daemon_fault(surroundings)) return *std::move(fault);
  return Choice();
}

bool may_have_key_unasked(const std::string& host, const std::string& host_variable) {
  if (host.empty() || host == host_variable) return true;
  const auto endpoint = http::Endpoint::parse(host);
  if (!endpoint.ok()) return false;
  if (endpoint->kind == http::Endpoint::Kind::unix_socket) return true;
  return is_loopback(endpoint->host);
}

}  // namespace lmsb::cli
