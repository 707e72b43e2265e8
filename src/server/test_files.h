#pragma once
// FakeFiles: Files that answer what they are told and remember what they were asked. For tests.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/files.h"

namespace lmsb::server {

class FakeFiles final : public control::Files {
 public:
  using Principal = control::Principal;

  io::Task<control::FileStat> stat(Principal, control::FilePlace at) override {
    place = std::move(at);
    if (error) co_return *error;
    co_return found;
  }
  io::Task<std::unique_ptr<control::FileContent>> open(Principal, control::FilePlace at) override {
    place = std::move(at);
    if (error) co_return *error;
    std::unique_ptr<control::FileContent> opened = std::make_unique<Content>(*this);
    co_return std::move(opened);
  }
  io::Task<control::FileInfo> write(Principal, control::WriteFile request,
                                    std::shared_ptr<http::BodyReader> body) override {
    written = std::move(request);
    LMSB_CO_TRY(content, co_await all_of(std::move(body)));
    if (error) co_return *error;
    co_return found.info;
  }
  io::Task<control::FilePage> list(Principal, control::ListFiles request) override {
    listed = std::move(request);
    if (error) co_return *error;
    co_return page;
  }
  io::Task<control::FilePage> glob(Principal, control::GlobFiles request) override {
    globbed = std::move(request);
    co_return page;
  }
  io::Task<control::FileInfo> make_directory(Principal, control::MakeDirectory request) override {
    made = std::move(request);
    co_return found.info;
  }
  io::Task<control::MovedFile> move(Principal, control::MoveFile request) override {
    moved = std::move(request);
    if (error) co_return *error;
    control::MovedFile result;
    result.info = found.info;
    co_return result;
  }
  io::Task<control::MovedFile> copy(Principal who, control::MoveFile request) override {
    ++copies;
    return move(std::move(who), std::move(request));
  }
  io::Task<std::uint64_t> remove(Principal, control::RemoveFile request) override {
    removed = std::move(request);
    if (error) co_return *error;
    co_return std::uint64_t{1};
  }
  io::Task<std::uint64_t> change_mode(Principal, control::ChangeMode request) override {
    mode_change = std::move(request);
    co_return std::uint64_t{2};
  }
  io::Task<control::GrepResult> grep(Principal, control::GrepFiles request) override {
    grepped = std::move(request);
    co_return matches;
  }
  io::Task<control::ReplaceResult> replace(Principal, control::ReplaceInFiles request) override {
    replacement = std::move(request);
    co_return replaced;
  }
  io::Task<std::unique_ptr<control::FileWatch>> watch(Principal, control::WatchFiles request) override {
    watched = std::move(request);
    if (error) co_return *error;
    std::unique_ptr<control::FileWatch> made_watch = std::make_unique<Watch>(events, watch_failure);
    co_return std::move(made_watch);
  }
  io::Task<std::unique_ptr<control::FileStream>> pack(Principal, control::PackFiles request) override {
    packed = std::move(request);
    if (error) co_return *error;
    auto archive = std::make_unique<Content>(*this);
    archive->left = content;
    std::unique_ptr<control::FileStream> stream = std::move(archive);
    co_return std::move(stream);
  }
  io::Task<control::UnpackResult> unpack(Principal, control::UnpackFiles request,
                                         std::shared_ptr<http::BodyReader> body) override {
    unpacked = std::move(request);
    LMSB_CO_TRY(content, co_await all_of(std::move(body)));
    control::UnpackResult result;
    result.files = 1;
    result.bytes = content.size();
    co_return result;
  }

  static io::Task<std::string> all_of(std::shared_ptr<http::BodyReader> body) {
    std::string all;
    for (;;) {
      LMSB_CO_TRY(const std::string piece, co_await body->read());
      if (piece.empty()) co_return all;
      all += piece;
    }
  }

  // What they answer: `error` where one is set. `content` is of the file.
  std::optional<Error> error;
  control::FileStat found;
  std::string content;
  control::FilePage page;
  control::GrepResult matches;
  control::ReplaceResult replaced;
  std::vector<control::FileEvent> events;
  std::optional<Error> watch_failure;  // after them
  // What they were asked.
  control::FilePlace place;
  control::WriteFile written;
  control::ListFiles listed;
  control::GlobFiles globbed;
  control::MakeDirectory made;
  control::MoveFile moved;
  int copies = 0;
  control::RemoveFile removed;
  control::ChangeMode mode_change;
  control::GrepFiles grepped;
  control::ReplaceInFiles replacement;
  control::PackFiles packed;
  control::UnpackFiles unpacked;
  control::WatchFiles watched;

 private:
  struct Watch final : control::FileWatch {
    Watch(std::vector<control::FileEvent> e, std::optional<Error> f) : events(std::move(e)), failure(std::move(f)) {}
    io::Task<std::optional<control::FileEvent>> next(io::Deadline) override {
      if (at == events.size() && failure) co_return *failure;
      if (at == events.size()) co_return std::optional<control::FileEvent>();
      co_return std::optional<control::FileEvent>(events[at++]);
    }
    std::vector<control::FileEvent> events;
    std::optional<Error> failure;
    std::size_t at = 0;
  };
  // Gives what was selected, ten octets at a time.
  struct Content final : control::FileContent {
    explicit Content(FakeFiles& f) : files(f) {}
    const control::FileInfo& info() const override { return files.found.info; }
    io::Task<void> select(std::uint64_t offset, std::uint64_t length) override {
      left = files.content.substr(offset, length);
      co_return Status();
    }
    io::Task<std::string> read() override {
      std::string piece = left.substr(0, 10);
      left.erase(0, piece.size());
      co_return piece;
    }
    io::Task<http::BodyPiece> pass(std::shared_ptr<io::PipeRelay>) override {
      http::BodyPiece piece;
      LMSB_CO_TRY(piece.octets, co_await read());
      co_return piece;
    }
    FakeFiles& files;
    std::string left;
  };
};

}  // namespace lmsb::server
