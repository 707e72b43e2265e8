// A model file, and what memory is thought to do for it.
#include <sys/mman.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "model/gguf.h"
#include "model/memory.h"

namespace {

// Each octet that is not UTF-8 becomes three.
void check(const lmsb::model::GgufFacts& facts, std::size_t size) {
  LMSB_ASSERT(facts.size.count() == size && facts.weights.count() <= size);
  for (const std::string* text :
       {&facts.name, &facts.architecture, &facts.size_label, &facts.license, &facts.tokenizer})
    LMSB_ASSERT(text->size() <= 3 * 256 && lmsb::is_utf8(*text));
  LMSB_ASSERT(facts.chat_template.size() <= 3 * 64 * 1024 && lmsb::is_utf8(facts.chat_template));
  LMSB_ASSERT(facts.layers.size() <= 4096);
  lmsb::model::MemoryUse use;
  for (const std::uint32_t context : {0U, 4096U, facts.context, UINT32_MAX}) {
    use.context = context;
    use.slots = context % 7;
    const auto estimate = lmsb::model::estimate_memory(facts, use);
    for (const lmsb::Bytes part : {estimate.weights, estimate.cache, estimate.compute, estimate.server})
      LMSB_ASSERT(part <= estimate.total());
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const lmsb::UniqueFd file(::memfd_create("model", MFD_CLOEXEC));
  static const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  LMSB_ASSERT(::ftruncate(file.get(), 0) == 0);
  LMSB_ASSERT(::pwrite(file.get(), data, size, 0) == static_cast<ssize_t>(size));
  const auto facts = lmsb::model::read_gguf(path);
  if (facts.ok()) {
    check(*facts, size);
  } else {
    LMSB_ASSERT(facts.error().slug() == "not_a_model");
  }
  return 0;
}
