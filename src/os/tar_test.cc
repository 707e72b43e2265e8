#include "os/tar.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "os/archive_tree.h"

namespace lmsb::os {
namespace {

struct Text final : ArchiveSink {
  int write(const void* data, std::size_t size) override {
    all.append(static_cast<const char*>(data), size);
    return 0;
  }
  std::string all;
};

// Gives a few octets at a time.
struct Pieces final : ArchiveSource {
  explicit Pieces(std::string text, std::size_t p = 100) : all(std::move(text)), piece(p) {}
  ssize_t read(void* data, std::size_t size) override {
    const std::size_t part = std::min({size, piece, all.size() - at});
    std::memcpy(data, all.data() + at, part);
    at += part;
    return static_cast<ssize_t>(part);
  }
  std::string all;
  std::size_t piece;
  std::size_t at = 0;
};

ArchiveMember file(std::string_view path, std::uint64_t size) {
  ArchiveMember member;
  member.path = path;
  member.size = size;
  member.mtime = 1'700'000'000;
  return member;
}

std::string archive_of(const std::vector<ArchiveMember>& members) {
  Text out;
  TarWriter writer(out);
  for (const ArchiveMember& member : members) {
    EXPECT_EQ(writer.member(member), 0);
    const std::string content(member.size, 'x');
    EXPECT_EQ(writer.content(content.data(), content.size()), 0);
  }
  EXPECT_EQ(writer.finish(), 0);
  return out.all;
}

TEST(Tar, ReadsWhatItWrote) {
  const std::string long_path = std::string(200, 'd') + "/" + std::string(200, 'f');
  ArchiveMember link = file("link", 0);
  link.type = MemberType::symbolic_link;
  const std::string target(300, 't');
  link.target = target;
  ArchiveMember directory = file("dir", 0);
  directory.type = MemberType::directory;
  directory.mtime = -5;
  Pieces source(archive_of({file("a", 0), file("b/c", 1000), file(long_path, 512), link, directory}));
  TarReader reader(source);
  ArchiveMember member;
  ASSERT_EQ(reader.next(member), 1);
  EXPECT_EQ(member.path, "a");
  EXPECT_EQ(member.mtime, 1'700'000'000);
  ASSERT_EQ(reader.next(member), 1);
  EXPECT_EQ(member.path, "b/c");
  EXPECT_EQ(member.size, 1000U);
  std::array<char, 2000> content{};
  EXPECT_GT(reader.read(content.data(), content.size()), 0);
  ASSERT_EQ(reader.next(member), 1);
  EXPECT_EQ(member.path, long_path);
  ASSERT_EQ(reader.next(member), 1);
  EXPECT_EQ(member.type, MemberType::symbolic_link);
  EXPECT_EQ(member.target, target);
  ASSERT_EQ(reader.next(member), 1);
  EXPECT_EQ(member.type, MemberType::directory);
  EXPECT_EQ(member.path, "dir");
  EXPECT_EQ(member.mtime, -5);
  EXPECT_EQ(reader.next(member), 0);
  EXPECT_EQ(reader.drain(), 0);
}

TEST(Tar, RefusesMoreOrLessContentThanWasSaid) {
  Text out;
  TarWriter writer(out);
  EXPECT_EQ(writer.member(file("a", 3)), 0);
  EXPECT_EQ(writer.content("abcd", 4), EFBIG);
  EXPECT_EQ(writer.content("ab", 2), 0);
  EXPECT_EQ(writer.finish(), EINVAL);
}

int first_of(std::string octets) {
  Pieces source(std::move(octets));
  TarReader reader(source);
  ArchiveMember member;
  int got = reader.next(member);
  std::array<char, 100> content{};
  for (ssize_t n = 1; got == 1 && n > 0;)
    if (n = reader.read(content.data(), content.size()); n < 0) got = static_cast<int>(n);
  return got;
}

TEST(Tar, RefusesWhatIsNoArchive) {
  EXPECT_EQ(first_of(""), -EPIPE);
  EXPECT_EQ(first_of(std::string(100, 'a')), -EPIPE);
  EXPECT_EQ(first_of(std::string(2000, 'a')), -EBADMSG);
  const std::string good = archive_of({file("a", 600)});
  EXPECT_EQ(first_of(good.substr(0, 1000)), -EPIPE);
  for (const std::string_view magic : {"\x1F\x8B\x08", "BZh9", "\xFD\x37zXZ", "\x28\xB5\x2F\xFD", "PK\x03\x04"}) {
    const bool is_whole = magic != "\xFD\x37zXZ";  // that ends with a NUL
    const std::string begins = std::string(magic) + (is_whole ? "" : std::string(1, '\0'));
    EXPECT_EQ(first_of(begins + "short"), -ENOEXEC);
    EXPECT_EQ(first_of(begins + std::string(2000, 'a')), -ENOEXEC);
  }
  std::string damaged = good;
  damaged[0] = 'b';
  EXPECT_EQ(first_of(damaged), -EBADMSG);
}

// A header block of its own making, with a sum that fits.
std::string block_of(const std::string& name, char type, const std::string& size, const std::string& target = {}) {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  block.replace(124, size.size(), size);
  block[156] = type;
  block.replace(157, target.size(), target);
  block.replace(257, 8,
                std::string("ustar\0"
                            "00",
                            8));
  block.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::array<char, 8> digits{};
  std::snprintf(digits.data(), digits.size(), "%06o", sum);
  block.replace(148, 7, std::string(digits.data(), 7));
  return block;
}

std::string extended(const std::string& records) {
  std::array<char, 12> size{};
  std::snprintf(size.data(), size.size(), "%011o", static_cast<unsigned>(records.size()));
  std::string padded = records;
  padded.resize((records.size() + 511) / 512 * 512);
  return block_of("pax", 'x', size.data()) + padded;
}

TEST(Tar, RefusesSizesThatCannotBe) {
  EXPECT_EQ(first_of(block_of("a", '0', "77777777777") + "x"), -EPIPE);
  EXPECT_EQ(first_of(block_of("a", '0', "-1")), -EBADMSG);
  EXPECT_EQ(first_of(block_of("a", '0', "9")), -EBADMSG);
  EXPECT_EQ(first_of(block_of("a", '0', std::string("\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12))),
            -EBADMSG);
  EXPECT_EQ(first_of(block_of("a", 'L', "77777777")), -ENAMETOOLONG);
  EXPECT_EQ(first_of(block_of("a", 'x', "77777777")), -EBADMSG);
}

TEST(Tar, RefusesExtendedHeadersThatDoNotAddUp) {
  const std::string member = block_of("a", '0', "0") + std::string(1024, '\0');
  EXPECT_EQ(first_of(extended("12 path=abc\n") + member), 1);
  for (const char* records : {"99 path=abc\n", "3 path=abc\n", "path=abc\n", "12 path=abcd", "8 noequ\n",
                              "x path=abc\n", "14 size=-1234\n", "0 a=b\n", "23 GNU.sparse.major=1.0\n"})
    EXPECT_EQ(first_of(extended(records) + member), -EBADMSG) << records;
}

TEST(Tar, ReadsLongNamesOfGnu) {
  const std::string path(300, 'p');
  std::string content = path;
  content.resize(512);
  Pieces source(block_of("././@LongLink", 'L', "00000000455") + content + block_of("cut", '0', "0"));
  TarReader reader(source);
  ArchiveMember member;
  ASSERT_EQ(reader.next(member), 1);
  EXPECT_EQ(member.path, path);
}

TEST(Tar, LinksAndDirectoriesHaveNoContent) {
  Pieces source(block_of("l", '2', "00000001000", "t") + block_of("next", '0', "0"));
  TarReader reader(source);
  ArchiveMember member;
  ASSERT_EQ(reader.next(member), 1);
  EXPECT_EQ(member.size, 0U);
  ASSERT_EQ(reader.next(member), 1);
  EXPECT_EQ(member.path, "next");
}

// --- Trees ---

class TarTree : public testing::Test, public ArchiveEvents {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/lmsb-tar-XXXXXX";
    top_ = ::mkdtemp(pattern.data());
    ASSERT_FALSE(top_.empty());
    ::mkdir((top_ + "/in").c_str(), 0755);
    ::mkdir((top_ + "/out").c_str(), 0755);
  }
  void TearDown() override { (void)!::system(("rm -rf " + top_).c_str()); }  // NOLINT(text): a test's own directory
  bool skipped(std::string_view path, int error) override {
    skipped_.emplace_back(std::string(path) + ":" + std::to_string(error));
    return true;
  }

  UniqueFd open(const std::string& name) const {
    return UniqueFd(::open((top_ + name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void write(const std::string& name, const std::string& content) const {
    const UniqueFd fd(::open((top_ + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640));
    ASSERT_EQ(::write(fd.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  }
  std::string read(const std::string& name) const {
    const UniqueFd fd(::open((top_ + name).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    std::string content(2'000'000, '\0');
    const ssize_t n = ::read(fd.get(), content.data(), content.size());
    content.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return n < 0 ? "(none)" : content;
  }
  ArchiveOutcome extract(const std::string& members) { return extract_octets(members + std::string(1024, '\0')); }
  ArchiveOutcome extract_octets(std::string archive) {
    Pieces source(std::move(archive));
    TarReader reader(source);
    ArchiveOutcome outcome;
    extract_tree(open("/out").get(), reader, *this, outcome);
    return outcome;
  }

  std::string top_;
  std::vector<std::string> skipped_;
};

TEST_F(TarTree, GoesThereAndBack) {
  ::mkdir((top_ + "/in/d").c_str(), 0750);
  write("/in/d/f", "content\n");
  write("/in/new\nline", "");
  write("/in/\xff\xfe", "octets");
  ASSERT_EQ(::symlink("../nowhere", (top_ + "/in/d/l").c_str()), 0);
  ASSERT_EQ(::mkfifo((top_ + "/in/fifo").c_str(), 0600), 0);
  Text out;
  TarWriter writer(out);
  ArchiveOutcome outcome;
  write_tree(open("/in").get(), writer, *this, outcome);
  EXPECT_EQ(outcome.error, 0);
  EXPECT_EQ(outcome.members, 5U);
  EXPECT_EQ(skipped_, std::vector<std::string>{"fifo:" + std::to_string(ENOTSUP)});
  ASSERT_EQ(writer.finish(), 0);
  EXPECT_EQ(extract_octets(out.all).error, 0);
  EXPECT_EQ(read("/out/d/f"), "content\n");
  EXPECT_EQ(read("/out/new\nline"), "");
  EXPECT_EQ(read("/out/\xff\xfe"), "octets");
  struct stat status {};
  ASSERT_EQ(::lstat((top_ + "/out/d/l").c_str(), &status), 0);
  EXPECT_TRUE(S_ISLNK(status.st_mode));
  ASSERT_EQ(::stat((top_ + "/out/d/f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST_F(TarTree, WhatIsArchivedHasNoSetIdBits) {
  write("/in/su", "#!");
  ASSERT_EQ(::chmod((top_ + "/in/su").c_str(), 06755), 0);
  ASSERT_EQ(::mkdir((top_ + "/in/d").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((top_ + "/in/d").c_str(), 03777), 0);
  Text out;
  TarWriter writer(out);
  ArchiveOutcome outcome;
  write_tree(open("/in").get(), writer, *this, outcome);
  const UniqueFd alone(::open((top_ + "/in/su").c_str(), O_RDONLY | O_CLOEXEC));
  write_file(alone.get(), "su", writer, *this, outcome);
  ASSERT_EQ(outcome.error, 0);
  ASSERT_EQ(writer.finish(), 0);
  Pieces source(out.all);
  TarReader reader(source);
  ArchiveMember member;
  std::vector<std::uint32_t> modes;
  while (reader.next(member) > 0) modes.push_back(member.mode);
  std::sort(modes.begin(), modes.end());
  EXPECT_EQ(modes, (std::vector<std::uint32_t>{0755, 0755, 01777}));
}

TEST_F(TarTree, AnArchiveDoesNotLeaveItsDirectory) {
  write("/secret", "old");
  EXPECT_EQ(extract(block_of("../secret", '0', "0")).error, EXDEV);
  EXPECT_EQ(extract(block_of("a/../../secret", '0', "0")).error, EXDEV);
  EXPECT_EQ(extract(block_of("l", '2', "0", "..") + block_of("l/secret", '0', "0")).error, ELOOP);
  EXPECT_EQ(extract(block_of("h", '1', "0", "../secret")).error, EXDEV);
  EXPECT_EQ(extract(block_of("h", '1', "0", "l/secret")).error, ELOOP);
  EXPECT_EQ(extract(block_of("h", '1', "0", "/etc/passwd")).error, EXDEV);
  EXPECT_EQ(read("/secret"), "old");
  EXPECT_EQ(extract(block_of("/abs", '0', "0")).error, 0);
  EXPECT_EQ(read("/out/abs"), "");
}

TEST_F(TarTree, AFileInTheWayIsNoWayOut) {
  EXPECT_EQ(extract(block_of("a", '0', "0") + block_of("a/b", '0', "0")).error, ENOTDIR);
}

TEST_F(TarTree, ASlashInFrontOfALinksTargetIsThatOfItsMember) {
  EXPECT_EQ(extract(block_of("/a", '0', "0") + block_of("/b", '1', "0", "/a")).error, 0);
  EXPECT_EQ(read("/out/b"), "");
}

TEST_F(TarTree, ReplacesALinkInsteadOfWritingThroughIt) {
  write("/secret", "old");
  ASSERT_EQ(::symlink("../secret", (top_ + "/out/f").c_str()), 0);
  EXPECT_EQ(extract(block_of("f", '0', "00000000003") + "new" + std::string(509, '\0')).error, 0);
  EXPECT_EQ(read("/secret"), "old");
  EXPECT_EQ(read("/out/f"), "new");
}

TEST_F(TarTree, AFileThatIsCutOffIsNotThere) {
  write("/out/f", "old");
  EXPECT_EQ(extract_octets(block_of("f", '0', "00000002000") + "new").error, EPIPE);
  EXPECT_EQ(read("/out/f"), "old");
}

TEST_F(TarTree, AnArchiveWithoutItsEndMayBeCutOff) { EXPECT_EQ(extract_octets(block_of("f", '0', "0")).error, EPIPE); }

TEST_F(TarTree, DevicesAreLeftOut) {
  EXPECT_EQ(extract(block_of("dev", '3', "0") + block_of("fifo", '6', "0") + block_of("f", '0', "0")).error, 0);
  EXPECT_EQ(skipped_.size(), 2U);
  EXPECT_EQ(read("/out/f"), "");
}

TEST_F(TarTree, ALinkToItselfDoesNotRemoveTheFile) {
  write("/out/f", "old");
  EXPECT_EQ(extract(block_of("f", '1', "0", "./f")).error, 0);
  EXPECT_EQ(read("/out/f"), "old");
}

TEST_F(TarTree, ASecondNameOfAFileIsALink) {
  ::mkdir((top_ + "/in/d").c_str(), 0755);
  write("/in/a", "content");
  ASSERT_EQ(::link((top_ + "/in/a").c_str(), (top_ + "/in/d/b").c_str()), 0);
  Text out;
  TarWriter writer(out);
  ArchiveOutcome outcome;
  write_tree(open("/in").get(), writer, *this, outcome);
  ASSERT_EQ(writer.finish(), 0);
  EXPECT_EQ(extract_octets(out.all).error, 0);
  EXPECT_EQ(read("/out/d/b"), "content");
  struct stat status {};
  ASSERT_EQ(::stat((top_ + "/out/a").c_str(), &status), 0);
  EXPECT_EQ(status.st_nlink, 2U);
}

TEST_F(TarTree, BlocksOfZerosBecomeHoles) {
  std::string content(std::size_t{1} << 20U, '\0');
  content[300'000] = 'x';
  content += "end" + std::string(5000, '\0');
  std::array<char, 16> size{};
  std::snprintf(size.data(), size.size(), "%011zo", content.size());
  const std::string padding((512 - content.size() % 512) % 512, '\0');
  EXPECT_EQ(extract(block_of("f", '0', size.data()) + content + padding).error, 0);
  EXPECT_EQ(read("/out/f"), content);
  struct stat status {};
  ASSERT_EQ(::stat((top_ + "/out/f").c_str(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 256 * 1024);
}

}  // namespace
}  // namespace lmsb::os
