#pragma once
// KeptProcess: a command whose output the guest keeps, so that it can be read from any offset, by several, at any time,
// also after it has ended, and whose stdin can be written bit by bit. It goes on when this object goes; forget() is its
// end. One loop, one thread.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "guest_client/channel.h"

namespace lmsb::guest_client {

using guest_protocol::Stream;

// Some octets of one stream.
struct Piece {
  std::uint64_t offset = 0;  // of the first; larger than what was asked for where octets are lost
  std::string data;
  std::uint64_t end = 0;  // how much the stream has had so far
  bool ended = false;     // nothing will come after `end`
  // Where times are wanted: CLOCK_BOOTTIME of the first octet, as the guest says, and not after the answer; 0 = no
  // data.
  std::uint64_t came_ms = 0;
};

// A time, both ends included; CLOCK_BOOTTIME.
struct Period {
  std::uint64_t since_ms = 0;
  std::uint64_t until_ms = UINT64_MAX;
};

// Octets [begin, end) of a stream.
struct Span {
  std::uint64_t begin = 0;
  std::uint64_t end = UINT64_MAX;
};

// Processor time of a command and of everything it started.
struct CpuTime {
  std::uint64_t user_us = 0;
  std::uint64_t system_us = 0;
};

// A question for it, and what the guest has answered.
struct AskedCpuTime {
  bool is_answered = false;
  std::optional<CpuTime> time;  // nothing, once it is answered: it had ended, or nobody could be asked
};

// What becomes of the output before the one that is read.
enum class Before : std::uint8_t { kept, dropped };

// Whether a piece says when it came, and ends where what came later begins.
enum class Times : std::uint8_t { unwanted, wanted };

class KeptProcess {
 public:
  // So many octets of input go to the guest in one message, all or none. Several of these fit into the socket at once.
  static constexpr std::size_t kInputPiece = 16 * 1024;

  explicit KeptProcess(std::shared_ptr<ProcessState> state) : state_(std::move(state)) {}

  // Waits until it has begun, or could not (has_begun() tells). Errors: unavailable (the guest is gone),
  // deadline_exceeded, cancelled.
  io::Task<void> wait_started(io::Deadline deadline) const;
  bool has_begun() const;
  int pid() const;  // inside; once it has begun
  bool has_ended() const;
  // Whether nothing can be heard of it any more: it is forgotten, or the guest is gone. It has ended then.
  bool is_out_of_reach() const;
  // Errors: deadline_exceeded, cancelled.
  io::Task<Ending> wait_ended(io::Deadline deadline) const;

  // What stands at `offset` of a stream, at most 64 KiB. Where there is nothing yet, be it far beyond the end, it waits
  // until there is, the stream ends, or `wait` passes: an empty piece then. Errors: unavailable (also of a guest that
  // does not answer within the channel's limit), process_not_found (it is forgotten), cancelled.
  io::Task<Piece> read(Stream stream, std::uint64_t offset, io::Deadline wait, Before before = Before::kept,
                       Times times = Times::unwanted) const;
  // Where that stands which came in a time, of what has come so far, as precisely as the guest knows. Errors: as
  // read().
  io::Task<Span> find(Stream stream, Period period) const;

  // Counts what may be news to a reader: more output, the end of a stream, its own end, that nothing can
  // be heard of it any more.
  std::uint64_t news() const;
  // Waits until the count is not `seen` any more. Errors: deadline_exceeded, cancelled.
  io::Task<void> wait_news(std::uint64_t seen, io::Deadline deadline) const;

  // Writes all of `data` to its stdin, waiting while it does not read; `close`: that was all. Errors: input_closed (it
  // does not read any more, or has no stdin), deadline_exceeded (part of it may have been written; what comes next
  // waits for that part), process_not_found, cancelled.
  io::Task<void> write_stdin(std::string data, bool close, io::Deadline deadline) const;

  // Asks what it has used until now, before it sees what is written to it after this.
  std::shared_ptr<const AskedCpuTime> ask_cpu_time() const;
  // Waits for the answer. Nothing where none comes within the channel's limit, or before the end of the wait.
  io::Always<std::optional<CpuTime>> wait_cpu_time(std::shared_ptr<const AskedCpuTime> asked) const;

  // What a later daemon finds of it, in place of StartSpec::note. Never lost.
  void keep_note(const std::string& note) const;

  // Changes the size of its terminal; nothing happens when it has none.
  void resize(std::uint16_t columns, std::uint16_t rows) const;
  // To the command, or to every process of its tree. Nothing happens when it has ended. Errors: resource_exhausted (the
  // guest is not keeping up), unavailable.
  Status signal(int signal, bool whole_tree) const;
  // What a terminal does to its session when it goes away: SIGHUP to every process of the tree. Never lost.
  void hang_up() const;
  // SIGKILL to every process of its tree. Never lost: waits by itself for room in the socket.
  void kill() const;
  // Kills it, if it is alive, and drops its output: never lost either. Whoever waits for something of it is told.
  void forget() const;

 private:
  std::shared_ptr<ProcessState> state_;
};

// One that was started on an earlier channel.
struct HeldProcess {
  KeptProcess process;
  std::string note;            // whatever the guest says that it was
  std::uint32_t number = 0;    // in the order of their starts
  std::uint64_t ended_ms = 0;  // CLOCK_BOOTTIME, as the guest says; 0 = it ran when it said so
  bool has_stdin = false;
};

}  // namespace lmsb::guest_client
