#pragma once
// Archiver: the daemon's end of a process of the launcher's that reads a snapshot as a stream, or makes one from it
// (docs/adr/0036). Destroying it ends that; what it was making goes, unless keep() was said. It holds the room that it
// counts for (admission.h) up to its end. One loop, one thread.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "control/capacity.h"
#include "guest_protocol/archive.h"
#include "io/foreign_pipe.h"
#include "io/task.h"
#include "io/wait_fd.h"
#include "sandbox/launcher_client.h"

namespace lmsb::control {

class Archiver {
 public:
  // Called once, when it is to end; the room is given back when it has.
  using Release = std::function<void(std::uint64_t serial, sandbox::LauncherClient::Disk disk, Capacity::Share room)>;
  Archiver(boost::asio::io_context& loop, sandbox::LaunchedSandbox launched, Capacity::Share room, Release release);
  ~Archiver() { process_->end(); }
  Archiver(const Archiver&) = delete;
  Archiver& operator=(const Archiver&) = delete;

  std::uint64_t serial() const { return process_->serial; }
  // The next octets, 64 KiB at most; empty is the end, which its report explains. Errors: snapshot_transfer_lost.
  io::Task<std::string> read();
  // False: it takes no more, and its report says why. Errors: cancelled, snapshot_transfer_lost.
  io::Task<bool> write(std::string octets);
  // No more comes.
  void finish_input() { stream_ = io::ForeignPipe(); }
  // Its last word, whole or not; once. Errors: snapshot_transfer_lost (it was ended), cancelled.
  io::Task<guest_protocol::ArchiveReport> report();
  // What it has made stays.
  void keep() { process_->disk = sandbox::LauncherClient::Disk::keep; }

 private:
  // Its pipe may have it ended, too.
  struct Process {
    Process(std::uint64_t s, Capacity::Share r, Release to) : serial(s), room(std::move(r)), release(std::move(to)) {}
    void end();
    const std::uint64_t serial;
    Capacity::Share room;
    Release release;  // once
    sandbox::LauncherClient::Disk disk = sandbox::LauncherClient::Disk::remove;
    bool has_reported = false;  // what it has made may be kept: only its Archiver ends it now
  };
  std::shared_ptr<Process> process_;
  UniqueFd channel_;
  io::FdWatch watch_;  // after channel_: ends before it
  io::ForeignPipe stream_;
};

}  // namespace lmsb::control
