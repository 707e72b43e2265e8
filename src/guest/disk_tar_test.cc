#include "guest/disk_tar.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace lmsb::guest {
namespace {

using os::MemberType;

struct Text final : os::ArchiveSink {
  int write(const void* data, std::size_t size) override {
    all.append(static_cast<const char*>(data), size);
    return 0;
  }
  std::string all;
};

// Gives a few octets at a time.
class Source final : public os::ArchiveSource {
 public:
  explicit Source(std::string_view octets) : rest_(octets) {}
  ssize_t read(void* data, std::size_t size) override {
    const std::string_view part = rest_.substr(0, std::min<std::size_t>(size, 700));
    rest_.remove_prefix(part.size());
    if (!part.empty()) std::memcpy(data, part.data(), part.size());
    return static_cast<ssize_t>(part.size());
  }

 private:
  std::string_view rest_;
};

struct Entry {
  std::string path;
  std::string target;
  DiskMember said;
  std::map<std::string, std::string> attributes;
  std::string content;  // with its holes as zeros
};

// What a reader finds in `archive`, and the errno that ends it.
struct Found {
  std::vector<Entry> entries;
  int error = 0;
};

bool read_content(DiskTarReader& reader, Found& found) {
  Entry& entry = found.entries.back();
  entry.content.resize(std::min<std::size_t>(entry.said.size, 1U << 20U));
  std::array<char, 300> octets{};
  for (;;) {
    std::uint64_t offset = 0;
    const ssize_t n = reader.read(octets.data(), octets.size(), offset);
    if (n < 0) found.error = static_cast<int>(-n);
    if (n <= 0) return n == 0;
    if (offset + static_cast<std::size_t>(n) <= entry.content.size())
      std::memcpy(entry.content.data() + offset, octets.data(), static_cast<std::size_t>(n));
  }
}

Found read(std::string_view archive) {
  Source source(archive);
  const auto reader = std::make_unique<DiskTarReader>(source);
  Found found;
  DiskMember member;
  for (;;) {
    const int more = reader->next(member);
    if (more <= 0) return found.error = -more, found;
    found.entries.push_back({std::string(member.path), std::string(member.target), member, {}, ""});
    std::string_view name;
    std::string_view value;
    while (reader->next_attribute(name, value)) found.entries.back().attributes.emplace(name, value);
    if (!read_content(*reader, found)) return found;
  }
}

DiskMember member_of(std::string_view path, MemberType type) {
  DiskMember member;
  member.path = path;
  member.type = type;
  member.mode = 0750;
  member.uid = 1000;
  member.gid = 65535;
  member.mtime = {1'700'000'000, 123456789};
  member.atime = {1'600'000'000, 1};
  return member;
}

// An archive of `disk`, of whatever `fill` puts behind it, and of its end.
template <class Fill>
std::string archive_of(Fill fill) {
  Text out;
  const auto writer = std::make_unique<DiskTarWriter>(out);
  EXPECT_EQ(writer->member(member_of("disk", MemberType::directory)), 0);
  fill(*writer);
  EXPECT_EQ(writer->finish(), 0);
  return out.all;
}

void put_file(DiskTarWriter& writer, std::string_view path, std::string_view content) {
  DiskMember file = member_of(path, MemberType::file);
  file.size = content.size();
  EXPECT_EQ(writer.member(file), 0);
  EXPECT_EQ(writer.content(content.data(), content.size()), 0);
}

TEST(DiskTar, CarriesNamesOwnersTimesAndContent) {
  const std::string odd = std::string("disk/upper/") + std::string(200, 'n') + "/a\nb\xff=";
  const auto archive = archive_of([&](DiskTarWriter& writer) {
    put_file(writer, odd, std::string(1000, 'x'));
    put_file(writer, "disk/upper/empty", "");
    DiskMember link = member_of("disk/upper/link", MemberType::symbolic_link);
    link.target = "../\xfe\nwhere";
    EXPECT_EQ(writer.member(link), 0);
  });
  const Found found = read(archive);
  ASSERT_EQ(found.error, 0);
  ASSERT_EQ(found.entries.size(), 4U);
  const Entry& file = found.entries[1];
  EXPECT_EQ(file.path, odd);
  EXPECT_EQ(file.content, std::string(1000, 'x'));
  EXPECT_EQ(file.said.mode, 0750U);
  EXPECT_EQ(file.said.uid, 1000U);
  EXPECT_EQ(file.said.gid, 65535U);
  EXPECT_EQ(file.said.mtime.tv_sec, 1'700'000'000);
  EXPECT_EQ(file.said.mtime.tv_nsec, 123456789);
  EXPECT_EQ(file.said.atime.tv_nsec, 1);
  EXPECT_EQ(found.entries[3].target, "../\xfe\nwhere");
}

TEST(DiskTar, CarriesTimesBefore1970) {
  for (const timespec time : {timespec{-1, 0}, timespec{-1, 750'000'000}, timespec{-2, 250'000'000}, timespec{0, 5}}) {
    const auto archive = archive_of([&](DiskTarWriter& writer) {
      DiskMember file = member_of("disk/upper/a", MemberType::file);
      file.mtime = time;
      EXPECT_EQ(writer.member(file), 0);
    });
    const Found found = read(archive);
    ASSERT_EQ(found.entries.size(), 2U);
    EXPECT_EQ(found.entries[1].said.mtime.tv_sec, time.tv_sec);
    EXPECT_EQ(found.entries[1].said.mtime.tv_nsec, time.tv_nsec);
  }
}

TEST(DiskTar, CarriesExtendedAttributesWhateverIsInThem) {
  const std::string value("\0\n=17 x=y\n", 11);
  const auto archive = archive_of([&](DiskTarWriter& writer) {
    EXPECT_EQ(writer.attribute("user.a=b%3D", value), 0);
    EXPECT_EQ(writer.attribute("user.overlay.opaque", "y"), 0);
    EXPECT_EQ(writer.member(member_of("disk/upper", MemberType::directory)), 0);
    put_file(writer, "disk/upper/none", "");
  });
  const Found found = read(archive);
  ASSERT_EQ(found.entries.size(), 3U) << found.error;
  const std::map<std::string, std::string> both = {{"user.a=b%3D", value}, {"user.overlay.opaque", "y"}};
  EXPECT_EQ(found.entries[1].attributes, both);
  EXPECT_TRUE(found.entries[0].attributes.empty());
  EXPECT_TRUE(found.entries[2].attributes.empty()) << "attributes are the next member's alone";
}

TEST(DiskTar, RefusesMoreAttributesThanAHeaderHolds) {
  Text out;
  const auto writer = std::make_unique<DiskTarWriter>(out);
  int error = 0;
  for (int i = 0; i < 100 && error == 0; ++i) error = writer->attribute("user.a", std::string(65536, 'x'));
  EXPECT_EQ(error, E2BIG);
}

TEST(DiskTar, CarriesHolesAndWhatIsBetweenThem) {
  const std::vector<Extent> extents = {{4096, 3}, {70000, 1000}, {100000, 0}};
  const auto archive = archive_of([&](DiskTarWriter& writer) {
    DiskMember file = member_of("disk/upper/sparse", MemberType::file);
    file.size = 100000;
    EXPECT_EQ(writer.member(file, extents, true), 0);
    EXPECT_EQ(writer.content("abc", 3), 0);
    EXPECT_EQ(writer.content(std::string(1000, 'z').data(), 1000), 0);
    DiskMember hole = member_of("disk/upper/hole", MemberType::file);
    hole.size = 1000;
    EXPECT_EQ(writer.member(hole, {}, true), 0);
    put_file(writer, "disk/upper/after", "after");
  });
  EXPECT_LT(archive.size(), 20000U);
  const Found found = read(archive);
  ASSERT_EQ(found.error, 0);
  ASSERT_EQ(found.entries.size(), 4U);
  std::string whole(100000, '\0');
  whole.replace(4096, 3, "abc").replace(70000, 1000, std::string(1000, 'z'));
  EXPECT_EQ(found.entries[1].content, whole);
  EXPECT_EQ(found.entries[2].content, std::string(1000, '\0'));
  EXPECT_EQ(found.entries[3].content, "after");
}

TEST(DiskTar, KnowsWhenSomethingIsMissing) {
  const auto archive = archive_of([](DiskTarWriter& writer) { put_file(writer, "disk/upper/a", "content"); });
  for (std::size_t size = 0; size < archive.size(); size += 100)
    EXPECT_EQ(read(archive.substr(0, size)).error, EPIPE) << size;
  EXPECT_EQ(read(archive.substr(0, archive.size() - 1)).error, EPIPE);
  EXPECT_EQ(read(archive + "x").error, EBADMSG) << "something follows its end";
}

TEST(DiskTar, KnowsWhenMembersAreMissing) {
  const auto one = archive_of([](DiskTarWriter& writer) { put_file(writer, "disk/upper/a", "content"); });
  const auto none = archive_of([](DiskTarWriter&) {});
  // The end of the longer one behind the beginning of the other.
  const std::size_t end = one.find("pax_header", one.find("content"));
  ASSERT_NE(end, std::string::npos);
  const std::size_t first = none.find("pax_header", 1);
  EXPECT_EQ(read(none.substr(0, first) + one.substr(end)).error, EBADMSG);
}

TEST(DiskTar, RefusesWhatItDoesNotMake) {
  const auto good = archive_of([](DiskTarWriter& writer) { put_file(writer, "disk/upper/abc", "content"); });
  const auto changed = [&good](std::string_view from, std::string_view to) {
    std::string archive = good;
    archive.replace(archive.find(from), from.size(), to);
    return archive;
  };
  EXPECT_EQ(read(changed("path=", "pith=")).error, EBADMSG) << "a record of another kind";
  EXPECT_EQ(read(changed(".123456789", ".12345678x")).error, EBADMSG) << "no time";
  EXPECT_EQ(read(changed("ustar", "ustra")).error, EBADMSG);
  EXPECT_EQ(read(changed("0001750", "0001751")).error, EBADMSG) << "a header whose sum is wrong";
  EXPECT_EQ(read(std::string(1024, '\0')).error, EBADMSG) << "an archive of another kind";
}

TEST(DiskTar, CutsTimesToWhatItReads) {
  constexpr time_t kFar = time_t{1} << 62U;
  for (const time_t seconds : {kFar, kFar + 5, -kFar, -kFar - 5, std::numeric_limits<time_t>::min()}) {
    const auto archive = archive_of([&](DiskTarWriter& writer) {
      DiskMember file = member_of("disk/upper/a", MemberType::file);
      file.mtime = {seconds, 7};
      EXPECT_EQ(writer.member(file), 0);
    });
    const Found found = read(archive);
    ASSERT_EQ(found.error, 0) << seconds;
    EXPECT_LE(std::abs(found.entries[1].said.mtime.tv_sec - (seconds < 0 ? -kFar : kFar)), 1);
  }
}

TEST(DiskTar, RefusesTooMuchOfAMemberAndWhatIsSaidTwice) {
  const auto with_path = [](std::size_t size) {
    return read(archive_of([&](DiskTarWriter& writer) { put_file(writer, "disk/" + std::string(size, 'n'), ""); }))
        .error;
  };
  EXPECT_EQ(with_path(16'000), 0);
  EXPECT_EQ(with_path(16'500), EBADMSG);
  std::string twice = archive_of([](DiskTarWriter& writer) { put_file(writer, "disk/upper/abc", "content"); });
  twice.replace(twice.find("atime="), 5, "mtime");
  EXPECT_EQ(read(twice).error, EBADMSG);
}

TEST(DiskTar, RefusesMapsThatAreNone) {
  for (const std::vector<Extent>& extents :
       {std::vector<Extent>{{0, 2000}}, std::vector<Extent>{{2000, 1}}, std::vector<Extent>{{500, 10}, {505, 10}},
        std::vector<Extent>{{500, 10}, {10, 10}}, std::vector<Extent>{{~std::uint64_t{0}, 10}}}) {
    std::size_t sum = 0;
    const auto archive = archive_of([&](DiskTarWriter& writer) {
      DiskMember file = member_of("disk/upper/sparse", MemberType::file);
      file.size = 1000;
      EXPECT_EQ(writer.member(file, extents, true), 0);
      for (const Extent& extent : extents) sum += extent.size;
      EXPECT_EQ(writer.content(std::string(sum, 'x').data(), sum), 0);
    });
    EXPECT_EQ(read(archive).error, EBADMSG) << extents[0].offset << " " << extents[0].size;
  }
}

TEST(DiskTar, CarriesOfTheOverlaysMarksThoseOfWhatWasRemoved) {
  for (const char* name :
       {"user.a", "user.", "user.overlay.opaque", "user.overlay.whiteout", "user.overlay.overlay.x", "user.overlayfs"})
    EXPECT_TRUE(is_carried(name)) << name;
  for (const char* name : {"user.overlay.redirect", "user.overlay.metacopy", "user.overlay.origin",
                           "trusted.overlay.opaque", "security.capability", "system.posix_acl_access", "user", ""})
    EXPECT_FALSE(is_carried(name)) << name;
}

}  // namespace
}  // namespace lmsb::guest
