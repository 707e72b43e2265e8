#pragma once
// Files: the use cases of the file API on kept sandboxes. Who may, bounds and deadlines are decided here; the work is
// done inside the sandbox by a process with the posture of a command, never by the daemon (containment.md 3.12). A
// dropped task or stream kills its process.
//
// Errors: sandbox_not_found and the like, invalid_path, file_not_found, file_exists, file_access_denied, disk_full and
// the other codes of docs/reference/errors.md; each names the path that failed.
#include <memory>
#include <optional>
#include <string>

#include "control/control.h"
#include "control/file_values.h"
#include "http/body.h"
#include "io/deadline.h"
#include "io/pipe_relay.h"
#include "io/task.h"

namespace lmsb::control {

// Octets out of a sandbox, in constant memory. Dropping it ends its process.
class FileStream {
 public:
  virtual ~FileStream() = default;
  // The next octets, at most 1 MiB; empty is the end. An Error: what came so far is not all.
  virtual io::Task<std::string> read() = 0;
  // What was left out, once it has come to its end.
  virtual Skipped skipped() const { return {}; }
};

// One open file: what read() gives is of the file that info() describes, whatever its name means by now.
class FileContent : public FileStream {
 public:
  virtual const FileInfo& info() const = 0;
  // Which part read() gives. Once, before the first read().
  virtual io::Task<void> select(std::uint64_t offset, std::uint64_t length) = 0;
  // As read(), but what can be taken by `relay`, which holds nothing, lies there then: as much as it takes at once.
  virtual io::Task<http::BodyPiece> pass(std::shared_ptr<io::PipeRelay> relay) = 0;
};

// What happens in a directory, event by event, from the moment on that it was made. Dropping it ends it.
class FileWatch {
 public:
  virtual ~FileWatch() = default;
  // The next event; nothing: the directory itself is gone. Errors: deadline_exceeded (none came by then: ask again).
  virtual io::Task<std::optional<FileEvent>> next(io::Deadline deadline) = 0;
};

class Files {
 public:
  virtual ~Files() = default;

  virtual io::Task<FileStat> stat(Principal who, FilePlace at) = 0;
  virtual io::Task<std::unique_ptr<FileContent>> open(Principal who, FilePlace at) = 0;
  // Ends when the whole body is in the file. When the body fails, or the task is cancelled, the old file stays.
  virtual io::Task<FileInfo> write(Principal who, WriteFile request, std::shared_ptr<http::BodyReader> body) = 0;
  virtual io::Task<FilePage> list(Principal who, ListFiles request) = 0;
  virtual io::Task<FilePage> glob(Principal who, GlobFiles request) = 0;
  virtual io::Task<FileInfo> make_directory(Principal who, MakeDirectory request) = 0;
  virtual io::Task<MovedFile> move(Principal who, MoveFile request) = 0;
  virtual io::Task<MovedFile> copy(Principal who, MoveFile request) = 0;
  // How many files and directories are gone.
  virtual io::Task<std::uint64_t> remove(Principal who, RemoveFile request) = 0;
  virtual io::Task<std::uint64_t> change_mode(Principal who, ChangeMode request) = 0;
  virtual io::Task<GrepResult> grep(Principal who, GrepFiles request) = 0;
  virtual io::Task<ReplaceResult> replace(Principal who, ReplaceInFiles request) = 0;
  // Ends when everything is watched. A reader that is slow loses events, and is told so by one.
  virtual io::Task<std::unique_ptr<FileWatch>> watch(Principal who, WatchFiles request) = 0;
  // An archive of a directory's content, or of one file.
  virtual io::Task<std::unique_ptr<FileStream>> pack(Principal who, PackFiles request) = 0;
  // Takes an archive into a directory, which is made.
  virtual io::Task<UnpackResult> unpack(Principal who, UnpackFiles request, std::shared_ptr<http::BodyReader> body) = 0;
};

}  // namespace lmsb::control
