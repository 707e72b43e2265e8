#include "control/file_fault.h"

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/text.h"
#include "guest_protocol/file_records.h"

namespace lmsb::control {
namespace {

// Not a table: each line is an entry of docs/reference/errors.md.
class FileFault {
 public:
  FileFault(std::string_view what, std::string_view operation, const SkippedFile& problem)
      : what_(what), operation_(operation), path_(problem.path), error_(problem.error & ~guest_protocol::kPartLeft) {}

  Error error() const {
    if (error_ >= guest_protocol::kUnknownOwner) return of_ours();
    if (is("unpack"))
      if (auto error = of_archive()) return *std::move(error);
    if (auto error = of_path()) return *std::move(error);
    return of_means();
  }

 private:
  bool is(std::string_view operation) const { return operation_ == operation; }
  Error of(ErrorCode code, std::string_view why = {}) const {
    return Error(code, std::string(what_) + " " + quoted(path_, 4096))
        .with_cause(why.empty() ? std::strerror(error_) : why);
  }

  // What has no errno.
  Error of_ours() const {
    if (error_ == guest_protocol::kUnknownOwner) {
      const bool is_group = path_.starts_with(':');
      std::string name(path_.substr(is_group ? 1 : 0));
      if (name.starts_with('#')) name.erase(0, 1);
      return Error(ErrorCode::invalid_argument,
                   std::string("the sandbox has no ") + (is_group ? "group " : "user ") + quoted(name))
          .with_slug("unknown_owner")
          .with_hint("its own /etc/passwd and /etc/group have the names; numbers from 0 to 65534 need none");
    }
    if (error_ == guest_protocol::kOwnerNotAllowed)
      return of(ErrorCode::permission_denied, "it cannot be given to this owner")
          .with_slug("file_access_denied")
          .with_hint(
              "only root gives files away: in a sandbox that was made with \"profile\": \"root\", and not in "
              "directories of the machine");
    return of(ErrorCode::failed_precondition, "it is not as If-Match or If-None-Match wants it")
        .with_slug("precondition_failed")
        .with_hint("read it again: ETag of GET and HEAD, etag of stat, say what is there now");
  }

  std::optional<Error> of_archive() const {
    switch (error_) {
      case EPROTONOSUPPORT:
        return of(ErrorCode::invalid_argument, "the archive is encrypted, or packed in a way not known here")
            .with_slug("unsupported_archive")
            .with_hint("zip: store or deflate, without a password; zstd: a window of at most 8 MiB, no dictionary");
      case EBADMSG:
        return of(ErrorCode::invalid_argument, "the archive is damaged, or not of the format that was said")
            .with_slug("invalid_archive")
            .with_hint("say what it is: format=tar, format=tar.zst or format=zip; what came before stays unpacked");
      case ENOEXEC:
        return of(ErrorCode::invalid_argument, "the archive is of another format than was said")
            .with_slug("invalid_archive")
            .with_hint(
                "it begins as gzip, bzip2, xz, zstd or zip: say format=zip or format=tar.zst if it is one of these; "
                "unpack the others before you send them, or send them as files and run tar -x in the sandbox");
      case E2BIG:
        return of(ErrorCode::invalid_argument, "something follows the end of the archive")
            .with_slug("invalid_archive")
            .with_hint("send the archive alone; nothing of it is unpacked");
      case EPIPE:
        return of(ErrorCode::invalid_argument, "the archive is cut off")
            .with_slug("invalid_archive")
            .with_hint("send all of it; what came before stays unpacked");
      case EXDEV:
      case ELOOP:
        return of(ErrorCode::invalid_argument, "the archive would write outside of the directory")
            .with_slug("archive_escapes")
            .with_hint("paths in an archive are relative, have no .., and lead through none of its links");
      default: return std::nullopt;
    }
  }

  std::optional<Error> of_path() const {
    switch (error_) {
      case ENOENT:
        return of(ErrorCode::not_found)
            .with_slug("file_not_found")
            .with_hint(is("mkdir")
                           ? "parents=true makes what is missing above it"
                           : "files/list shows what a directory has; a path without / in front begins in the sandbox's "
                             "working directory");
      case EEXIST:
        return of(ErrorCode::already_exists)
            .with_slug("file_exists")
            .with_hint(is("write")   ? "without If-None-Match: * it is replaced"
                       : is("mkdir") ? "with parents=true a directory may be there already"
                                     : "overwrite=true replaces it");
      case EACCES:
      case EPERM:
      case EROFS: return of(ErrorCode::permission_denied).with_slug("file_access_denied").with_hint(why_not());
      case EISDIR:
        return of(ErrorCode::failed_precondition)
            .with_slug("is_a_directory")
            .with_hint("files/list shows what is in it, archive reads and writes all of it");
      case ENOTDIR:
        return of(ErrorCode::failed_precondition)
            .with_slug("not_a_directory")
            .with_hint("files/stat shows which part of the path is something else");
      case ENOTEMPTY:
        return of(ErrorCode::failed_precondition)
            .with_slug("directory_not_empty")
            .with_hint(is("remove") ? "recursive=true removes what is in it too"
                                    : "remove what is in it first, or choose another name");
      case ENOTSUP:
        return of(ErrorCode::failed_precondition,
                  "it is, or has in it, something that is neither a file, a directory nor a link")
            .with_slug("not_a_regular_file")
            .with_hint("FIFOs, devices and sockets are listed, renamed and removed, but not read, written or copied");
      case ETIMEDOUT:
        return of(ErrorCode::failed_precondition, "somebody keeps its directory locked (flock)")
            .with_slug("file_busy")
            .with_hint("try again, or ask without a condition");
      case EBUSY:
        return of(ErrorCode::failed_precondition, "it is in use, or is / or ends with . or ..")
            .with_slug("file_busy")
            .with_hint("name what is in it instead");
      case ENAMETOOLONG:
        return of(ErrorCode::invalid_argument)
            .with_slug("invalid_path")
            .with_hint("a name has at most 255 bytes, a path 4095");
      case EINVAL: return of_words();
      default: return std::nullopt;
    }
  }

  // Of what was not permitted.
  std::string why_not() const {
    for (const std::string_view reading : {"stat", "read", "list", "glob", "grep", "pack", "watch"})
      if (is(reading))
        return "its mode, or that of a directory above it, closes it to the sandbox's user: files/stat shows them; "
               "root reads all in a sandbox that was made with \"profile\": \"root\"";
    if (is("chmod"))
      return "only its owner changes a mode, and nobody sets the set-user-id and set-group-id bits: send at most 1777";
    return "the sandbox's user writes below /workspace, /home/user and /tmp, where modes do not close them; a sandbox "
           "that was made with \"profile\": \"root\" also elsewhere";
  }

  // Something that was asked for makes no sense.
  Error of_words() const {
    if (is("glob"))
      return of(ErrorCode::invalid_argument, "it is no pattern for paths")
          .with_slug("invalid_pattern")
          .with_hint("*, ?, [a-z] within a name, ** for any directories; no .., and 62 names at most");
    if (is("grep"))
      return of(ErrorCode::invalid_argument, "it is no regular expression, or too large a one")
          .with_slug("invalid_pattern")
          .with_hint(
              "close brackets and parentheses, without back references and look-around; for a fixed text leave "
              "regex away");
    if (is("copy") || is("move"))
      return of(ErrorCode::invalid_argument, "a directory does not go into itself, and nothing to where it is")
          .with_slug("invalid_path")
          .with_hint("choose another destination");
    return of(ErrorCode::invalid_argument, "it is no path, or what it names cannot be changed this way")
        .with_slug("invalid_path")
        .with_hint("a path has 1 to 4095 bytes and no NUL");
  }

  // What is missing, in the sandbox.
  Error of_means() const {
    switch (error_) {
      case ENOSPC:
      case EDQUOT:
      case EFBIG:
        if (is("pack") && error_ == EFBIG)
          return of(ErrorCode::failed_precondition, "nearly all of it is holes, which an archive has as zeros")
              .with_slug("file_too_sparse")
              .with_hint("leave it out with skip_unreadable=true, or cut it: truncate -s SIZE FILE");
        if (is("watch"))
          return of(ErrorCode::resource_exhausted)
              .with_slug("too_many_watches")
              .with_hint("a sandbox can watch 8192 directories: watch a smaller tree, or one without recursive");
        return of(ErrorCode::failed_precondition)
            .with_slug("disk_full")
            .with_hint(
                "remove files, or use a sandbox with a larger limits.disk_bytes; in a volume its size_bytes counts");
      case ESTALE:
        return of(ErrorCode::failed_precondition, "it was changed meanwhile")
            .with_slug("file_changed")
            .with_hint("ask again");
      case ENOMEM:
      case EMFILE:
      case ENFILE:
        return of(ErrorCode::resource_exhausted)
            .with_slug("sandbox_busy")
            .with_hint("try again when less runs in the sandbox, or give it more memory");
      case ENOSYS:
        return of(ErrorCode::failed_precondition, "the sandbox was started by an lm-sandbox that cannot do this yet")
            .with_slug("file_operation_failed")
            .with_hint("stop the sandbox and start it again");
      case ELOOP:
        return of(ErrorCode::failed_precondition)
            .with_slug("file_operation_failed")
            .with_hint("symbolic links on the way lead in a circle: files/stat shows where they lead");
      default:
        return of(ErrorCode::failed_precondition)
            .with_slug("file_operation_failed")
            .with_hint("files/stat, or ls -la in the sandbox, shows what is there");
    }
  }

  std::string_view what_;
  std::string_view operation_;
  std::string_view path_;
  std::int32_t error_;
};

// What a failure in the middle has left.
std::string_view left_by(std::string_view operation) {
  if (operation == "remove") return "what could be removed is gone";
  if (operation == "chmod") return "the rest of it has been changed";
  if (operation == "move") return "a part of it has been moved, or copied: look at both places";
  return "what was copied before is there";
}

}  // namespace

Error file_error(std::string_view what, std::string_view operation, const SkippedFile& problem) {
  Error error = FileFault(what, operation, problem).error();
  const bool is_part_left = (problem.error & guest_protocol::kPartLeft) != 0;
  const std::string_view left = is_part_left          ? left_by(operation)
                                : operation == "copy" ? "nothing of the copy is there"
                                                      : std::string_view();
  if (left.empty()) return error;
  const std::string hint = error.hint();
  return std::move(error).with_hint(hint + "; " + std::string(left));
}

}  // namespace lmsb::control
