#include "control/file_record_reader.h"

#include <cstring>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "control/file_fault.h"
#include "control/file_operation.h"
#include "control/sandbox_files.h"
#include "guest_protocol/file_records.h"

namespace lmsb::control {
namespace {

using guest_protocol::RecordKind;

template <class Fixed>
std::string record(RecordKind kind, const Fixed& fixed, const std::string& texts = {}) {
  const guest_protocol::RecordHeader header{guest_protocol::kRecordMagic, kind,
                                            static_cast<std::uint32_t>(sizeof fixed + texts.size())};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) +
         std::string(reinterpret_cast<const char*>(&fixed), sizeof fixed) + texts;
}

guest_protocol::EntryRecord entry_of(std::uint32_t path, std::uint32_t owner) {
  guest_protocol::EntryRecord entry{};
  entry.mode = S_IFREG | 0644U;
  entry.size = 5;
  entry.path_size = path;
  entry.owner_size = owner;
  return entry;
}

bool is_malformed(const std::string& octets) {
  FileRecordReader reader;
  reader.feed(octets);
  return !reader.next().ok();
}

TEST(FileRecordReader, TakesWhatAWatchTells) {
  FileRecordReader reader;
  const guest_protocol::EventRecord event{guest_protocol::WatchKind::removed, 1, 2, 0};
  reader.feed(record(RecordKind::armed, guest_protocol::ArmedRecord{3, 0}) + record(RecordKind::event, event, "/a"));
  EXPECT_EQ(std::get<FileArmed>(**reader.next()).directories, 3U);
  const auto told = std::get<FileEvent>(**reader.next());
  EXPECT_EQ(told.kind, FileEvent::Kind::removed);
  EXPECT_EQ(told.path, "/a");
  EXPECT_TRUE(told.is_directory);
}

TEST(FileRecordReader, RefusesAnEventOfNoKind) {
  const guest_protocol::EventRecord event{static_cast<guest_protocol::WatchKind>(9), 0, 2, 0};
  EXPECT_TRUE(is_malformed(record(RecordKind::event, event, "/a")));
}

TEST(FileRecordReader, TakesRecordsFromPiecesOfAnySize) {
  const std::string stream = record(RecordKind::entry, entry_of(2, 4), "/aroot") +
                             record(RecordKind::done, guest_protocol::DoneRecord{1, 5, 2, 1, 3}, "cur");
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    FileRecordReader reader;
    std::vector<FileRecord> records;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      reader.feed(std::string_view(stream).substr(at, piece));
      for (;;) {
        auto next = reader.next();
        ASSERT_TRUE(next.ok());
        if (!*next) break;
        records.push_back(**std::move(next));
      }
    }
    ASSERT_EQ(records.size(), 2U);
    const auto& info = std::get<FileInfo>(records[0]);
    EXPECT_EQ(info.path, "/a");
    EXPECT_EQ(info.owner, "root");
    EXPECT_EQ(info.type, FileType::file);
    EXPECT_EQ(info.mode, 0644U);
    const auto& done = std::get<FileDone>(records[1]);
    EXPECT_EQ(done.cursor, "cur");
    EXPECT_EQ(done.skipped, 2U);
    EXPECT_TRUE(done.is_truncated);
  }
}

TEST(FileRecordReader, RefusesSizesThatDoNotAddUp) {
  EXPECT_TRUE(is_malformed(record(RecordKind::entry, entry_of(3, 0), "/a")));
  EXPECT_TRUE(is_malformed(record(RecordKind::entry, entry_of(1, 0), "/a")));
  EXPECT_TRUE(is_malformed(record(RecordKind::entry, entry_of(0xFFFFFFFF, 1), "/a")));
  EXPECT_TRUE(is_malformed(record(RecordKind::entry, entry_of(5000, 0), std::string(5000, 'a'))));
  EXPECT_TRUE(is_malformed(record(RecordKind::entry, entry_of(1, 300), std::string(301, 'a'))));
  EXPECT_TRUE(is_malformed(record(RecordKind::done, std::uint32_t{7})));
  EXPECT_TRUE(is_malformed(record(static_cast<RecordKind>(99), std::uint32_t{7})));
}

TEST(FileRecordReader, RefusesARecordThatIsTooLargeBeforeItIsThere) {
  const auto is_too_large = [](RecordKind kind, std::uint32_t size) {
    const guest_protocol::RecordHeader header{guest_protocol::kRecordMagic, kind, size};
    return is_malformed(std::string(reinterpret_cast<const char*>(&header), sizeof header));
  };
  EXPECT_TRUE(is_too_large(RecordKind::data, guest_protocol::kMaxDataBody + 1));
  EXPECT_FALSE(is_too_large(RecordKind::data, guest_protocol::kMaxDataBody));
  EXPECT_TRUE(is_too_large(RecordKind::entry, guest_protocol::kMaxRecordBody + 1));
  EXPECT_TRUE(is_malformed(std::string(12, 'x')));
}

TEST(FileErrors, NameThePathAndTheCause) {
  const Error error = file_error("write", "write", {"/a b", ENOSPC});
  EXPECT_EQ(error.slug(), "disk_full");
  EXPECT_EQ(error.message(), "write \"/a b\": No space left on device");
  EXPECT_EQ(file_error("read", "read", {"/a", ENOENT}).code(), ErrorCode::not_found);
  EXPECT_EQ(file_error("search", "grep", {"a(", EINVAL}).slug(), "invalid_pattern");
  EXPECT_EQ(file_error("unpack to", "unpack", {"/a", ELOOP}).slug(), "archive_escapes");
  EXPECT_EQ(file_error("read", "read", {"/a", ELOOP}).slug(), "file_operation_failed");
}

TEST(FileErrors, SaySentencesAndWhatToDoRatherThanWordsOfErrno) {
  EXPECT_EQ(file_error("search", "grep", {"a(", EINVAL}).cause(), "it is no regular expression, or too large a one");
  EXPECT_EQ(file_error("unpack to", "unpack", {"/a", EPIPE}).cause(), "the archive is cut off");
  EXPECT_EQ(file_error("unpack to", "unpack", {"/a", ENOEXEC}).cause(),
            "the archive is of another format than was said");
  EXPECT_EQ(file_error("unpack to", "unpack", {"/a", E2BIG}).cause(), "something follows the end of the archive");
  EXPECT_EQ(file_error("unpack to", "unpack", {"/a", ENOTDIR}).slug(), "not_a_directory");
  for (const char* operation : {"write", "unpack", "grep", "glob", "copy", "remove", "watch"})
    for (int error = 1; error < 140; ++error)
      EXPECT_NE(file_error("do", operation, {"/a", error}).hint(), "") << operation << " " << error;
}

TEST(FileErrors, SayWhyItIsNotPermittedOfWhatWasAsked) {
  const auto hint = [](const char* operation) { return file_error("do", operation, {"/a", EACCES}).hint(); };
  EXPECT_NE(hint("read").find("closes it to the sandbox's user"), std::string::npos);
  EXPECT_EQ(hint("read"), hint("list"));
  EXPECT_NE(hint("chmod").find("only its owner"), std::string::npos);
  EXPECT_NE(hint("write").find("writes below /workspace"), std::string::npos);
}

TEST(FileErrors, SayWhoIsUnknownAndWhoMayNotGiveFilesAway) {
  const Error user = file_error("write", "write", {"#70000", guest_protocol::kUnknownOwner});
  EXPECT_EQ(user.slug(), "unknown_owner");
  EXPECT_EQ(user.message(), "the sandbox has no user \"70000\"");
  EXPECT_EQ(file_error("write", "write", {":staff", guest_protocol::kUnknownOwner}).message(),
            "the sandbox has no group \"staff\"");
  EXPECT_EQ(file_error("write", "write", {"/a", guest_protocol::kOwnerNotAllowed}).slug(), "file_access_denied");
  EXPECT_EQ(file_error("write", "write", {"/a", guest_protocol::kConditionFailed}).slug(), "precondition_failed");
}

TEST(FileErrors, SayWhatAFailureInTheMiddleHasLeft) {
  const Error whole = file_error("copy", "copy", {"/a", ENOSPC});
  const Error part = file_error("copy", "copy", {"/a", ENOSPC | guest_protocol::kPartLeft});
  EXPECT_EQ(part.slug(), "disk_full");
  EXPECT_TRUE(whole.hint().ends_with("; nothing of the copy is there")) << whole.hint();
  EXPECT_TRUE(part.hint().ends_with("; what was copied before is there")) << part.hint();
}

TEST(FileErrors, AreNeverOurBug) {
  for (int error = 1; error < 140; ++error)
    EXPECT_NE(file_error("read", "read", {"/a", error}).code(), ErrorCode::internal) << error;
}

TEST(FilePaths, AreRelativeToTheWorkingDirectory) {
  EXPECT_EQ(*absolute_path("/workspace", "a"), "/workspace/a");
  EXPECT_EQ(*absolute_path("/workspace", "/a//b/./c/"), "/a/b/c");
  EXPECT_EQ(*absolute_path("/", "."), "/");
  EXPECT_EQ(*absolute_path("/w", "../a"), "/w/../a");
  EXPECT_FALSE(absolute_path("/w", "").ok());
  EXPECT_FALSE(absolute_path("/w", std::string("a\0b", 3)).ok());
  EXPECT_FALSE(absolute_path("/w", std::string(4096, 'a')).ok());
  EXPECT_TRUE(absolute_path("/w", "/" + std::string(4094, 'a')).ok());
}

}  // namespace
}  // namespace lmsb::control
