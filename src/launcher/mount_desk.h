#pragma once
// MountDesk: where callers hand over directories for -v.
//
// The caller opens the directory itself, so it can only hand over what it can reach, and the kernel says who it is
// (SO_PEERCRED), so a daemon that has been taken over cannot claim another's rights. The answer is a token that the
// daemon may use once in a launch. A socket of its own, fixed-size messages.
//
// Each caller is received by a process of its own (mount_receiver.h): nothing that a caller passes can make the
// launcher wait. Bounds: a receiver lives 2 s at most, a token 60 s; 64 receivers and 64 tokens at once, 8 of each for
// one user. Root and the daemon do not count among the others and cannot be crowded out by them. A caller beyond a
// bound is answered EAGAIN. Not thread-safe; never blocks.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/mount_receiver.h"
#include "launcher/starter.h"
#include "sandbox/mount_token.h"

namespace lmsb::launcher {

// A directory that was handed over, and by whom.
struct HandedMount {
  UniqueFd source;  // O_PATH
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

class MountDesk {
 public:
  // Listens at `path` (mode 0666: whoever may reach the run directory may ask). `daemon_uid` is the daemon's own user.
  // Of a user it takes directories of the mount namespace that this process is in at that moment, from that user and
  // the daemon; all others get EPERM.
  static Result<std::unique_ptr<MountDesk>> open(const std::string& path, std::uint32_t daemon_uid,
                                                 Starter starter = Starter::root);
  // Kills the receivers that are left.
  ~MountDesk();
  MountDesk(const MountDesk&) = delete;
  MountDesk& operator=(const MountDesk&) = delete;

  // Readable when serve() has something to do.
  int fd() const { return epoll_.get(); }
  void serve();
  // The mount behind a token, once.
  std::optional<HandedMount> take(const sandbox::MountToken& token);

 private:
  enum class Stage : std::uint8_t { accepting, receiving, ending };
  struct Receiver {
    MountReceiver process;
    Stage stage = Stage::accepting;
    MountCaller caller{~0U, ~0U};
    std::int64_t kill_at_ms = 0;
  };
  struct Waiting {
    sandbox::MountToken token;
    std::int64_t since_ms;
    HandedMount mount;
  };

  MountDesk(UniqueFd listener, std::uint32_t daemon_uid) : listener_(std::move(listener)), daemon_uid_(daemon_uid) {}
  Status watch();
  void start_receiver();
  void handle_word(std::uint64_t id);
  void handle_end(std::uint64_t id);
  void handle_caller(Receiver& receiver);
  void handle_offer(Receiver& receiver);
  void expire();
  bool may_go_on(const MountCaller& caller) const;
  bool may_wait(std::uint32_t uid) const;
  bool is_privileged(std::uint32_t uid) const { return uid == 0 || uid == daemon_uid_; }
  void rearm();

  UniqueFd listener_;
  UniqueFd outside_;  // a mount namespace, of a user's desk
  UniqueFd epoll_;
  UniqueFd timer_;
  std::uint32_t daemon_uid_;
  std::map<std::uint64_t, Receiver> receivers_;
  std::uint64_t next_id_ = 1;
  bool fork_failed_ = false;  // wait for the timer before the next attempt
  std::deque<Waiting> waiting_;
};

}  // namespace lmsb::launcher
