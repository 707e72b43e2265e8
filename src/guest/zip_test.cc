#include <cerrno>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "guest/zip_format.h"
#include "guest/zip_reader.h"
#include "guest/zip_writer.h"

namespace lmsb::guest {
namespace {

using os::ArchiveMember;
using os::MemberType;

struct Text final : os::ArchiveSink {
  int write(const void* data, std::size_t size) override {
    all.append(static_cast<const char*>(data), size);
    return 0;
  }
  std::string all;
};

struct File {
  std::string path;
  std::string content;
  MemberType type = MemberType::file;
  std::uint32_t mode = 0640;
  std::int64_t mtime = 1'700'000'000;
};

std::string zip_of(const std::vector<File>& files) {
  Text out;
  ZipWriter writer(out);
  for (const File& file : files) {
    ArchiveMember member;
    member.path = file.path;
    member.type = file.type;
    member.mode = file.mode;
    member.mtime = file.mtime;
    member.size = file.type == MemberType::file ? file.content.size() : 0;
    if (file.type == MemberType::symbolic_link) member.target = file.content;
    EXPECT_EQ(writer.member(member), 0);
    if (file.type != MemberType::file) continue;
    EXPECT_EQ(writer.content(file.content.data(), file.content.size()), 0);
  }
  EXPECT_EQ(writer.finish(), 0);
  return out.all;
}

// What a reader finds in `archive`, and the errno that ends it.
struct Found {
  std::vector<File> files;
  int error = 0;
};

Found read_zip(const std::string& archive) {
  const UniqueFd file(::memfd_create("zip", MFD_CLOEXEC));
  EXPECT_EQ(::write(file.get(), archive.data(), archive.size()), static_cast<ssize_t>(archive.size()));
  ZipReader reader(file.get());
  Found found;
  ArchiveMember member;
  for (;;) {
    const int got = reader.next(member);
    if (got <= 0) return found.error = -got, found;
    File next{std::string(member.path), std::string(member.target), member.type, member.mode, member.mtime};
    std::string piece(1000, '\0');
    for (ssize_t n = 1; n > 0;) {
      n = reader.read(piece.data(), piece.size());
      if (n < 0) return found.error = static_cast<int>(-n), found;
      next.content.append(piece, 0, static_cast<std::size_t>(n));
    }
    found.files.push_back(std::move(next));
  }
}

std::string noise(std::size_t size) {
  std::string text;
  for (std::uint32_t x = 1; text.size() < size; x = x * 1664525 + 1013904223) text += static_cast<char>(x >> 24U);
  return text;
}

void put(std::string& archive, std::size_t at, std::uint32_t value, std::size_t size) {
  std::memcpy(&archive.at(at), &value, size);
}

// Where the directory's first entry stands.
std::size_t directory_of(const std::string& archive) {
  std::uint32_t at = 0;
  std::memcpy(&at, &archive.at(archive.size() - 6), sizeof at);
  return at;
}

TEST(Zip, GivesBackWhatItTook) {
  const std::vector<File> files{{"a.txt", "hello\n"},
                                {"d", "", MemberType::directory, 0750},
                                {"d/leer", ""},
                                {"d/größe", std::string(300'000, 'x') + noise(200'000)},
                                {"l", "../elsewhere", MemberType::symbolic_link, 0777}};
  const Found found = read_zip(zip_of(files));
  EXPECT_EQ(found.error, 0);
  ASSERT_EQ(found.files.size(), files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(found.files[i].path, files[i].path);
    EXPECT_EQ(found.files[i].content, files[i].content) << files[i].path;
    EXPECT_EQ(found.files[i].type, files[i].type);
    EXPECT_EQ(found.files[i].mode, files[i].mode);
    EXPECT_EQ(found.files[i].mtime, files[i].mtime);
  }
}

TEST(Zip, KnowsAnEmptyArchiveAndManyMembers) {
  EXPECT_EQ(read_zip(zip_of({})).error, 0);
  std::vector<File> files;
  for (int i = 0; i < 70'000; ++i) files.push_back({std::to_string(i), ""});  // more than 65535: zip64
  const Found found = read_zip(zip_of(files));
  EXPECT_EQ(found.error, 0);
  EXPECT_EQ(found.files.size(), files.size());
}

TEST(Zip, HasTimesOfTheCentury) {
  for (const std::int64_t time : {std::int64_t{315'532'800}, std::int64_t{1'700'000'000}, std::int64_t{4'000'000'000}})
    EXPECT_EQ(zip::from_dos(zip::to_dos(time)), time);
  EXPECT_EQ(zip::from_dos(zip::to_dos(-5)), 315'532'800);  // 1980
  EXPECT_EQ(read_zip(zip_of({{"a", "", MemberType::file, 0644, 4'000'000'000}})).files[0].mtime, 4'000'000'000);
}

TEST(Zip, SaysThatAnArchiveIsCutOff) {
  const std::string whole = zip_of({{"a", noise(5000)}, {"b", "2"}});
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, whole.size() / 2, whole.size() - 1})
    EXPECT_EQ(read_zip(whole.substr(0, size)).error, EPIPE) << size;
}

TEST(Zip, RefusesWhatIsNoArchive) {
  EXPECT_EQ(read_zip(noise(5000)).error, EBADMSG);
  EXPECT_EQ(read_zip(noise(100) + zip_of({{"a", "1"}})).error, EBADMSG);  // a program in front of it
  EXPECT_EQ(read_zip("\x1F\x8B\x08" + noise(100)).error, ENOEXEC);
  EXPECT_EQ(read_zip("\x1F\x8B\x08 ab").error, ENOEXEC);
}

TEST(Zip, SaysThatSomethingFollowsItsEnd) {
  const std::string inner = zip_of({{"a", "1"}});
  EXPECT_EQ(read_zip(inner + "more").error, E2BIG);
  EXPECT_EQ(read_zip(zip_of({{"b", "2"}}) + inner).error, EBADMSG);
  const std::string outer = zip_of({{"c", "3"}, {"inner.zip", inner}, {"d", noise(1000)}});
  EXPECT_EQ(read_zip(outer.substr(0, outer.size() - 200)).error, EPIPE) << "the end of another one is not its end";
}

TEST(Zip, RefusesAWrongChecksum) {
  std::string archive = zip_of({{"a", "12345678"}});
  archive[directory_of(archive) + 16] ^= 1;
  const Found found = read_zip(archive);
  EXPECT_EQ(found.error, EBADMSG);
  EXPECT_TRUE(found.files.empty());
}

TEST(Zip, RefusesLyingSizes) {
  const std::string good = zip_of({{"a", std::string(100'000, 'x')}, {"b", "2"}});
  const std::size_t entry = directory_of(good);
  for (const auto& [at, value] : std::vector<std::pair<std::size_t, std::uint32_t>>{
           {24, 99'999}, {24, 100'001}, {24, 1}, {20, 1}, {20, 1'000'000}, {20, 0xFFFFFFFE}, {42, 1'000'000}}) {
    std::string archive = good;
    put(archive, entry + at, value, 4);
    EXPECT_EQ(read_zip(archive).error, EBADMSG) << at << " " << value;
  }
}

TEST(Zip, RefusesContentsThatLieOverEachOther) {
  std::string archive = zip_of({{"a", noise(1000)}, {"a", noise(1000)}});
  const std::size_t entry = directory_of(archive);
  put(archive, entry + zip::kCentralSize + 1 + 9 + 42, 0, 4);  // the second one is the first
  const Found found = read_zip(archive);
  EXPECT_EQ(found.error, 0);  // two of the same still fit
  std::string many = archive.substr(0, entry);
  const std::string one = archive.substr(entry, zip::kCentralSize + 1 + 9);
  std::string end = archive.substr(archive.size() - zip::kEndSize);
  for (int i = 0; i < 1000; ++i) many += one;
  put(end, 8, 1000, 2);
  put(end, 10, 1000, 2);
  put(end, 12, static_cast<std::uint32_t>(1000 * one.size()), 4);
  EXPECT_EQ(read_zip(many + end).error, EBADMSG);
  EXPECT_LE(read_zip(many + end).files.size(), 2U);
}

TEST(Zip, RefusesTwoNamesForOneMember) {
  std::string archive = zip_of({{"aa", "1"}});
  archive[zip::kLocalSize] = 'b';
  EXPECT_EQ(read_zip(archive).error, EBADMSG);
}

TEST(Zip, SaysWhatItDoesNotKnow) {
  const std::string good = zip_of({{"a", "1"}});
  const std::size_t entry = directory_of(good);
  std::string encrypted = good;
  encrypted[entry + 8] = static_cast<char>(encrypted[entry + 8] | 1);
  EXPECT_EQ(read_zip(encrypted).error, EPROTONOSUPPORT);
  std::string bzip2 = good;
  put(bzip2, entry + 10, 12, 2);
  EXPECT_EQ(read_zip(bzip2).error, EPROTONOSUPPORT);
}

TEST(Zip, RefusesNamesThatAreNone) {
  std::string archive = zip_of({{"abc", "1"}});
  for (const std::size_t at : {zip::kLocalSize + 1, directory_of(archive) + zip::kCentralSize + 1}) archive[at] = '\0';
  EXPECT_EQ(read_zip(archive).error, EBADMSG);
}

TEST(Zip, RefusesADirectoryThatIsNotAsLongAsItSays) {
  const std::string good = zip_of({{"a", "1"}, {"b", "2"}});
  std::string fewer = good;
  put(fewer, good.size() - zip::kEndSize + 8, 1, 2);
  put(fewer, good.size() - zip::kEndSize + 10, 1, 2);
  EXPECT_EQ(read_zip(fewer).error, EBADMSG);
  std::string more = good;
  put(more, good.size() - zip::kEndSize + 8, 3, 2);
  put(more, good.size() - zip::kEndSize + 10, 3, 2);
  EXPECT_EQ(read_zip(more).error, EBADMSG);
}

}  // namespace
}  // namespace lmsb::guest
