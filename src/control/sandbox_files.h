#pragma once
// SandboxFiles: Files of the kept sandboxes that a lookup knows.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "control/file_operation.h"
#include "control/files.h"
#include "control/life.h"
#include "io/blocking_pool.h"

namespace lmsb::control {

// A sandbox as its files are reached.
struct FileHome {
  std::shared_ptr<SandboxHandle> sandbox;
  std::string workdir;  // what relative paths are relative to
  Life::Use use;
};

class SandboxFiles final : public Files {
 public:
  // Decides who may. Never blocks.
  using Lookup = std::function<Result<FileHome>(const Principal& who, const std::string& id_or_name)>;

  // At once; and as many watches.
  static constexpr std::size_t kMaxOperations = 256;
  static constexpr std::size_t kMaxOfOwner = 128;
  static constexpr std::size_t kMaxOfSandbox = 32;

  // `loop` and `pool` outlive it, and it outlives its tasks and streams.
  SandboxFiles(boost::asio::io_context& loop, io::BlockingPool& pool, Lookup lookup)
      : loop_(loop), pool_(pool), lookup_(std::move(lookup)) {}

  io::Task<FileStat> stat(Principal who, FilePlace at) override;
  io::Task<std::unique_ptr<FileContent>> open(Principal who, FilePlace at) override;
  io::Task<FileInfo> write(Principal who, WriteFile request, std::shared_ptr<http::BodyReader> body) override;
  io::Task<FilePage> list(Principal who, ListFiles request) override;
  io::Task<FilePage> glob(Principal who, GlobFiles request) override;
  io::Task<FileInfo> make_directory(Principal who, MakeDirectory request) override;
  io::Task<MovedFile> move(Principal who, MoveFile request) override;
  io::Task<MovedFile> copy(Principal who, MoveFile request) override;
  io::Task<std::uint64_t> remove(Principal who, RemoveFile request) override;
  io::Task<std::uint64_t> change_mode(Principal who, ChangeMode request) override;
  io::Task<GrepResult> grep(Principal who, GrepFiles request) override;
  io::Task<ReplaceResult> replace(Principal who, ReplaceInFiles request) override;
  io::Task<std::unique_ptr<FileWatch>> watch(Principal who, WatchFiles request) override;
  io::Task<std::unique_ptr<FileStream>> pack(Principal who, PackFiles request) override;
  io::Task<UnpackResult> unpack(Principal who, UnpackFiles request, std::shared_ptr<http::BodyReader> body) override;

 private:
  struct Running;
  struct Counts {
    std::size_t total = 0;
    std::map<std::string, std::size_t> of_owner;
    std::map<std::string, std::size_t> of_sandbox;
    bool has_room(const std::string& owner, const std::string& sandbox) const;
  };

  using Words = std::vector<std::string>;
  // Starts an operation: `words` are its name and its arguments, but for the first, which is the place as an absolute
  // path. `second_path` (0: none) is the word that is a path too.
  io::Task<std::unique_ptr<Running>> start(Principal who, FilePlace at, std::string what, Words words,
                                           FileOperation::Input input, std::size_t second_path = 0);
  io::Task<FilePage> page(std::unique_ptr<Running> running, std::uint64_t limit);
  io::Task<MovedFile> moved(Principal who, MoveFile request, std::string what, std::string operation);

  boost::asio::io_context& loop_;
  io::BlockingPool& pool_;
  Lookup lookup_;
  Counts running_;
  Counts watching_;
};

// `path` as an absolute one: below `workdir` when it is relative; without what changes nothing. Error: invalid_path.
Result<std::string> absolute_path(const std::string& workdir, const std::string& path);

}  // namespace lmsb::control
