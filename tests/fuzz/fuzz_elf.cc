// A program that is not ours: what libraries it asks for.
#include <sys/mman.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "fuzz.h"
#include "model/elf.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const lmsb::UniqueFd file(::memfd_create("program", MFD_CLOEXEC));
  static const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  LMSB_ASSERT(::ftruncate(file.get(), 0) == 0);
  LMSB_ASSERT(::pwrite(file.get(), data, size, 0) == static_cast<ssize_t>(size));
  const auto facts = lmsb::model::read_elf(path);
  if (!facts.ok()) LMSB_ASSERT(facts.error().slug() == "not_a_program");
  if (facts.ok() && *facts)
    for (const std::string& name : (*facts)->needed)
      LMSB_ASSERT(name.size() < size && name.find('\0') == std::string::npos);
  return 0;
}
