#include "http/listener.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/text.h"
#include "http/address.h"
#include "os/tcp_peer.h"
#include "os/tcp_socket.h"

namespace lmsb::http {
namespace {

constexpr int kBacklog = 4096;

Status set_option(int fd, int level, int option, int value, const char* name) {
  if (::setsockopt(fd, level, option, &value, sizeof value) == 0) return Status();
  return Error::from_errno(errno, std::string("set ") + name);
}

// Accepted connections inherit these. Keep-alive finds clients that vanished while a command of theirs runs.
Status set_tcp_options(int fd, int family) {
  LMSB_CHECK(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  if (family == AF_INET6) LMSB_CHECK(set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"));
  LMSB_CHECK(set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"));
  LMSB_CHECK(set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"));
  LMSB_CHECK(set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60, "TCP_KEEPIDLE"));
  LMSB_CHECK(set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15, "TCP_KEEPINTVL"));
  return set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4, "TCP_KEEPCNT");
}

Result<Address> local_address(int fd) {
  Address address;
  if (::getsockname(fd, address.get(), &address.size) != 0) return Error::from_errno(errno, "ask the socket's address");
  return address;
}

std::string describe_holder(std::uint16_t port) {
  const auto holder = find_port_holder(port);
  if (!holder) return "the port is taken";
  if (holder->pid) {
    return "the port is taken by process " + std::to_string(*holder->pid) + " (" + holder->command + ")";
  }
  return "the port is taken by a process of uid " + std::to_string(holder->uid) + ", which only root may look at";
}

Error bind_failed(int err, const std::string& address, std::uint16_t port) {
  if (err == EADDRINUSE) {
    return Error(ErrorCode::already_exists, "listen on " + address + ": " + describe_holder(port))
        .with_hint("stop it, or take any free port: --listen 127.0.0.1:0")
        .with_slug("port_in_use");
  }
  Error error = Error::from_errno(err, "listen on " + address);
  if (err == EADDRNOTAVAIL) return std::move(error).with_hint("this machine has no such address; try 127.0.0.1");
  if (err == EACCES) return std::move(error).with_hint("ports below 1024 are for root; take one above");
  return error;
}

// Whether somebody accepts connections there. A socket whose backlog is full is alive too.
bool is_live(const Address& address) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(probe.get(), address.get(), address.size) == 0 || errno == EAGAIN || errno == EACCES;
}

Status make_way(const std::string& path, const Address& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return Status();
  if (!S_ISSOCK(info.st_mode)) {
    return Error(ErrorCode::already_exists, "listen on " + path + ": a file that is not a socket is there");
  }
  if (is_live(address)) {
    return Error(ErrorCode::already_exists, "listen on " + path + ": another process listens there")
        .with_hint("stop the other daemon, or take another --run-dir");
  }
  if (::unlink(path.c_str()) != 0) return Error::from_errno(errno, "remove the stale socket " + path);
  return Status();
}

Result<std::string> begin_to_listen(int fd, int backlog) {
  constexpr int kKept = 64 * 1024;  // in each direction; the kernel doubles it
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return Error::from_errno(errno, "take over a sandbox's socket");
  LMSB_CHECK(set_option(fd, SOL_SOCKET, SO_RCVBUF, kKept, "SO_RCVBUF"));
  LMSB_CHECK(set_option(fd, SOL_SOCKET, SO_SNDBUF, kKept, "SO_SNDBUF"));
  LMSB_CHECK(set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"));
  // What an earlier daemon has served there may still be known to the kernel (TIME_WAIT), and is no reason not to
  // listen; as long as nobody does, no program may have the port beside this socket.
  LMSB_CHECK(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  if (::listen(fd, backlog) != 0) return Error::from_errno(errno, "listen on a sandbox's socket");
  LMSB_CHECK(set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0, "SO_REUSEADDR"));
  LMSB_TRY(const Address address, local_address(fd));
  return address.str();
}

}  // namespace

Result<Listener> make_tcp_listener(const std::string& address) {
  LMSB_TRY(const HostPort host_port, parse_host_port(address));
  LMSB_TRY(const Address wanted, to_address(host_port));
  const int family = wanted.storage.ss_family;
  Listener listener;
  listener.fd.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.fd) return Error::from_errno(errno, "open a socket for " + address);
  LMSB_CHECK(set_tcp_options(listener.fd.get(), family));
  if (::bind(listener.fd.get(), wanted.get(), wanted.size) != 0 || ::listen(listener.fd.get(), kBacklog) != 0) {
    return bind_failed(errno, address, host_port.port);
  }
  LMSB_TRY(const Address real, local_address(listener.fd.get()));
  listener.address = real.str();
  return listener;
}

Result<Listener> make_unix_listener(const std::string& path, unsigned mode) {
  LMSB_TRY(const Address address, to_unix_address(path));
  LMSB_CHECK(make_way(path, address));
  Listener listener;
  listener.is_unix = true;
  listener.address = path;
  listener.fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.fd) return Error::from_errno(errno, "open a unix socket");
  // The file is made with the socket's own mode, so that it is never open wider than asked, not even for a moment.
  if (::fchmod(listener.fd.get(), mode) != 0) return Error::from_errno(errno, "set the mode of " + path);
  if (::bind(listener.fd.get(), address.get(), address.size) != 0) return Error::from_errno(errno, "bind " + path);
  if (::chmod(path.c_str(), mode) != 0) return Error::from_errno(errno, "set the mode of " + path);
  if (::listen(listener.fd.get(), kBacklog) != 0) return Error::from_errno(errno, "listen on " + path);
  return listener;
}

Result<Listener> adopt_listener(UniqueFd fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0) return Error::from_errno(errno, "take over a listening socket");
  ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
  ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  int listens = 0;
  socklen_t size = sizeof listens;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
    return Error(ErrorCode::invalid_argument, "take over a listening socket: it does not listen");
  }
  LMSB_TRY(const Address address, local_address(fd.get()));
  Listener listener;
  listener.is_unix = address.is_unix();
  listener.address = address.str();
  if (!listener.is_unix) LMSB_CHECK(set_tcp_options(fd.get(), AF_INET));  // V6ONLY cannot be changed any more
  listener.fd = std::move(fd);
  return listener;
}

Result<Listener> listen_on_foreign(UniqueFd bound, int backlog) {
  auto address = begin_to_listen(bound.get(), backlog);
  if (!address.ok()) {
    os::close_at_once(std::move(bound));  // it may be connected by now, and its closing wait
    return std::move(address).error();
  }
  Listener listener;
  listener.fd = std::move(bound);
  listener.address = *std::move(address);
  return listener;
}

void close_listener(Listener& listener) {
  listener.fd.reset();
  if (!listener.is_unix || listener.address == "unix") return;
  const auto address = to_unix_address(listener.address);
  struct stat info {};
  if (!address.ok() || ::lstat(listener.address.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  if (!is_live(*address)) ::unlink(listener.address.c_str());
}

}  // namespace lmsb::http
