#pragma once
// Builder: turns the freshly cloned process into PID 1 of a finished sandbox, step by step, from the launcher's Setup.
//
// Single-threaded and allocation-free; every step is mandatory and ends the launch when it fails (nothing fails open).
// Before build() the process is alone in a new user and pid namespace with all capabilities in it; afterwards it has
// the posture "guest" of launch.md and no way back.
#include <array>
#include <cstdint>

#include "guest/command.h"
#include "guest/netlink_door.h"
#include "guest/way_out.h"
#include "guest_protocol/messages.h"
#include "os/message_socket.h"

namespace lmsb::guest {

// Where and why a launch failed.
struct Failure {
  guest_protocol::Step step;
  int error;  // errno
};

class Builder {
 public:
  // Both references outlive the builder.
  Builder(const guest_protocol::Setup& setup, ReceivedFds& fds) : setup_(setup), fds_(fds) {}

  // Runs all steps. True when the sandbox stands; false with failure() set.
  bool build();
  const Failure& failure() const { return failure_; }

  // Microseconds that each step took.
  const std::array<std::uint32_t, guest_protocol::kLaunchSteps>& step_us() const { return step_us_; }
  int landlock_abi() const { return landlock_abi_; }
  // What every command is put into.
  Confinement confinement() const {
    return {setup_.profile, landlock_.get(), users_.get(), own_proc_ ? own_proc_.get() : proc_.get()};
  }
  // The sandbox's own cgroup directory (a detached mount: nothing above it can be reached).
  int cgroup() const { return fd(setup_.cgroup_fd); }
  // Where a later daemon's launcher comes; -1: the sandbox ends with its channel.
  int listener() const { return fd(setup_.listener_fd); }
  // What its gate is served with; not open: the sandbox has no network.
  const WayOut& way_out() const { return way_out_; }
  // Who asks for a socket of netlink is answered there.
  NetlinkDoor& netlink_door() { return netlink_door_; }
  guest_protocol::PacketTimes packet_times() const { return packet_times_; }
  bool has_disk() const { return setup_.disk != guest_protocol::Disk::none; }

 private:
  // Each returns 0 or an errno.
  int enter_namespaces();
  int join_session_keyring();
  int open_proc();
  int open_root();
  int open_disk_root();
  int mount_layers();
  int pivot();
  int mount_all();
  int mount_devices();
  int mount_dev();
  int mask_proc();
  int mask_name(const char* name);
  int forbid_packet_times();
  int allow_low_ports();
  int cover_boot_id();
  int write_user_max();
  int make_network();
  int set_hostname();
  int set_rlimits();
  int make_users_namespace();
  int make_landlock();
  int drop_capabilities();
  int set_no_new_privs();
  int install_filter();

  int fd(std::int32_t index) const;

  const guest_protocol::Setup& setup_;
  ReceivedFds& fds_;
  UniqueFd proc_;         // detached, then mounted at /proc
  UniqueFd own_proc_;     // with Profile::root: the same, detached and writable
  UniqueFd root_;         // detached, then /
  UniqueFd user_limits_;  // /proc/sys/user, still writable
  UniqueFd users_;        // with Profile::root: the user namespace of commands
  UniqueFd landlock_;
  WayOut way_out_;
  NetlinkDoor netlink_door_;
  int landlock_abi_ = 0;
  guest_protocol::PacketTimes packet_times_ = guest_protocol::PacketTimes::no_such_setting;
  Failure failure_{};
  std::array<std::uint32_t, guest_protocol::kLaunchSteps> step_us_{};
};

}  // namespace lmsb::guest
