#pragma once
// Server: PID 1's life once its sandbox stands. Starts commands from standbys, reaps everything, reports exits, kills
// on request and at spare deadlines, gives out sockets of netlink. Ends, and with it the sandbox, when the channel
// closes; or, if it was told to stay, ends what only that channel's daemon could have heard of, and goes on with what
// it keeps until a later daemon's launcher comes to its listener, or the sandbox's life is over.
//
// Single-threaded; waits in poll(2) on the channel, SIGCHLD, one timer, and what its parts wait for. Requests come from
// the daemon, which is trusted with this sandbox; a malformed one ends the guest, because it can only be our bug.
#include <array>
#include <span>
#include <sys/resource.h>

#include "base/unique_fd.h"
#include "guest/build.h"
#include "guest/command.h"
#include "guest/kept.h"
#include "guest/model_door.h"
#include "guest/ports.h"
#include "guest/slots.h"
#include "guest/sudo_door.h"
#include "guest/write_room.h"

namespace lmsb::guest {

class Server {
 public:
  // `channel` and `builder` outlive the server. `keep_standby`: have one ready at all times (kept sandboxes); else
  // only the first is made ahead.
  Server(int channel, Builder& builder, bool keep_standby);

  // Makes the timer, the signal descriptor and the first standby. Returns 0 or an errno; `failed` says at which step.
  int prepare(guest_protocol::Step& failed);
  // Tells the daemon that the sandbox stands.
  bool send_ready();
  // Serves until the channel closes.
  void run();

 private:
  // One command that was started. Free slots have pid -1.
  struct Running {
    pid_t pid = -1;
    std::uint32_t sequence = 0;
    std::uint32_t cgroup_number = 0;
    std::uint64_t deadline_ms = 0;  // CLOCK_BOOTTIME; 0 = none
    bool timed_out = false;
    bool is_kept = false;
    bool had_room = false;     // the disk, when it began
    bool was_alone = false;    // nothing else of the sandbox has run beside it
    bool looks = false;        // at the others, for the daemon: it changes nothing
    bool serves_sudo = false;  // nobody's request: no channel hears of it, and the sequence is its caller's, 0: unknown
    UniqueFd pidfd;
    UniqueFd socket;
    UniqueFd cgroup;
  };

  bool handle_message();
  void lose_channel();
  void take_channel();
  bool handle_start(std::size_t size, ReceivedFds& fds);
  bool start_command(const guest_protocol::StartRequest& request, std::size_t size, int stdin_fd);
  int start_looker(const guest_protocol::StartRequest& request, std::size_t size, int stdin_fd,
                   guest_protocol::Step& failed, bool& sent);
  int start_with_standby(const guest_protocol::StartRequest& request, std::size_t size, int stdin_fd,
                         guest_protocol::Step& failed, bool& sent);
  int list_ports(const guest_protocol::StartRequest& request, bool& sent);
  int hand_over(std::size_t size, std::span<const int> streams);
  // Makes the standby the command of the request in `message`; `streams`: its stdin, and its stdout. Returns 0 or an
  // errno, with `failed`.
  enum class For : std::uint8_t { anybody, user, sudo, looker };  // looker: see to_look_at_commands()
  int use_standby(std::size_t size, std::span<const int> streams, For whom, guest_protocol::Step& failed);
  // It is the command of the slot from now on; its output's reading ends are left where they are.
  void enlist(Running& slot);
  void note_company(Running& newcomer);
  bool send_started(const guest_protocol::StartRequest& request);
  void handle_kill(const guest_protocol::KillRequest& request);
  void end_left_behind(int signal);
  // Calls `handle` with the cgroup of every tree of a command: its own, or what is left of it, and those of sudo.
  template <class Handle>
  void with_trees(std::uint32_t sequence, Handle handle);
  void kill_trees(std::uint32_t sequence);
  bool handle_write(std::size_t size);
  void handle_forget(std::uint32_t sequence);
  bool handle_note(std::size_t size);
  void handle_stay(const guest_protocol::Stay& request);
  bool handle_take_network(std::uint32_t sequence);
  bool handle_take_models(std::uint32_t sequence);
  bool handle_read_usage(std::uint32_t sequence);
  void handle_connect(const guest_protocol::ConnectPort& request);
  void handle_children();
  bool wants_standby() const;
  void make_standby();
  // The one that stood by is not wanted, or lost: it ends, whatever state it is in, and is reaped like any other child.
  void end_standby();
  // It died before anybody asked for anything, or could not be made: the next one waits.
  void pause_standbys();
  void handle_deadlines();
  bool is_sudo_full();
  void serve_sudo();
  void note_caller();
  std::uint32_t sequence_of(pid_t process);
  void finish_sudo(Running& command, int status);
  void finish(Running& command, int status, const rusage& usage);
  bool report_from_standby(Running& command);
  void send_start_failed(std::uint32_t sequence, guest_protocol::Step step, int error);
  void arm_timer();
  // A command has ended and others of its tree have not: its cgroup is removed when the last one has gone.
  // False: no more can be remembered.
  bool linger(std::uint32_t sequence, std::uint32_t cgroup_number, bool is_of_sudo = false);
  void sweep_lingering();
  Running* find(std::uint32_t sequence);

  int channel_;  // owned by main; the same number for each that comes
  bool stays_ = false;
  bool is_away_ = false;  // there is no daemon
  bool is_asked_to_end_ = false;
  std::uint64_t life_end_ms_ = 0;  // CLOCK_BOOTTIME; 0 = none
  std::uint32_t last_sequence_ = 0;
  Builder& builder_;
  bool keep_standby_;
  std::uint32_t next_cgroup_ = 1;
  Standby standby_;
  std::uint64_t standby_pause_ms_ = 0;  // before the next one
  std::uint64_t next_standby_ms_ = 0;   // CLOCK_BOOTTIME; 0 = at once
  bool has_more_children_ = false;      // that have ended, perhaps
  UniqueFd children_;                   // signalfd of SIGCHLD
  UniqueFd timer_;
  WriteRoom room_;
  Slots<Running, guest_protocol::kMaxProcesses> running_;
  Kept kept_;
  Ports ports_;
  ModelDoor model_door_;
  SudoDoor sudo_door_;
  struct Lingering {
    std::uint32_t sequence;
    std::uint32_t cgroup_number;
    bool is_of_sudo;
  };
  std::array<Lingering, guest_protocol::kMaxProcesses> lingering_;
  std::size_t lingering_count_ = 0;
};

}  // namespace lmsb::guest
