#include "guest/zip_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <sys/stat.h>

#include "base/utf8.h"
#include "guest/zip_format.h"

namespace lmsb::guest {
namespace {

using os::MemberType;

// From here on a file may need zip64: deflate makes what does not compress a little larger.
constexpr std::uint64_t kLarge = 0xFFF00000;
constexpr std::uint16_t kNeeds = 20;
constexpr std::uint16_t kNeeds64 = 45;

std::uint32_t file_type(MemberType type) {
  if (type == MemberType::directory) return S_IFDIR;
  return type == MemberType::symbolic_link ? S_IFLNK : S_IFREG;
}

bool has_time_field(std::int64_t mtime) {
  return mtime >= std::numeric_limits<std::int32_t>::min() && mtime <= std::numeric_limits<std::int32_t>::max();
}

}  // namespace

// The numbers of one header, one behind the other.
class ZipWriter::Fields {
 public:
  template <class Number>
  Fields& put(Number value) {
    std::memcpy(&octets_[size_], &value, sizeof value);  // x86 has its least octet first, as zip
    size_ += sizeof value;
    return *this;
  }
  Fields& put_time(std::int64_t mtime) {
    const zip::DosTime dos = zip::to_dos(mtime);
    return put(dos.time).put(dos.date);
  }
  Fields& put_time_field(std::int64_t mtime) {
    if (!has_time_field(mtime)) return *this;
    return put(zip::kExtraTime).put(std::uint16_t{5}).put(std::uint8_t{1}).put(static_cast<std::int32_t>(mtime));
  }
  const unsigned char* data() const { return octets_.data(); }
  std::size_t size() const { return size_; }

 private:
  std::array<unsigned char, 128> octets_{};
  std::size_t size_ = 0;
};

ZipWriter::~ZipWriter() {
  if (has_stream_) (void)::deflateEnd(&stream_);
  std::free(list_);  // NOLINT: grows by realloc
}

int ZipWriter::write(const void* data, std::size_t size) {
  written_ += size;
  return sink_.write(data, size);
}

int ZipWriter::keep(const void* data, std::size_t size) {
  if (list_size_ + size > kMaxList) return EOVERFLOW;
  if (list_size_ + size > list_room_) {
    const std::size_t room = std::max<std::size_t>(2 * list_room_, 64 * 1024);
    auto* const larger = static_cast<char*>(std::realloc(list_, room));  // NOLINT: no exceptions here
    if (larger == nullptr) return ENOMEM;
    list_ = larger;
    list_room_ = room;
  }
  std::memcpy(list_ + list_size_, data, size);
  list_size_ += size;
  return 0;
}

int ZipWriter::member(const os::ArchiveMember& member) {
  if (const int error = close(); error != 0) return error;
  if (member.path.size() > os::kMaxArchivePath || member.target.size() > os::kMaxArchivePath) return ENAMETOOLONG;
  const bool is_file = member.type == MemberType::file;
  std::copy(member.path.begin(), member.path.end(), name_.begin());
  name_size_ = member.path.size();
  if (member.type == MemberType::directory) name_[name_size_++] = '/';
  present_ = Present{};
  present_.flags = is_file ? zip::kHasDescriptor : 0;
  if (is_utf8(member.path)) present_.flags |= zip::kUtf8;
  present_.method = is_file ? zip::kDeflated : zip::kStored;
  present_.mode = file_type(member.type) | member.mode;
  present_.mtime = member.mtime;
  present_.offset = written_;
  present_.is_large = is_file && member.size >= kLarge;
  present_.is_open = true;
  if (!is_file) return write_whole(member.type == MemberType::symbolic_link ? member.target : "");
  const int begun =
      has_stream_ ? ::deflateReset(&stream_)
                  : ::deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  has_stream_ = has_stream_ || begun == Z_OK;
  return begun == Z_OK ? begin({name_.data(), name_size_}) : ENOMEM;
}

// What is known before its content: of a file neither size nor checksum.
int ZipWriter::begin(std::string_view name) {
  const std::uint32_t size = present_.is_large ? zip::kSee64 : static_cast<std::uint32_t>(present_.size);
  const std::size_t extra = (has_time_field(present_.mtime) ? 9 : 0) + (present_.is_large ? 20 : 0);
  Fields head;
  head.put(zip::kLocalHeader).put(present_.is_large ? kNeeds64 : kNeeds).put(present_.flags).put(present_.method);
  head.put_time(present_.mtime).put(present_.checksum).put(size).put(size);
  head.put(static_cast<std::uint16_t>(name.size())).put(static_cast<std::uint16_t>(extra));
  Fields fields;
  fields.put_time_field(present_.mtime);
  if (present_.is_large) fields.put(zip::kExtra64).put(std::uint16_t{16}).put(std::uint64_t{0}).put(std::uint64_t{0});
  int error = write(head.data(), head.size());
  if (error == 0) error = write(name.data(), name.size());
  return error == 0 ? write(fields.data(), fields.size()) : error;
}

int ZipWriter::write_whole(std::string_view content) {
  present_.size = present_.packed_size = content.size();
  present_.checksum = static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
  const int error = begin({name_.data(), name_size_});
  return error == 0 ? write(content.data(), content.size()) : error;
}

int ZipWriter::deflate_more(int flush) {
  do {
    stream_.next_out = packed_.data();
    stream_.avail_out = static_cast<uInt>(packed_.size());
    if (::deflate(&stream_, flush) == Z_STREAM_ERROR) return EINVAL;
    const std::size_t size = packed_.size() - stream_.avail_out;
    present_.packed_size += size;
    if (const int error = write(packed_.data(), size); error != 0) return error;
  } while (stream_.avail_out == 0);
  return 0;
}

int ZipWriter::content(const void* data, std::size_t size) {
  if (!present_.is_open || present_.method != zip::kDeflated || size > 1U << 30U) return EINVAL;
  const auto* octets = static_cast<const Bytef*>(data);
  present_.size += size;
  present_.checksum = static_cast<std::uint32_t>(::crc32(present_.checksum, octets, static_cast<uInt>(size)));
  stream_.next_in = const_cast<Bytef*>(octets);  // zlib's declaration; it does not write there
  stream_.avail_in = static_cast<uInt>(size);
  return deflate_more(Z_NO_FLUSH);
}

// What a file's content turned out to be.
int ZipWriter::describe() {
  stream_.avail_in = 0;
  if (const int error = deflate_more(Z_FINISH); error != 0) return error;
  if (!present_.is_large && std::max(present_.size, present_.packed_size) >= zip::kSee64) return EOVERFLOW;
  Fields fields;
  fields.put(zip::kDescriptor).put(present_.checksum);
  if (present_.is_large) {
    fields.put(present_.packed_size).put(present_.size);
  } else {
    fields.put(static_cast<std::uint32_t>(present_.packed_size)).put(static_cast<std::uint32_t>(present_.size));
  }
  return write(fields.data(), fields.size());
}

// Ends the present member, if there is one, and takes it into the list.
int ZipWriter::close() {
  if (!present_.is_open) return 0;
  present_.is_open = false;
  if (present_.method == zip::kDeflated) {
    if (const int error = describe(); error != 0) return error;
  }
  ++members_;
  const bool is_far = present_.offset >= zip::kSee64;
  Fields large;
  if (present_.is_large) large.put(present_.size).put(present_.packed_size);
  if (is_far) large.put(present_.offset);
  Fields extra;
  extra.put_time_field(present_.mtime);
  if (large.size() > 0) extra.put(zip::kExtra64).put(static_cast<std::uint16_t>(large.size()));
  Fields head;
  const std::uint16_t needs = large.size() > 0 ? kNeeds64 : kNeeds;
  head.put(zip::kCentralHeader).put(static_cast<std::uint16_t>(zip::kMadeByUnix << 8U | kNeeds64)).put(needs);
  head.put(present_.flags).put(present_.method).put_time(present_.mtime).put(present_.checksum);
  head.put(present_.is_large ? zip::kSee64 : static_cast<std::uint32_t>(present_.packed_size));
  head.put(present_.is_large ? zip::kSee64 : static_cast<std::uint32_t>(present_.size));
  head.put(static_cast<std::uint16_t>(name_size_)).put(static_cast<std::uint16_t>(extra.size() + large.size()));
  head.put(std::uint16_t{0}).put(std::uint16_t{0}).put(std::uint16_t{0});  // no comment, one disk, nothing internal
  head.put(present_.mode << 16U | (S_ISDIR(present_.mode) ? zip::kDosDirectory : 0));
  head.put(is_far ? zip::kSee64 : static_cast<std::uint32_t>(present_.offset));
  int error = keep(head.data(), head.size());
  if (error == 0) error = keep(name_.data(), name_size_);
  if (error == 0) error = keep(extra.data(), extra.size());
  return error == 0 ? keep(large.data(), large.size()) : error;
}

int ZipWriter::finish() {
  if (const int error = close(); error != 0) return error;
  const std::uint64_t at = written_;
  if (const int error = write(list_, list_size_); error != 0) return error;
  const bool is_large = members_ >= zip::kSee64Short || at >= zip::kSee64;
  Fields end;
  if (is_large) {
    const std::uint64_t end_at = written_;
    end.put(zip::kEnd64).put(std::uint64_t{zip::kEnd64Size - 12}).put(kNeeds64).put(kNeeds64);
    end.put(std::uint32_t{0}).put(std::uint32_t{0}).put(members_).put(members_);
    end.put(std::uint64_t{list_size_}).put(at);
    end.put(zip::kEnd64Locator).put(std::uint32_t{0}).put(end_at).put(std::uint32_t{1});
  }
  const auto members = static_cast<std::uint16_t>(std::min<std::uint64_t>(members_, zip::kSee64Short));
  end.put(zip::kEnd).put(std::uint16_t{0}).put(std::uint16_t{0}).put(members).put(members);
  end.put(static_cast<std::uint32_t>(list_size_));
  end.put(static_cast<std::uint32_t>(std::min<std::uint64_t>(at, zip::kSee64))).put(std::uint16_t{0});
  return write(end.data(), end.size());
}

}  // namespace lmsb::guest
