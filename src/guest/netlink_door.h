#pragma once
// NetlinkDoor: the sockets by which programs list network interfaces (netlink, its protocol of routes), a few of them.
//
// What the kernel answers on one waits in memory that no limit counts until it is read, so a sandbox may have only so
// many, and no filter can count. So the kernel asks for each (seccomp_unotify(2)): a socket is made, the kernel tells
// how many there are now, and the socket is put into whoever asked. Calls from here carry two numbers that nobody else
// knows. Whoever asks has no power over it that it would not have otherwise: the kernel looks at who sends.
//
// To put it there waits until the asking thread runs, which may be long. So that is not the guest's own work: it forks
// a process at the first question, which ends when nobody has asked for a second. It stands in the guest's own place,
// is not frozen with the commands, and has the listener, the guest's user and no capability.
//
// Single-threaded and allocation-free.
#include <algorithm>
#include <array>
#include <cstdint>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string_view>
#include <sys/types.h>

#include "base/unique_fd.h"

namespace lmsb::guest {

class NetlinkDoor {
 public:
  // How many there may be: each holds as much as its buffer may grow to (twice net.core.rmem_max), all together 32 MiB;
  // 32 where nobody has raised that setting (13 MiB), and never less than four.
  static constexpr std::uint64_t max_sockets(std::uint64_t largest_buffer) {
    return std::clamp<std::uint64_t>((32U << 20U) / std::max<std::uint64_t>(largest_buffer, 1), 4, 32);
  }

  // Installs the filter read from a sealed memfd (posture.h) behind rules(). Where the kernel has no such questions, or
  // somebody else answers them already (who runs a container may), it is installed as it is, and refuses such sockets.
  // Returns 0 or an errno.
  int install_filter_from(int fd);
  // Whether sockets can be asked for.
  bool is_open() const { return listener_.get() >= 0; }
  // Readable when somebody asks; -1: a process answers already, or nobody can ask.
  int events() const { return server_ < 0 ? listener_.get() : -1; }
  // Somebody asks: forks the process that answers, or refuses where that cannot be. Does not wait.
  void serve();
  // Whether it was the process that answered: the next question gets another.
  bool note_end(pid_t pid);

  // "Ask" for a socket of routes, "allow" the guest's own; everything else goes on behind them.
  using Rules = std::array<sock_filter, 18>;
  static Rules rules(const std::array<std::uint32_t, 2>& ours);

 private:
  [[noreturn]] void run();
  void answer() const;
  int give(const seccomp_notif& question) const;
  int make_socket(int type) const;
  std::uint64_t largest_buffer() const;

  std::array<std::uint32_t, 2> ours_{};
  UniqueFd listener_;
  pid_t server_ = -1;
  std::uint64_t max_sockets_ = 0;  // in the process that answers
};

// The number of sockets that a text like /proc/net/protocols tells for netlink, of one network namespace; false: none.
bool parse_netlink_count(std::string_view text, std::uint64_t& count);

}  // namespace lmsb::guest
