#pragma once
// What the tests of this folder share: a directory that goes when the test ends, and files of the formats read here.
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <filesystem>
#include <fstream>
#include <stdlib.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace lmsb::model {

class TestDirectory {
 public:
  TestDirectory() {
    std::string name = testing::TempDir() + "lmsb-model-XXXXXX";
    path_ = std::filesystem::canonical(::mkdtemp(name.data())).string();
  }
  ~TestDirectory() { std::filesystem::remove_all(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  const std::string& path() const { return path_; }
  // Writes a file, with the directories above it; returns its path.
  std::string file(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = path_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    return path.string();
  }

 private:
  std::string path_;
};

// Numbers and texts as they lie in a file.
template <class T>
std::string octets(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// A model file, at first of nothing but a header. (The format: ggml's docs/gguf.md.)
struct TinyGguf {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint64_t declared_more = 0;  // pairs that the header speaks of and that do not come
  std::vector<std::string> pairs;
  std::vector<std::string> tensors;  // what the header says of them
  std::uint64_t alignment = 32;      // of what stands behind the header, where there are tensors
  std::uint64_t data = 0;            // octets of it

  static std::string text(const std::string& value) { return octets(std::uint64_t{value.size()}) + value; }
  // `type` is GGUF's number of it: 4 u32, 8 string, 9 array.
  void add(const std::string& key, std::uint32_t type, const std::string& value) {
    pairs.push_back(text(key) + octets(type) + value);
  }
  void add_text(const std::string& key, const std::string& value) { add(key, 8, text(value)); }
  void add_u32(const std::string& key, std::uint32_t value) { add(key, 4, octets(value)); }
  void add_u32s(const std::string& key, const std::vector<std::uint32_t>& values) {
    std::string list = octets(std::uint32_t{4}) + octets(std::uint64_t{values.size()});
    for (const std::uint32_t value : values) list += octets(value);
    add(key, 9, list);
  }
  // `type` is ggml's number of it: 0 F32, 2 Q4_0, 8 Q8_0, 12 Q4_K. The data is not made longer.
  void add_tensor(const std::string& name, const std::vector<std::uint64_t>& sizes, std::uint32_t type,
                  std::uint64_t offset) {
    std::string tensor = text(name) + octets(static_cast<std::uint32_t>(sizes.size()));
    for (const std::uint64_t size : sizes) tensor += octets(size);
    tensors.push_back(tensor + octets(type) + octets(offset));
  }
  std::string bytes() const {
    std::string out =
        magic + octets(version) + octets(std::uint64_t{tensors.size()}) + octets(pairs.size() + declared_more);
    for (const std::string& pair : pairs) out += pair;
    for (const std::string& tensor : tensors) out += tensor;
    if (!tensors.empty()) out.resize((out.size() + alignment - 1) / alignment * alignment + data);
    return out;
  }
};

// A program of nothing but headers: what it asks for.
struct TinyElf {
  std::string interpreter;
  std::vector<std::string> needed;
  std::string rpath;
  std::string runpath;

  std::string bytes() const {
    std::string strings(1, '\0');
    std::vector<Elf64_Dyn> entries;
    const auto add = [&](Elf64_Sxword tag, const std::string& text) {
      if (text.empty()) return;
      entries.push_back({tag, {strings.size()}});
      strings += text + '\0';
    };
    for (const std::string& name : needed) add(DT_NEEDED, name);
    add(DT_RPATH, rpath);
    add(DT_RUNPATH, runpath);
    const std::size_t begin = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr);
    const std::size_t table = begin + (entries.size() + 2) * sizeof(Elf64_Dyn);
    entries.push_back({DT_STRTAB, {kBase + table}});
    entries.push_back({DT_NULL, {0}});
    const std::size_t loader = table + strings.size();
    std::string out = octets(header()) + octets(segment(PT_LOAD, 0, loader + interpreter.size() + 1)) +
                      octets(segment(PT_DYNAMIC, begin, table - begin)) +
                      octets(segment(interpreter.empty() ? PT_NULL : PT_INTERP, loader, interpreter.size() + 1));
    for (const Elf64_Dyn& entry : entries) out += octets(entry);
    return out + strings + (interpreter.empty() ? "" : interpreter + '\0');
  }

 private:
  static constexpr std::uint64_t kBase = 0x400000;
  static Elf64_Ehdr header() {
    Elf64_Ehdr h{};
    std::memcpy(h.e_ident, ELFMAG, SELFMAG);
    h.e_ident[EI_CLASS] = ELFCLASS64;
    h.e_ident[EI_DATA] = ELFDATA2LSB;
    h.e_machine = EM_X86_64;
    h.e_phoff = sizeof h;
    h.e_phentsize = sizeof(Elf64_Phdr);
    h.e_phnum = 3;
    return h;
  }
  static Elf64_Phdr segment(std::uint32_t type, std::uint64_t offset, std::uint64_t size) {
    Elf64_Phdr s{};
    s.p_type = type;
    s.p_offset = offset;
    s.p_vaddr = kBase + offset;
    s.p_filesz = size;
    return s;
  }
};

}  // namespace lmsb::model
