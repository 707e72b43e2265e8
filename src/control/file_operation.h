#pragma once
// FileOperation: one process of the program `files` in a sandbox, from its start to its answer. Destroying it kills it.
// One loop, one thread.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "control/file_record_reader.h"
#include "control/sandbox_handle.h"
#include "guest_client/channel.h"
#include "http/body.h"
#include "io/deadline.h"
#include "io/foreign_pipe.h"
#include "io/pipe_relay.h"
#include "io/task.h"

namespace lmsb::control {

class FileOperation {
 public:
  enum class Input : std::uint8_t { none, pipe };

  // `words` are the operation and its arguments. `what` begins messages: "read file".
  static io::Task<std::unique_ptr<FileOperation>> start(boost::asio::io_context& loop,
                                                        std::shared_ptr<SandboxHandle> sandbox, std::string what,
                                                        std::vector<std::string> words, Input input);
  FileOperation(const FileOperation&) = delete;
  FileOperation& operator=(const FileOperation&) = delete;

  // The next record. One that says `failed` is an Error; so are the end of the answer without one that says `done`, and
  // file_operation_timeout.
  io::Task<FileRecord> next(io::Deadline deadline);
  // Has `relay`, which holds nothing, take what comes of data. It still holds nothing where something else comes, for
  // next(). Errors as there. Between two records, or after itself.
  io::Task<void> relay_data(std::shared_ptr<io::PipeRelay> relay, io::Deadline deadline);
  // Reads up to `done`; what may come before is put where it belongs. Anything else is an Error, as is more than was
  // asked for.
  struct Sinks {
    std::uint64_t limit = 2;  // of each kind but the skipped
    std::vector<FileInfo>* entries = nullptr;
    std::vector<GrepMatch>* matches = nullptr;
    std::vector<ReplacedFile>* changed = nullptr;
    Skipped* skipped = nullptr;
  };
  // `sinks` point to what outlives the task.
  io::Task<FileDone> finish(Sinks sinks, std::chrono::milliseconds limit);

  // Octets to its stdin. An Error when it reads no more; its answer then says why.
  io::Task<void> send(std::string octets);
  // All of a body as chunks. Errors are the body's; what the process says comes with its answer. `body` outlives the
  // task.
  io::Task<void> send_body(http::BodyReader& body);

  Error error_of(const SkippedFile& problem) const;

 private:
  FileOperation(const std::shared_ptr<SandboxHandle>& sandbox, std::string what, std::string operation,
                guest_client::Process process, io::ForeignPipe input);
  io::Task<std::string> read_output(std::size_t size, io::Deadline deadline);
  io::Task<void> take_header(io::Deadline deadline);
  Error why(Error error) const;
  io::Task<void> why_ended();
  Error lost() const;
  Error late() const;
  Error something_else() const;

  std::weak_ptr<SandboxHandle> sandbox_;
  std::string what_;
  std::string operation_;
  guest_client::Process process_;
  io::ForeignPipe output_;
  io::ForeignPipe input_;
  FileRecordReader reader_;
  std::string header_;               // of the next record, as far as it has been read alone
  std::uint32_t left_to_relay_ = 0;  // of a data record whose header has been read
};

}  // namespace lmsb::control
