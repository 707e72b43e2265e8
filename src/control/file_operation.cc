#include "control/file_operation.h"

#include <cstring>
#include <utility>

#include "control/command_start.h"
#include "control/file_fault.h"
#include "guest_protocol/file_records.h"
#include "os/make_pipe.h"

namespace lmsb::control {
namespace {

using guest_client::Ending;
using std::chrono::milliseconds;

constexpr std::size_t kPart = 16UL * 1024;   // of its output, read at once
constexpr milliseconds kInputLimit{60'000};  // for the process to take what it was sent
constexpr milliseconds kEndLimit{1'000};     // from the end of its output to the word of its own end

// Of what is kept when an answer is held whole.
std::size_t text_size(const FileRecord& record) {
  if (const auto* info = std::get_if<FileInfo>(&record))
    return info->path.size() + info->owner.size() + info->group.size() + info->target.size();
  if (const auto* match = std::get_if<GrepMatch>(&record)) return match->path.size() + match->text.size();
  if (const auto* file = std::get_if<ReplacedFile>(&record)) return file->path.size();
  if (const auto* skipped = std::get_if<SkippedFile>(&record)) return skipped->path.size();
  return 0;
}

}  // namespace

FileOperation::FileOperation(const std::shared_ptr<SandboxHandle>& sandbox, std::string what, std::string operation,
                             guest_client::Process process, io::ForeignPipe input)
    : sandbox_(sandbox),
      what_(std::move(what)),
      operation_(std::move(operation)),
      process_(std::move(process)),
      input_(std::move(input)) {}

io::Task<std::unique_ptr<FileOperation>> FileOperation::start(boost::asio::io_context& loop,
                                                              std::shared_ptr<SandboxHandle> sandbox, std::string what,
                                                              std::vector<std::string> words, Input input) {
  guest_client::StartSpec spec;
  spec.program = guest_protocol::Program::files;
  spec.argv = std::move(words);
  os::PipeEnds pipe;
  if (input == Input::pipe) {
    LMSB_CO_TRY(pipe, os::make_pipe());
  }
  LMSB_CO_TRY(auto process, sandbox->channel().start(spec, pipe.read ? pipe.read.get() : -1));
  pipe.read.reset();
  io::ForeignPipe to_it(loop, std::move(pipe.write), process.eviction());
  std::unique_ptr<FileOperation> self(
      new FileOperation(sandbox, std::move(what), spec.argv.front(), std::move(process), std::move(to_it)));
  LMSB_CO_CHECK(co_await self->process_.wait_started(io::Deadline::in(kStartLimit)));
  self->output_ = self->process_.take_stdout();
  if (!self->output_) {  // it has not even begun
    const auto ending = co_await self->process_.wait_ended(io::Deadline::in(kEndLimit));
    if (ending.ok() && ending->kind == Ending::Kind::start_failed)
      co_return not_started(self->what_, spec.cwd, *ending);
    co_return self->lost();
  }
  co_return std::move(self);
}

Error FileOperation::something_else() const {
  return Error(ErrorCode::unavailable, what_)
      .with_cause("the sandbox answered something else")
      .with_slug("file_operation_lost")
      .with_hint("something in the sandbox has taken the operation over: do not trust it");
}

Error FileOperation::late() const {
  return Error(ErrorCode::deadline_exceeded, what_)
      .with_cause("not done within its time limit")
      .with_slug("file_operation_timeout")
      .with_hint("the sandbox is short of CPU, or the tree is large: ask for less at once");
}

Error FileOperation::error_of(const SkippedFile& problem) const { return file_error(what_, operation_, problem); }

Error FileOperation::lost() const {
  const auto sandbox = sandbox_.lock();
  if (!sandbox || sandbox->channel().is_closed())
    return Error(ErrorCode::unavailable, "the sandbox is gone").with_slug("sandbox_lost");
  return Error(ErrorCode::unavailable, what_)
      .with_cause("its process in the sandbox was ended")
      .with_slug("file_operation_lost")
      .with_hint("it may have been killed from within, or for want of memory");
}

Error FileOperation::why(Error error) const {
  return error.code() == ErrorCode::deadline_exceeded ? late() : std::move(error);
}

// What comes of its output; at its end: why it ended.
io::Task<std::string> FileOperation::read_output(std::size_t size, io::Deadline deadline) {
  auto octets = co_await output_.read(size, deadline);
  if (!octets.ok()) co_return why(std::move(octets).error());
  if (octets->empty()) LMSB_CO_CHECK(co_await why_ended());
  co_return octets;
}

// Of an output that has come to its end.
io::Task<void> FileOperation::why_ended() {
  const auto ending = co_await process_.wait_ended(io::Deadline::in(kEndLimit));
  if (ending.ok() && ending->kind == Ending::Kind::start_failed) co_return not_started(what_, "", *ending);
  co_return lost();
}

io::Task<FileRecord> FileOperation::next(io::Deadline deadline) {
  for (;;) {
    LMSB_CO_TRY(auto record, reader_.next());
    if (record) {
      if (const auto* failed = std::get_if<FileFailed>(&*record)) co_return error_of(failed->what);
      co_return *std::move(record);
    }
    LMSB_CO_TRY(const std::string octets, co_await read_output(kPart, deadline));
    reader_.feed(octets);
  }
}

// Some of the next record's header, and nothing else. A header of anything but data is given to the reader.
io::Task<void> FileOperation::take_header(io::Deadline deadline) {
  guest_protocol::RecordHeader header{};
  LMSB_CO_TRY(const std::string part, co_await read_output(sizeof header - header_.size(), deadline));
  header_ += part;
  if (header_.size() < sizeof header) co_return Status();
  std::memcpy(&header, header_.data(), sizeof header);
  const bool is_data = header.magic == guest_protocol::kRecordMagic &&
                       header.kind == guest_protocol::RecordKind::data && header.size > 0 &&
                       header.size <= guest_protocol::kMaxDataBody;
  if (is_data) {
    left_to_relay_ = header.size;
  } else {
    reader_.feed(header_);
  }
  header_.clear();
  co_return Status();
}

io::Task<void> FileOperation::relay_data(std::shared_ptr<io::PipeRelay> relay, io::Deadline deadline) {
  while (left_to_relay_ == 0 && !reader_.has_rest()) LMSB_CO_CHECK(co_await take_header(deadline));
  if (left_to_relay_ == 0) co_return Status();
  const auto count = co_await output_.relay(std::move(relay), left_to_relay_, deadline);
  if (!count.ok()) co_return why(count.error());
  if (*count == 0) co_return co_await why_ended();
  left_to_relay_ -= static_cast<std::uint32_t>(*count);
  co_return Status();
}

io::Task<FileDone> FileOperation::finish(Sinks sinks, milliseconds limit) {
  const io::Deadline deadline = io::Deadline::in(limit);
  const auto has_room = [&sinks](const auto* place) { return place != nullptr && place->size() < sinks.limit; };
  std::uint64_t octets = 0;
  for (;;) {
    LMSB_CO_TRY(auto record, co_await next(deadline));
    octets += text_size(record);
    if (octets > 2 * guest_protocol::kMaxListed) co_return something_else();
    if (auto* done = std::get_if<FileDone>(&record)) {
      if (sinks.skipped != nullptr) sinks.skipped->count = done->skipped;
      co_return std::move(*done);
    }
    if (auto* info = std::get_if<FileInfo>(&record); info != nullptr && has_room(sinks.entries)) {
      sinks.entries->push_back(std::move(*info));
    } else if (auto* match = std::get_if<GrepMatch>(&record); match != nullptr && has_room(sinks.matches)) {
      sinks.matches->push_back(std::move(*match));
    } else if (auto* file = std::get_if<ReplacedFile>(&record); file != nullptr && has_room(sinks.changed)) {
      sinks.changed->push_back(std::move(*file));
    } else if (auto* left_out = std::get_if<SkippedFile>(&record);
               left_out != nullptr && sinks.skipped != nullptr && sinks.skipped->files.size() < kMaxFilePage) {
      sinks.skipped->files.push_back(std::move(*left_out));
    } else {
      co_return something_else();
    }
  }
}

io::Task<void> FileOperation::send(std::string octets) {
  co_return co_await input_.write_all(std::move(octets), io::Deadline::in(kInputLimit));
}

io::Task<void> FileOperation::send_body(http::BodyReader& body) {
  for (;;) {
    LMSB_CO_TRY(std::string piece, co_await body.read());
    const bool is_end = piece.empty();
    for (std::size_t at = 0; is_end || at < piece.size(); at += guest_protocol::kMaxChunk) {
      const std::string_view part = std::string_view(piece).substr(at, guest_protocol::kMaxChunk);
      const guest_protocol::ChunkHeader header{static_cast<std::uint32_t>(part.size())};
      std::string chunk(reinterpret_cast<const char*>(&header), sizeof header);
      chunk += part;
      const Status sent = co_await send(std::move(chunk));
      if (!sent.ok() && sent.error().code() == ErrorCode::cancelled) co_return sent;
      if (!sent.ok() && sent.error().code() == ErrorCode::deadline_exceeded) co_return late();
      if (!sent.ok() || is_end) co_return Status();
    }
  }
}

}  // namespace lmsb::control
