#pragma once
// Archiver: the daemon's end of a process of the launcher's that reads a snapshot as a stream, or makes one from it
// (docs/adr/0036). Destroying it ends that; what it was making goes, unless keep() was said. One loop, one thread.
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "guest_protocol/archive.h"
#include "io/stream.h"
#include "io/task.h"
#include "io/wait_fd.h"
#include "sandbox/launcher_client.h"

namespace lmsb::control {

class Archiver {
 public:
  // Called once, when this goes.
  using Release = std::function<void(std::uint64_t serial, sandbox::LauncherClient::Disk disk)>;
  Archiver(boost::asio::io_context& loop, sandbox::LaunchedSandbox launched, Release release);
  ~Archiver();
  Archiver(const Archiver&) = delete;
  Archiver& operator=(const Archiver&) = delete;

  std::uint64_t serial() const { return serial_; }
  // The next octets, 64 KiB at most; empty is the end, which its report explains. Errors: snapshot_transfer_lost.
  io::Task<std::string> read();
  // False: it takes no more, and its report says why. Errors: cancelled, snapshot_transfer_lost.
  io::Task<bool> write(std::string octets);
  // No more comes.
  void finish_input() { stream_.reset(); }
  // Its last word, whole or not; once. Errors: snapshot_transfer_lost (it was ended), cancelled.
  io::Task<guest_protocol::ArchiveReport> report();
  // What it has made stays.
  void keep() { disk_ = sandbox::LauncherClient::Disk::keep; }

 private:
  std::uint64_t serial_;
  Release release_;
  sandbox::LauncherClient::Disk disk_ = sandbox::LauncherClient::Disk::remove;
  UniqueFd channel_;
  io::FdWatch watch_;  // after channel_: ends before it
  std::optional<io::FdStream> stream_;
};

}  // namespace lmsb::control
