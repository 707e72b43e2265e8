#include "guest/kept.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "guest/terminal.h"
#include "os/message_socket.h"

namespace lmsb::guest {
namespace {

using guest_protocol::Kind;
using guest_protocol::kMaxPiece;
using guest_protocol::Stream;

// What an event is about: a record's slot and which of its descriptors. The streams come first.
constexpr std::uint64_t kStdin = guest_protocol::kStreams;
constexpr std::uint64_t kWhats = kStdin + 1;

std::array<char, kMaxPiece> piece;  // single-threaded

template <class Message>
void send(int channel, const Message& message, const char* data = nullptr, std::size_t size = 0) {
  const std::array<iovec, 2> parts = {
      {{const_cast<Message*>(&message), sizeof message}, {const_cast<char*>(data), size}}};  // NOLINT: C interface
  (void)send_message(channel, parts.data(), size > 0 ? 2 : 1);  // it fails when the daemon has gone: see Server
}

// Memory of the guest's own, given back by munmap(2); nullptr: there is none.
char* map_memory(std::size_t size) {
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

std::uint64_t file_size(const guest_protocol::StartRequest& request) { return std::uint64_t{request.spill_mib} << 20U; }

bool set_nonblocking(int fd) { return ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) == 0; }

}  // namespace

int Kept::Source::prepare(std::uint64_t max_file) {
  const int error = log.prepare(max_file);
  return error != 0 ? error : times.prepare();
}

int Kept::make_record(const guest_protocol::StartRequest& request, Record*& record) {
  const std::uint32_t sequence = request.header.sequence;
  record = records_.find_free([](const Record& r) { return r.sequence == 0; });
  if (sequence == 0 || record == nullptr) return EAGAIN;
  if (!epoll_) epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return errno;
  record->sequence = sequence;
  return record->sources[0].prepare(file_size(request));
}

int Kept::begin(const guest_protocol::StartRequest& request, std::uint32_t user, UniqueFd& stdin_read) {
  Record* record = nullptr;
  int error = make_record(request, record);
  if (error == 0) error = record->sources[1].prepare(file_size(request));
  if (error == 0 && request.keep_stdin != 0) error = make_stdin(*record, user, stdin_read);
  if (error != 0) forget(request.header.sequence);
  return error;
}

int Kept::begin_terminal(const guest_protocol::StartRequest& request, std::uint32_t user, UniqueFd& command_end) {
  Record* record = nullptr;
  Terminal terminal;
  int error = make_record(request, record);
  if (error == 0) error = open_terminal(request.columns, request.rows, user, terminal);
  if (error == 0) {
    record->has_terminal = true;
    record->stdin_write.reset(::fcntl(terminal.master.get(), F_DUPFD_CLOEXEC, 0));
    record->sources[0].pipe = std::move(terminal.master);
    error = record->stdin_write ? watch(record->sources[0].pipe.get(), EPOLLIN, slot_of(*record) * kWhats) : errno;
  }
  if (error != 0) forget(request.header.sequence);
  command_end = std::move(terminal.command);
  return error;
}

void Kept::resize(const guest_protocol::Resize& request) {
  const Record* record = find(request.header.sequence);
  if (record != nullptr && record->has_terminal && record->stdin_write)
    (void)resize_terminal(record->stdin_write.get(), request.columns, request.rows);
}

int Kept::make_stdin(Record& record, std::uint32_t user, UniqueFd& stdin_read) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) return errno;
  stdin_read.reset(ends[0]);
  record.stdin_write.reset(ends[1]);
  if (!set_nonblocking(ends[1])) return errno;
  // The command may open its input by name (/dev/stdin), so the pipe must be its own.
  return ::fchown(ends[0], user, user) < 0 ? errno : 0;
}

int Kept::keep_note(std::uint32_t sequence, const char* note, std::uint32_t size) {
  Record* const record = find(sequence);
  if (record == nullptr || size > guest_protocol::kMaxNote) return EINVAL;
  if (size == 0) return 0;
  char* const memory = map_memory(size);
  if (memory == nullptr) return ENOMEM;
  std::memcpy(memory, note, size);
  if (record->note != nullptr) (void)::munmap(record->note, record->held.note_size);
  record->note = memory;
  record->held.note_size = size;
  return 0;
}

int Kept::take_output(std::uint32_t sequence, std::int32_t pid, UniqueFd out, UniqueFd err) {
  Record* const record = find(sequence);
  if (record == nullptr) return ESRCH;
  record->held.pid = pid;
  if (record->has_terminal) return 0;  // and the pipes go
  record->sources[0].pipe = std::move(out);
  record->sources[1].pipe = std::move(err);
  for (std::size_t i = 0; i < record->sources.size(); ++i) {
    const int pipe = record->sources[i].pipe.get();
    if (!set_nonblocking(pipe)) return errno;
    if (const int error = watch(pipe, EPOLLIN, slot_of(*record) * kWhats + i); error != 0) return error;
  }
  return 0;
}

void Kept::forget(std::uint32_t sequence) {
  Record* const record = find(sequence);
  if (record == nullptr) return;
  if (record->pending != nullptr) (void)::munmap(record->pending, kMaxPiece);
  for (Source& source : record->sources) {
    source.pipe.reset();
    source.log.clear();
    source.times.clear();
    source.wants_notice = false;
  }
  record->stdin_write.reset();
  record->pending = nullptr;
  record->pending_begin = record->pending_end = 0;
  record->closes_after = record->has_terminal = false;
  if (record->note != nullptr) (void)::munmap(record->note, record->held.note_size);
  record->note = nullptr;
  record->held = {};
  record->sequence = 0;
}

void Kept::note_end(const guest_protocol::Exited& exited, std::uint64_t now_ms) {
  Record* const record = find(exited.header.sequence);
  if (record == nullptr) return;
  record->held.state = guest_protocol::Held::State::exited;
  record->held.exited = exited;
  record->held.ended_ms = now_ms;
}

void Kept::note_end(const guest_protocol::StartFailed& failed, std::uint64_t now_ms) {
  Record* const record = find(failed.header.sequence);
  if (record == nullptr) return;
  record->held.state = guest_protocol::Held::State::start_failed;
  record->held.failure = failed;
  record->held.ended_ms = now_ms;
}

void Kept::lose_channel() {
  for (Record& record : records_)
    for (Source& source : record.sources) source.wants_notice = false;
}

void Kept::tell_all(std::uint32_t last_sequence) {
  for (Record& record : records_) {
    if (record.sequence == 0) continue;
    record.held.header = {Kind::held, record.sequence};
    record.held.has_stdin = record.stdin_write ? 1 : 0;
    record.held.takes_input = record.pending != nullptr ? 1 : 0;
    send(channel_, record.held, record.note, record.held.note_size);
  }
  guest_protocol::Held end{};
  end.header = {Kind::held, 0};
  end.last_sequence = last_sequence;
  send(channel_, end);
}

Kept::Record* Kept::find(std::uint32_t sequence) {
  if (sequence == 0) return nullptr;
  Record* const found = std::find_if(records_.begin(), records_.end(),
                                     [sequence](const Record& record) { return record.sequence == sequence; });
  return found == records_.end() ? nullptr : found;
}

int Kept::watch(int fd, std::uint32_t events, std::uint64_t slot_and_what) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = slot_and_what;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0 ? errno : 0;
}

void Kept::handle_events(std::uint64_t now_ms) {
  std::array<epoll_event, 32> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), 0);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t about = events[static_cast<std::size_t>(i)].data.u64;
    Record& record = records_[about / kWhats];
    if (record.sequence == 0) continue;
    if (about % kWhats == kStdin) {
      write_some(record);
    } else {
      read_some(record, static_cast<Stream>(about % kWhats), now_ms);
    }
  }
}

// A bounded amount, so that a flood does not keep the others waiting.
void Kept::read_some(Record& record, Stream stream, std::uint64_t now_ms) {
  Source& source = record.sources[static_cast<std::size_t>(stream)];
  if (!source.pipe) return;
  const ssize_t n = ::read(source.pipe.get(), piece.data(), piece.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0) {
    source.times.note(source.log.end(), now_ms);
    source.log.append(piece.data(), static_cast<std::size_t>(n));
  } else {
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, source.pipe.get(), nullptr);  // a terminal is open twice
    source.pipe.reset();
  }
  notice(record, stream, source);
}

void Kept::notice(const Record& record, Stream stream, Source& source) {
  if (!source.wants_notice) return;
  source.wants_notice = false;
  send(channel_, guest_protocol::OutputGrew{{Kind::output_grew, record.sequence}, stream});
}

void Kept::read_output(const guest_protocol::ReadOutput& request) {
  guest_protocol::OutputPiece answer{};
  answer.header = {Kind::output, request.header.sequence};
  answer.ticket = request.ticket;
  answer.stream = request.stream;
  answer.offset = request.offset;
  Source* const found = find_source(request.header.sequence, request.stream);
  if (found == nullptr) {
    answer.error = ESRCH;
    return send(channel_, answer);
  }
  Source& source = *found;
  if (request.discard != 0) source.log.discard(request.offset);
  answer.end = source.log.end();
  answer.ended = source.pipe ? 0 : 1;
  answer.size = static_cast<std::uint32_t>(
      source.log.read(answer.offset, piece.data(), std::min<std::size_t>(request.size, piece.size())));
  if (answer.size == 0 && answer.ended == 0) source.wants_notice = true;
  if (answer.size > 0 && request.by_time != 0) {
    const OutputTimes::Run run = source.times.run_at(answer.offset);
    answer.came_ms = run.first_ms;
    answer.size = static_cast<std::uint32_t>(std::min<std::uint64_t>(answer.size, run.end - answer.offset));
  }
  send(channel_, answer, piece.data(), answer.size);
}

void Kept::find_output(const guest_protocol::FindOutput& request) {
  guest_protocol::OutputSpan answer{};
  answer.header = {Kind::output_span, request.header.sequence};
  answer.ticket = request.ticket;
  answer.stream = request.stream;
  if (const Source* const source = find_source(request.header.sequence, request.stream); source != nullptr) {
    answer.begin = std::min(source->times.begin_of(request.since_ms), source->log.end());
    answer.end = std::clamp(source->times.end_of(request.until_ms), answer.begin, source->log.end());
  } else {
    answer.error = ESRCH;
  }
  send(channel_, answer);
}

Kept::Source* Kept::find_source(std::uint32_t sequence, Stream stream) {
  Record* const record = find(sequence);
  return record == nullptr || stream > Stream::err ? nullptr : &record->sources[static_cast<std::size_t>(stream)];
}

void Kept::write_stdin(const guest_protocol::WriteStdin& request, const char* data) {
  Record* const record = find(request.header.sequence);
  if (record == nullptr || !record->stdin_write || record->pending != nullptr) {
    const int error = record != nullptr && record->pending != nullptr ? EBUSY : ESRCH;
    return send(channel_, guest_protocol::StdinDone{{Kind::stdin_done, request.header.sequence}, error});
  }
  record->closes_after = request.close != 0;
  if (request.size == 0) return finish_stdin(*record, 0);
  record->pending = map_memory(kMaxPiece);
  if (record->pending == nullptr) return finish_stdin(*record, ENOMEM);
  std::memcpy(record->pending, data, request.size);
  record->pending_begin = 0;
  record->pending_end = request.size;
  write_some(*record);
}

void Kept::write_some(Record& record) {
  while (record.pending_begin < record.pending_end) {
    const ssize_t n = ::write(record.stdin_write.get(), record.pending + record.pending_begin,
                              record.pending_end - record.pending_begin);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      const int error = watch(record.stdin_write.get(), EPOLLOUT, slot_of(record) * kWhats + kStdin);
      if (error == 0 || error == EEXIST) return;
      return finish_stdin(record, error);
    }
    if (n < 0) return finish_stdin(record, errno);
    record.pending_begin += static_cast<std::uint32_t>(n);
  }
  finish_stdin(record, 0);
}

// What was to be written is written, or cannot be.
void Kept::finish_stdin(Record& record, int error) {
  if (record.pending != nullptr) (void)::munmap(record.pending, kMaxPiece);
  record.pending = nullptr;
  record.pending_begin = record.pending_end = 0;
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, record.stdin_write.get(), nullptr);
  if ((record.closes_after && !record.has_terminal) || error == EPIPE) record.stdin_write.reset();
  send(channel_, guest_protocol::StdinDone{{Kind::stdin_done, record.sequence}, error});
}

}  // namespace lmsb::guest
