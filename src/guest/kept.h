#pragma once
// Kept: what the guest holds of commands whose output outlives whoever asked for them: the reading ends of their pipes,
// a log of each stream and its times, the writing end of stdin, and how they ended. Until they are forgotten.
//
// One epoll descriptor stands for all of it in the server's poll; it is made with the first kept command. Requests come
// from the daemon and are answered on the channel.
#include <array>
#include <cstdint>

#include "base/unique_fd.h"
#include "guest/output_log.h"
#include "guest/output_times.h"
#include "guest/slots.h"
#include "guest_protocol/messages.h"

namespace lmsb::guest {

class Kept {
 public:
  // `channel` is owned by main.
  explicit Kept(int channel) : channel_(channel) {}

  // Makes the record of a new kept command of that user; `stdin_read` becomes the reading end of its stdin if it keeps
  // one. Returns 0 or an errno, EAGAIN when kMaxKept are kept already.
  int begin(const guest_protocol::StartRequest& request, std::uint32_t user, UniqueFd& stdin_read);
  // The same for a command with a terminal; `command_end` becomes the command's end of it.
  int begin_terminal(const guest_protocol::StartRequest& request, std::uint32_t user, UniqueFd& command_end);
  // Keeps what the daemon wants to find again of it, in place of what it kept before. Returns 0 or an errno.
  int keep_note(std::uint32_t sequence, const char* note, std::uint32_t size);
  // It has started: takes the reading ends of its output. Returns 0 or an errno.
  int take_output(std::uint32_t sequence, std::int32_t pid, UniqueFd out, UniqueFd err);
  // How it ended, for a daemon that has not heard of it. Nothing happens when it is not kept.
  void note_end(const guest_protocol::Exited& exited, std::uint64_t now_ms);
  void note_end(const guest_protocol::StartFailed& failed, std::uint64_t now_ms);
  // The channel has closed: what was asked on it is not answered any more.
  void lose_channel();
  // All there is, on a new channel. `last_sequence` of anything that was started.
  void tell_all(std::uint32_t last_sequence);
  // Changes the size of its terminal, if it has one.
  void resize(const guest_protocol::Resize& request);
  // Drops its record.
  void forget(std::uint32_t sequence);

  void write_stdin(const guest_protocol::WriteStdin& request, const char* data);
  void read_output(const guest_protocol::ReadOutput& request);
  void find_output(const guest_protocol::FindOutput& request);
  // Becomes readable when handle_events() has something to do; -1 while nothing is kept.
  int events() const { return epoll_.get(); }
  // `now_ms` is the time of what is read: CLOCK_BOOTTIME.
  void handle_events(std::uint64_t now_ms);

 private:
  struct Source {
    UniqueFd pipe;  // or a terminal; closed at its end
    OutputLog log;
    OutputTimes times;
    bool wants_notice = false;            // a read has found nothing
    int prepare(std::uint64_t max_file);  // returns 0 or an errno
  };
  // Free ones have sequence 0.
  struct Record {
    std::uint32_t sequence = 0;
    std::array<Source, guest_protocol::kStreams> sources;
    UniqueFd stdin_write;
    char* pending = nullptr;  // input that the pipe has not taken yet; mapped while there is some
    std::uint32_t pending_begin = 0;
    std::uint32_t pending_end = 0;
    bool closes_after = false;
    bool has_terminal = false;
    char* note = nullptr;  // mapped
    guest_protocol::Held held{};
  };

  int make_record(const guest_protocol::StartRequest& request, Record*& record);
  static int make_stdin(Record& record, std::uint32_t user, UniqueFd& stdin_read);
  Record* find(std::uint32_t sequence);
  std::uint64_t slot_of(const Record& record) { return static_cast<std::uint64_t>(&record - records_.begin()); }
  int watch(int fd, std::uint32_t events, std::uint64_t slot_and_what);
  void read_some(Record& record, guest_protocol::Stream stream, std::uint64_t now_ms);
  // nullptr: there is no such stream.
  Source* find_source(std::uint32_t sequence, guest_protocol::Stream stream);
  void write_some(Record& record);
  void finish_stdin(Record& record, int error);
  void notice(const Record& record, guest_protocol::Stream stream, Source& source);

  int channel_;
  UniqueFd epoll_;
  Slots<Record, guest_protocol::kMaxKept> records_;
};

}  // namespace lmsb::guest
