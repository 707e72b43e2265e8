#include "model/elf.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace lmsb::model {
namespace {

constexpr std::size_t kMaxSegments = 128;
constexpr std::uint64_t kMaxDynamic = 64U << 10U;  // octets of the table that lists what is needed
constexpr std::size_t kMaxNeeded = 512;
constexpr std::size_t kMaxText = 4096;

class Reader {
 public:
  explicit Reader(int file) : file_(file) {}

  // Reads exactly `size` octets at `offset`.
  bool read(std::uint64_t offset, void* out, std::size_t size) const {
    return offset <= INT64_MAX - size &&
           ::pread(file_, out, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
  }
  // The text at `offset`, which ends with NUL within kMaxText octets.
  std::optional<std::string> text(std::uint64_t offset) const {
    std::array<char, kMaxText> part{};
    if (offset > INT64_MAX) return std::nullopt;
    const ssize_t got = ::pread(file_, part.data(), part.size(), static_cast<off_t>(offset));
    const void* end = got <= 0 ? nullptr : std::memchr(part.data(), '\0', static_cast<std::size_t>(got));
    if (end == nullptr) return std::nullopt;
    return std::string(part.data());
  }

 private:
  int file_;  // owned by the caller
};

bool is_ours(const Elf64_Ehdr& header) {
  return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
         header.e_ident[EI_DATA] == ELFDATA2LSB && header.e_machine == EM_X86_64;
}

// Where in the file the octet of virtual address `address` lies.
std::optional<std::uint64_t> file_offset(const std::vector<Elf64_Phdr>& segments, std::uint64_t address) {
  for (const Elf64_Phdr& s : segments)
    if (s.p_type == PT_LOAD && address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz)
      return s.p_offset + (address - s.p_vaddr);
  return std::nullopt;
}

std::optional<std::vector<Elf64_Phdr>> read_segments(const Reader& reader, const Elf64_Ehdr& header) {
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > kMaxSegments) return std::nullopt;
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  if (!reader.read(header.e_phoff, segments.data(), segments.size() * sizeof segments[0])) return std::nullopt;
  return segments;
}

std::optional<std::vector<Elf64_Dyn>> read_dynamic(const Reader& reader, const Elf64_Phdr& segment) {
  if (segment.p_filesz > kMaxDynamic) return std::nullopt;
  std::vector<Elf64_Dyn> entries(segment.p_filesz / sizeof(Elf64_Dyn));
  if (!reader.read(segment.p_offset, entries.data(), entries.size() * sizeof entries[0])) return std::nullopt;
  const auto is_end = [](const Elf64_Dyn& entry) { return entry.d_tag == DT_NULL; };
  entries.erase(std::find_if(entries.begin(), entries.end(), is_end), entries.end());
  return entries;
}

bool take_entry(const Reader& reader, std::uint64_t strings, const Elf64_Dyn& entry, ElfFacts& facts) {
  constexpr std::array kTexts = {DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH};
  if (std::find(kTexts.begin(), kTexts.end(), entry.d_tag) == kTexts.end()) return true;
  if (entry.d_un.d_val > UINT32_MAX) return false;
  const auto text = reader.text(strings + entry.d_un.d_val);
  if (!text || facts.needed.size() >= kMaxNeeded) return false;
  if (entry.d_tag == DT_NEEDED) facts.needed.push_back(*text);
  if (entry.d_tag == DT_SONAME) facts.soname = *text;
  if (entry.d_tag == DT_RPATH) facts.rpath = *text;
  if (entry.d_tag == DT_RUNPATH) facts.runpath = *text;
  return true;
}

bool take_dynamic(const Reader& reader, const std::vector<Elf64_Phdr>& segments, const Elf64_Phdr& segment,
                  ElfFacts& facts) {
  const auto entries = read_dynamic(reader, segment);
  if (!entries) return false;
  const auto is_table = [](const Elf64_Dyn& entry) { return entry.d_tag == DT_STRTAB; };
  const auto table = std::find_if(entries->begin(), entries->end(), is_table);
  if (table == entries->end()) return true;
  const auto strings = file_offset(segments, table->d_un.d_ptr);
  return strings && std::all_of(entries->begin(), entries->end(),
                                [&](const Elf64_Dyn& entry) { return take_entry(reader, *strings, entry, facts); });
}

bool take_segment(const Reader& reader, const std::vector<Elf64_Phdr>& segments, const Elf64_Phdr& segment,
                  ElfFacts& facts) {
  if (segment.p_type == PT_DYNAMIC) return take_dynamic(reader, segments, segment, facts);
  if (segment.p_type != PT_INTERP) return true;
  auto text = reader.text(segment.p_offset);
  if (!text) return false;
  facts.interpreter = *std::move(text);
  return true;
}

}  // namespace

Result<std::optional<ElfFacts>> read_elf(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) < 0) return Error::from_errno(errno, "open " + path);
  const Reader reader(file.get());
  Elf64_Ehdr header{};
  if (!S_ISREG(info.st_mode) || !reader.read(0, &header, sizeof header) || !is_ours(header))
    return std::optional<ElfFacts>();
  ElfFacts facts;
  const auto segments = read_segments(reader, header);
  if (!segments || !std::all_of(segments->begin(), segments->end(), [&](const Elf64_Phdr& segment) {
        return take_segment(reader, *segments, segment, facts);
      }))
    return Error(ErrorCode::invalid_argument, path + " is a damaged program or library").with_slug("not_a_program");
  return std::optional<ElfFacts>(std::move(facts));
}

}  // namespace lmsb::model
